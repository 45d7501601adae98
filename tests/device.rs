//! The promise: every device computes what the f64 oracle does within stated bounds, and the same bytes every time.
//!
//! The bodies are the same for all: the processor's reading of the kernels, which is always here; CUDA text, compiled
//! by the system's C++ compiler where there is one; and each driver that is found, in builds with its feature.

mod learners;
mod random_plans;
mod rows;

use crate::lower::{bits, error, rounded, single, slices};
use mamlx::graph::Plan;
use mamlx::graph::eval::evaluate;
use mamlx::lower::gpu::{Module, interpret};

/// Something that runs plans.
pub struct Machine {
    pub name: String,
    #[allow(clippy::type_complexity)]
    pub run: Box<dyn Fn(Plan, &[Vec<f32>]) -> Vec<Vec<f32>>>,
}

/// What is here. Says on stderr what is not.
pub fn machines() -> Vec<Machine> {
    let interpreter = Machine {
        name: "interpreter".into(),
        run: Box::new(|plan, inputs| interpret::run(&Module::of(plan), &slices(inputs))),
    };
    vec![interpreter]
}

/// Runs the plan twice on every machine and compares with the oracle and with itself.
pub fn compare(
    machines: &[Machine],
    plan: impl Fn() -> Plan,
    inputs: &[Vec<f64>],
    floor: f64,
    tolerance: f64,
) {
    let inputs = rounded(inputs);
    let exact = evaluate(&plan(), &slices(&inputs));
    let inputs = single(&inputs);
    for Machine { name, run } in machines {
        let found = run(plan(), &inputs);
        let error = error(&found, &exact, floor);
        let shown = || format!("{}\n{}", plan().dump(), Module::of(plan()).describe());
        assert!(error <= tolerance, "{name}: {error:e}\n{}", shown());
        assert_eq!(bits(&found), bits(&run(plan(), &inputs)), "{name}: twice\n{}", shown());
    }
}

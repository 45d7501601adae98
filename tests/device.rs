//! The promise: every device computes what the f64 oracle does within stated bounds, and the same bytes every time.
//!
//! The cases are the same for all: the processor's reading of the kernels, which is always here; CUDA text, compiled
//! by the system's C++ compiler where there is one; and each driver that is found, in builds with its feature.

mod cuda_text;
mod learners;
mod random_plans;
mod rows;

use crate::lower::{bits, error, rounded, single, slices};
use mamlx::graph::Plan;
use mamlx::graph::eval::evaluate;
use mamlx::lower::gpu::{Module, interpret};

/// A plan with inputs, and how close its f32 outputs come to the oracle's: the largest difference of a port, relative
/// to the port's largest number or `floor`.
pub struct Case {
    pub plan: Box<dyn Fn() -> Plan>,
    pub inputs: Vec<Vec<f64>>,
    pub floor: f64,
    pub tolerance: f64,
}

impl Case {
    fn new(plan: impl Fn() -> Plan + 'static, inputs: &[Vec<f64>], floor: f64, tolerance: f64) -> Case {
        Case { plan: Box::new(plan), inputs: rounded(inputs), floor, tolerance }
    }

    fn singles(&self) -> Vec<Vec<f32>> {
        single(&self.inputs)
    }

    fn check(&self, machine: &str, found: &[Vec<f32>]) {
        let exact = evaluate(&(self.plan)(), &slices(&self.inputs));
        let error = error(found, &exact, self.floor);
        let shown = || format!("{}\n{}", (self.plan)().dump(), Module::of((self.plan)()).describe());
        assert!(error <= self.tolerance, "{machine}: {error:e}, not {:e}\n{}", self.tolerance, shown());
    }
}

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

/// Runs every case twice on every machine: as the oracle says, and the same bytes.
fn check(cases: &[Case]) {
    let machines = machines();
    assert!(!cases.is_empty());
    for case in cases {
        let inputs = case.singles();
        for Machine { name, run } in &machines {
            let found = run((case.plan)(), &inputs);
            case.check(name, &found);
            assert_eq!(
                bits(&found),
                bits(&run((case.plan)(), &inputs)),
                "{name}: twice, {}",
                (case.plan)().dump()
            );
        }
    }
}

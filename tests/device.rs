//! The promise: every device computes what the f64 oracle does within stated bounds, and the same bytes every time.
//!
//! The cases are the same for all: the processor's reading of the kernels, which is always here; CUDA text, compiled
//! by the system's C++ compiler where there is one; and each driver that is found, in builds with its feature.

mod cuda_text;
mod learners;
mod random_plans;
mod rows;
mod runs;
#[cfg(feature = "gpu")]
mod translated;

use crate::lower::{bits, error, of_stage, rounded, single, slices};
use mamlx::graph::Plan;
use mamlx::graph::eval::evaluate;
use mamlx::lower::Device;
use mamlx::lower::device::Kind;
use mamlx::lower::gpu::{Module, interpret};
use std::sync::OnceLock;

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
    pub run: Box<dyn Fn(Plan, &[Vec<f32>]) -> Vec<Vec<f32>> + Send + Sync>,
}

/// What is here. Says on stderr what is not.
pub fn machines() -> &'static [Machine] {
    static MACHINES: OnceLock<Vec<Machine>> = OnceLock::new();
    MACHINES.get_or_init(|| {
        let mut machines = vec![Machine {
            name: "interpreter".into(),
            run: Box::new(|plan, inputs| interpret::run(&Module::of(plan), &slices(inputs))),
        }];
        for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Cpu) {
            match Device::open(kind) {
                Ok(device) => {
                    let name = format!("{}, {}", kind.word(), device.name());
                    machines.push(Machine {
                        name,
                        run: Box::new(move |plan, inputs| run(&device, plan, inputs)),
                    });
                }
                Err(why) => eprintln!("skipped: {why}"),
            }
        }
        machines
    })
}

/// Runs a plan on a device, whole and in its two stages, which give the same bytes.
fn run(device: &Device, plan: Plan, inputs: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let program = device.lower(plan).expect("the plan fits");
    let room =
        || -> Vec<Vec<f32>> { program.outputs().iter().map(|port| vec![f32::NAN; port.size()]).collect() };
    let (mut whole, mut staged) = (room(), room());
    let mut into: Vec<&mut [f32]> = whole.iter_mut().map(|port| &mut port[..]).collect();
    let mut scratch = program.scratch().expect("there is memory");
    program.run(&mut scratch, &slices(inputs), &mut into).expect("the device works");
    if program.inputs().iter().any(|port| port.late) {
        let mut kept = program.kept().expect("there is memory");
        let early = program.inputs().iter().zip(inputs);
        let early: Vec<&[f32]> =
            early.map(|(port, data)| if port.late { &[][..] } else { &data[..] }).collect();
        let mut into = of_stage(program.outputs(), true, &mut staged);
        program.prepare(&mut scratch, &mut kept, &early, &mut into).expect("the device works");
        let mut scratch = program.scratch().expect("there is memory");
        let mut into = of_stage(program.outputs(), false, &mut staged);
        program.apply(&mut scratch, &kept, &slices(inputs), &mut into).expect("the device works");
        assert_eq!(bits(&whole), bits(&staged), "stages of {}", program.name());
    }
    whole
}

/// Runs every case twice on every machine: as the oracle says, and the same bytes.
fn check(cases: &[Case]) {
    let machines = machines();
    assert!(!cases.is_empty());
    for case in cases {
        let inputs = case.singles();
        for Machine { name, run } in machines {
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

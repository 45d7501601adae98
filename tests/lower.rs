//! The promise: a lowered program computes what its plan says, on every instruction set, to the bit the same
//! whoever runs it.

mod convolutions;
mod edges;
pub mod learners;
pub mod networks;
mod passes;
pub mod random_plans;
mod rows;
mod speed;
mod streams;

use mamlx::graph::Plan;
use mamlx::graph::eval::evaluate;
use mamlx::lower::cpu::Isa;
use mamlx::lower::cpu::LARGE;
use mamlx::lower::{PortInfo, Program, lower_in_pieces};

/// The instruction sets that this machine can run.
fn instruction_sets() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| isa.available())
}

/// Numbers as f32 can hold them, so that oracle and program start from the same inputs.
pub fn rounded(data: &[Vec<f64>]) -> Vec<Vec<f64>> {
    data.iter().map(|port| port.iter().map(|x| f64::from(*x as f32)).collect()).collect()
}

pub fn single(data: &[Vec<f64>]) -> Vec<Vec<f32>> {
    data.iter().map(|port| port.iter().map(|x| *x as f32).collect()).collect()
}

pub fn slices<T>(data: &[Vec<T>]) -> Vec<&[T]> {
    data.iter().map(|port| &port[..]).collect()
}

fn room(program: &Program) -> Vec<Vec<f32>> {
    // NaN shows what a program forgets to write.
    program.outputs().iter().map(|port| vec![f32::NAN; port.size()]).collect()
}

fn run(program: &Program, inputs: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let mut outputs = room(program);
    let mut into: Vec<&mut [f32]> = outputs.iter_mut().map(|port| &mut port[..]).collect();
    program.run(&mut program.scratch(), &slices(inputs), &mut into);
    outputs
}

/// The same through the two stages, twice in a row on one `Kept`.
fn run_in_stages(program: &Program, inputs: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let (mut scratch, mut kept) = (program.scratch(), program.kept());
    let early: Vec<&[f32]> = program
        .inputs()
        .iter()
        .zip(inputs)
        .map(|(port, data)| if port.late { &[][..] } else { &data[..] })
        .collect();
    let mut outputs = room(program);
    let mut into = of_stage(program.outputs(), true, &mut outputs);
    program.prepare(&mut scratch, &mut kept, &early, &mut into);
    let mut scratch = program.scratch();
    for _ in 0..2 {
        let mut into = of_stage(program.outputs(), false, &mut outputs);
        program.apply(&mut scratch, &kept, &slices(inputs), &mut into);
    }
    outputs
}

/// Room for the outputs of one stage, and nothing for the other's.
pub fn of_stage<'a>(ports: &[PortInfo], early: bool, outputs: &'a mut [Vec<f32>]) -> Vec<&'a mut [f32]> {
    let of = |(port, output): (&PortInfo, &'a mut Vec<f32>)| -> &'a mut [f32] {
        if port.early == early { output } else { &mut [] }
    };
    ports.iter().zip(outputs).map(of).collect()
}

pub fn bits(outputs: &[Vec<f32>]) -> Vec<u32> {
    outputs.iter().flatten().map(|x| x.to_bits()).collect()
}

/// Largest difference of each port relative to the port's largest number (at least `floor`).
pub fn error(found: &[Vec<f32>], exact: &[Vec<f64>], floor: f64) -> f64 {
    let of_port = |(found, exact): (&Vec<f32>, &Vec<f64>)| {
        let scale = exact.iter().fold(floor, |scale, x| scale.max(x.abs()));
        let gap = |(x, y): (&f32, &f64)| {
            let gap = (f64::from(*x) - y).abs();
            if gap.is_nan() { f64::INFINITY } else { gap }
        };
        found.iter().zip(exact).map(gap).fold(0.0, f64::max) / scale
    };
    found.iter().zip(exact).map(of_port).fold(0.0, f64::max)
}

/// Lowers the plan for every instruction set and compares with the f64 oracle, one and two stages alike, also with every
/// tensor piece by piece where only large ones usually are.
fn compare(plan: impl Fn() -> Plan, inputs: &[Vec<f64>], floor: f64, tolerance: f64) {
    let inputs = rounded(inputs);
    let exact = evaluate(&plan(), &slices(&inputs));
    let inputs = single(&inputs);
    for (isa, large) in instruction_sets().flat_map(|isa| [(isa, LARGE), (isa, 1)]) {
        let program = lower_in_pieces(plan(), isa, large);
        let found = run(&program, &inputs);
        let error = error(&found, &exact, floor);
        assert!(error <= tolerance, "{isa}: {error:e}\n{}\n{}", plan().dump(), program.describe());
        assert_eq!(
            bits(&found),
            bits(&run_in_stages(&program, &inputs)),
            "{isa}: stages\n{}",
            program.describe()
        );
    }
}

//! Whole gradients of the paper's algorithms: f32 programs against the f64 oracle.

use super::{bits, compare, run, single};
use mamlx::graph::{Plan, Port};
use mamlx::lower::gpu::Module;
use mamlx::lower::{Program, lower};
use mamlx::meta::supervised::Learner;
use mamlx::nn::{Activation, Mlp, Policy};
use mamlx::spec::{Loss, Order, Reduction};

/// Irregular numbers of a size that suits each port.
pub fn data(plan: &Plan) -> Vec<Vec<f64>> {
    let of = |(i, port): (usize, &Port)| {
        let scale = match port.name.as_str() {
            "rate" => return vec![0.01],
            "theta" | "vector" => 0.3,
            name if name.starts_with("weight") => return vec![1.0 / port.size() as f64; port.size()],
            _ => 1.0,
        };
        (0..port.size()).map(|j| scale * (j as f64 * 1.37 + i as f64 * 0.61 + 0.2).sin()).collect()
    };
    plan.inputs.iter().enumerate().map(of).collect()
}

pub fn learner(order: Order, activation: Activation, hidden: &[usize]) -> Learner {
    Learner {
        model: Mlp::new(1, hidden, 1, activation).into(),
        loss: Loss::SquaredError,
        reduction: Reduction::Mean,
        order,
    }
}

pub fn policy() -> Policy {
    Policy { mlp: Mlp::new(7, &[20, 20], 3, Activation::Tanh), context: 0, init_std: 1.0, min_std: 1e-6 }
}

#[test]
fn supervised_meta_gradients() {
    for order in [Order::First, Order::Second] {
        for activation in [Activation::Relu, Activation::Tanh] {
            for (lead, steps) in [(&[][..], 1), (&[], 3), (&[4], 1)] {
                let build = || learner(order, activation, &[40, 40]).meta_gradient(lead, 10, 10, steps);
                compare(build, &data(&build()), 1e-6, 1e-4);
            }
        }
    }
}

#[test]
pub fn policy_gradients_curvature_and_fisher_products() {
    for lead in [&[][..], &[2]] {
        let plans: [&dyn Fn() -> Plan; 5] = [
            &|| policy().policy_gradient(lead, 50),
            &|| policy().policy_curvature(lead, 50),
            &|| policy().surrogate(lead, 50, true),
            &|| policy().fisher(lead, 50),
            &|| policy().act(lead, 1),
        ];
        for plan in plans {
            compare(plan, &data(&plan()), 1e-6, 1e-4);
        }
    }
}

#[test]
fn what_does_not_depend_on_the_vector_is_kept() {
    let plans: [&dyn Fn() -> Plan; 2] =
        [&|| policy().fisher(&[], 50), &|| policy().batch_fisher(2, 50, 50, 2, true)];
    for plan in plans {
        let (program, module) = (lower(plan()), Module::of(plan()));
        assert!(program.kept_bytes() > 0 && module.memory.kept_floats > 0);
        for stages in [program.describe(), module.describe()] {
            // The forward pass is not repeated for every vector.
            let [first, second] = stages.split_once("stage 2").map(|(a, b)| [a, b]).expect("two stages");
            assert!(first.contains("stage 1") && first.to_lowercase().contains("tanh"), "{stages}");
            assert!(!second.to_lowercase().contains("tanh"), "{stages}");
        }
    }
}

#[test]
fn the_first_stage_writes_what_depends_on_no_late_input() {
    for activation in [Activation::Relu, Activation::Tanh] {
        let build = || learner(Order::Second, activation, &[40, 40]).step_adjoint(&[], 10);
        compare(build, &data(&build()), 1e-6, 1e-4);
    }
    let plan = || learner(Order::Second, Activation::Tanh, &[9]).step_adjoint(&[], 4);
    let (program, inputs) = (lower(plan()), single(&data(&plan())));
    let whole = run(&program, &inputs);
    let (mut adapted, mut kept) = (vec![f32::NAN; whole[0].len()], program.kept());
    let mut given: Vec<&[f32]> = inputs.iter().map(|port| &port[..]).collect();
    given[4] = &[];
    let outputs: &mut [&mut [f32]] = &mut [&mut adapted, &mut []];
    program.prepare(&mut program.stage_scratch(), &mut kept, &given, outputs);
    assert_eq!(bits(&[adapted]), bits(&whole[..1]));
}

#[test]
fn the_same_bits_on_every_thread() {
    let build = || learner(Order::Second, Activation::Tanh, &[37, 53]).meta_gradient(&[], 9, 9, 2);
    let program: Program = lower(build());
    let inputs = single(&data(&build()));
    let first = bits(&run(&program, &inputs));
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..3).map(|_| scope.spawn(|| bits(&run(&program, &inputs)))).collect();
        for handle in handles {
            assert_eq!(handle.join().expect("no thread panics"), first);
        }
    });
    assert_eq!(bits(&run(&lower(build()), &inputs)), first, "and whenever it is lowered");
}

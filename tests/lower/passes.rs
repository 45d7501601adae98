//! Every pass, alone and all together, keeps the meaning of a plan.

use super::random_plans::random_plan;
use super::slices;
use mamlx::graph::eval::evaluate;
use mamlx::graph::{Op, Plan, Port, Shape, Tape, Window};
use mamlx::lower::draft::Draft;
use mamlx::lower::passes::{Pass, Pipeline, STANDARD};
use mamlx::lower::verify::verify;

fn close(found: &[Vec<f64>], exact: &[Vec<f64>]) -> bool {
    let scale = exact.iter().flatten().fold(1.0f64, |scale, x| scale.max(x.abs()));
    let gap = |(x, y): (&f64, &f64)| (x - y).abs() <= 1e-12 * scale;
    found.iter().flatten().zip(exact.iter().flatten()).all(gap)
}

#[test]
fn every_pass_keeps_the_meaning() {
    for seed in 0..300 {
        let (plan, inputs) = random_plan(seed);
        let exact = evaluate(&plan, &slices(&inputs));
        for number in 0..STANDARD.len() {
            let (mut plan, inputs) = random_plan(seed);
            let before = plan.dump();
            Pipeline(&STANDARD[number..=number]).apply(&mut plan);
            let found = evaluate(&plan, &slices(&inputs));
            let name = STANDARD[number].name();
            assert!(close(&found, &exact), "{name}, seed {seed}\n{before}\n{}", plan.dump());
        }
        let (mut plan, inputs) = random_plan(seed);
        Pipeline::standard().apply(&mut plan);
        assert!(close(&evaluate(&plan, &slices(&inputs)), &exact), "all, seed {seed}\n{}", plan.dump());
    }
}

fn passed(build: impl for<'t> Fn(&'t Tape) -> (Vec<Port>, Port)) -> String {
    let tape = Tape::new();
    let (inputs, output) = build(&tape);
    let mut plan = Plan::new("p", tape, inputs, vec![output]);
    Pipeline::standard().apply(&mut plan);
    plan.dump()
}

/// The ops of a dump, without inputs and constants.
fn ops(dump: &str) -> Vec<String> {
    let op = |line: &str| line.split(" = ").nth(1).filter(|_| line.starts_with('%')).map(str::to_string);
    let ops = dump.lines().filter_map(op).map(|op| op.split([' ', '%']).next().unwrap_or("").to_string());
    ops.filter(|op| op != "input" && op != "constant").collect()
}

#[test]
fn a_sum_over_a_product_of_repetitions_is_a_matrix_product() {
    let dump = passed(|tape| {
        let (a, b) = (tape.input(&[5, 7]), tape.input(&[7, 3]));
        let y = (a.reshape(&[5, 7, 1]) * b.reshape(&[1, 7, 3])).sum(&[1]);
        (vec![Port::single("a", a), Port::single("b", b)], Port::single("y", y))
    });
    assert_eq!(ops(&dump), ["matmul"], "{dump}");
}

#[test]
fn neutral_elements_and_double_negations_vanish() {
    let dump = passed(|tape| {
        let x = tape.input(&[4]);
        let y = -(-((x * 1.0 + 0.0) / 1.0 - 0.0)).stop_gradient().reshape(&[2, 2]).reshape(&[4]);
        (vec![Port::single("x", x)], Port::single("y", y))
    });
    assert_eq!(ops(&dump), [""; 0], "{dump}");
}

#[test]
fn a_choice_by_a_mask_of_numbers_asks_what_the_mask_asked() {
    let chosen = |yes: f64, no: f64| {
        passed(|tape| {
            let (a, b) = (tape.input(&[4]), tape.input(&[4]));
            let number = |x: f64| tape.full(x, a.shape);
            let y = a.less_than(b).select(number(yes), number(no)).select(a, b);
            (vec![Port::single("a", a), Port::single("b", b)], Port::single("y", y))
        })
    };
    let last = |dump: &str| dump.lines().last().unwrap().to_string();
    for (yes, no, expected) in [(0.0, 1.0, "%2 %1 %0"), (2.0, 0.0, "%2 %0 %1")] {
        let dump = chosen(yes, no);
        assert_eq!(ops(&dump), ["less_than", "select"], "{dump}");
        assert!(last(&dump).contains(expected), "{dump}");
    }
    assert_eq!(ops(&chosen(1.0, f64::NAN)).iter().filter(|op| *op == "select").count(), 2);
}

#[test]
fn batches_with_one_right_side_and_transposes_become_one_plain_product() {
    let dump = passed(|tape| {
        let (x, w) = (tape.input(&[8, 10, 4]), tape.input(&[6, 4]));
        let y = x.matmul(w.permute(&[1, 0])).reshape(&[80, 6]);
        (vec![Port::single("x", x), Port::single("w", w)], Port::single("y", y))
    });
    assert_eq!(ops(&dump), ["reshape", "matmul"], "{dump}");
}

#[test]
fn work_on_rows_and_on_the_same_rows_as_images_meets_in_one_space() {
    let dump = passed(|tape| {
        let (x, b) = (tape.input(&[12, 5]), tape.input(&[3, 2, 2, 5]));
        let y = ((x * x).reshape(&[3, 2, 2, 5]).relu() + b).reshape(&[12, 5]);
        (vec![Port::single("x", x), Port::single("b", b)], Port::single("y", y))
    });
    assert_eq!(ops(&dump), ["mul", "relu", "reshape", "add"], "{dump}");
}

#[test]
fn what_repeats_itself_among_images_stays_there() {
    // As in the second derivative of pooling: in the space of the rows the sum would have to be written out.
    let dump = passed(|tape| {
        let (x, z, top) = (tape.input(&[12, 5]), tape.input(&[12, 5]), tape.input(&[3, 1, 1, 5]));
        let [x_images, z_images] = [x, z].map(|rows| rows.relu().reshape(&[3, 2, 2, 5]));
        let y = (x_images + top.broadcast(Shape::new(&[3, 2, 2, 5]))) * z_images;
        (vec![Port::single("x", x), Port::single("z", z), Port::single("top", top)], Port::single("y", y))
    });
    let expected = ["relu", "reshape", "relu", "reshape", "expand", "add", "mul"];
    assert_eq!(ops(&dump), expected, "{dump}");
}

#[test]
fn a_sum_of_patches_is_folded_term_by_term() {
    let dump = passed(|tape| {
        let window = Window { kernel: [2; 2], stride: [1; 2], before: [0; 2], after: [0; 2] };
        let (a, b) = (tape.input(&[4, 8]), tape.input(&[4, 8]));
        let y = tape.apply(Op::Fold(window, [3, 3]), &[(a + b).reshape(&[1, 2, 2, 8])]);
        (vec![Port::single("a", a), Port::single("b", b)], Port::single("y", y))
    });
    assert_eq!(ops(&dump), ["reshape", "fold", "reshape", "fold", "add"], "{dump}");
}

#[test]
fn equal_expressions_are_computed_once() {
    let dump = passed(|tape| {
        let (x, y) = (tape.input(&[4]), tape.input(&[4]));
        let z = (x + y).tanh() * (y + x).tanh();
        (vec![Port::single("x", x), Port::single("y", y)], Port::single("z", z))
    });
    assert_eq!(ops(&dump), ["add", "tanh", "mul"], "{dump}");
}

#[test]
fn the_check_between_passes_refuses_illegal_graphs() {
    let (plan, _) = random_plan(3);
    let good = Draft::read(&plan.graph, &[]);
    assert_eq!(verify(&good), Ok(()));
    let mut late = good.clone();
    let last = late.steps.len() - 1;
    let step =
        late.steps.iter_mut().find(|s| !s.inputs.is_empty()).expect("a random plan computes something");
    step.inputs[0] = last;
    assert!(verify(&late).is_err(), "an input that comes later");
    let mut wrong = good.clone();
    let step = wrong.steps.iter_mut().find(|s| !s.inputs.is_empty()).expect("as above");
    step.shape = mamlx::graph::Shape::new(&[999]);
    assert!(verify(&wrong).is_err(), "a shape that is not its row's");
    let mut gone = good;
    gone.roots.push(usize::MAX);
    assert!(verify(&gone).is_err(), "a port that is gone");
}

#[test]
fn every_pass_has_its_own_name() {
    let mut names: Vec<&str> = STANDARD.iter().map(|pass: &&dyn Pass| pass.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), STANDARD.len());
}

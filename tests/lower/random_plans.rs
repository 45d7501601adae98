//! Random plans of every op: shared nodes, views of views, several outputs, late ports.

use mamlx::graph::{Op, Plan, Port, Shape, Tape, Var, Window};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SHAPES: [&[usize]; 13] = [
    &[],
    &[1],
    &[5],
    &[3, 4],
    &[4, 3],
    &[1, 4],
    &[3, 1],
    &[2, 3, 4],
    &[2, 1, 4],
    &[40, 6],
    &[7, 33],
    &[2, 2, 3, 1],
    &[2, 5, 4, 2],
];

pub fn number(rng: &mut ChaCha8Rng) -> f64 {
    let x: f64 = rng.random_range(0.1..1.5);
    if rng.random() { x } else { -x }
}

/// A plan and numbers for its ports, all a function of the seed.
pub fn random_plan(seed: u64) -> (Plan, Vec<Vec<f64>>) {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let tape = Tape::new();
    let (inputs, outputs) = {
        let mut vars: Vec<Var> = Vec::new();
        let mut inputs = Vec::new();
        for i in 0..rng.random_range(2..5) {
            let parts: Vec<(String, Var)> = (0..rng.random_range(1..3))
                .map(|p| (format!("part{p}"), tape.input(SHAPES[rng.random_range(0..SHAPES.len())])))
                .collect();
            vars.extend(parts.iter().map(|(_, v)| *v));
            let port = Port::new(&format!("in{i}"), &parts);
            inputs.push(if rng.random_range(0..4) == 0 { port.late() } else { port });
        }
        vars.push(tape.constant(number(rng)));
        vars.push(tape.full(number(rng), Shape::new(&[3, 4])));
        for _ in 0..rng.random_range(4..30) {
            if let Some(next) = step(rng, &vars) {
                vars.push(next);
            }
        }
        let mut outputs = Vec::new();
        for i in 0..rng.random_range(1..4) {
            let parts: Vec<(String, Var)> = (0..rng.random_range(1..3))
                .map(|p| {
                    // Mostly late nodes; sometimes an input, a constant or a node twice.
                    let recent = rng.random_range(0..8) > 0;
                    let from = if recent { vars.len() / 2 } else { 0 };
                    (format!("part{p}"), vars[rng.random_range(from..vars.len())])
                })
                .collect();
            outputs.push(Port::new(&format!("out{i}"), &parts));
        }
        (inputs, outputs)
    };
    let plan = Plan::new("random", tape, inputs, outputs);
    let data = plan.inputs.iter().map(|port| (0..port.size()).map(|_| number(rng)).collect()).collect();
    (plan, data)
}

/// One more node on randomly chosen ones, kept to moderate numbers.
fn step<'t>(rng: &mut ChaCha8Rng, vars: &[Var<'t>]) -> Option<Var<'t>> {
    let pick = |rng: &mut ChaCha8Rng| {
        let recent = rng.random_range(0..3) > 0 && vars.len() > 6;
        vars[rng.random_range(if recent { vars.len() - 6 } else { 0 }..vars.len())]
    };
    let x = pick(rng);
    let rank = x.shape.len();
    let axis = if rank > 0 { rng.random_range(0..rank) } else { 0 };
    Some(match rng.random_range(0..32) {
        0 => -x,
        1 => (x.square() + 1.0).recip(),
        2 => (x.square() + 0.5).sqrt(),
        3 => x.tanh().exp(),
        4 => (x.square() + 0.7).log(),
        5 => x.sin(),
        6 => x.tanh(),
        7 => x.relu(),
        8..=13 => {
            let y = fitting(rng, vars, x)?;
            match rng.random_range(0..6) {
                0 => x + y,
                1 => x - y,
                2 => x.tanh() * y.tanh(),
                3 => x / (y.square() + 1.0),
                4 => x.max(y),
                _ => x.less_than(y) * 0.5,
            }
        }
        14 => x * [0.0, 1.0, -1.0, 0.5][rng.random_range(0..4)] + [0.0, 0.3][rng.random_range(0..2)],
        15 => {
            let (yes, no) = (fitting(rng, vars, x)?, fitting(rng, vars, x)?);
            if yes.shape == x.shape && no.shape == x.shape { x.relu().select(yes, no) } else { return None }
        }
        16 | 17 if rank > 0 => x.sum_keep(&[axis]) * (1.0 / x.shape[axis] as f64),
        18 if rank > 0 => x.sum(&(0..rank).filter(|_| rng.random()).collect::<Vec<_>>()) * 0.1,
        19 if rank > 0 => x.max_keep(&[axis]),
        20 => {
            let n = x.shape.size();
            let divisor = [2, 3, 4, 6].into_iter().find(|d| n % d == 0)?;
            x.reshape(&[n / divisor, 1, divisor])
        }
        21 if rank > 1 => {
            let mut order: Vec<usize> = (0..rank).collect();
            order.swap(axis, rng.random_range(0..rank));
            x.permute(&order)
        }
        22 if rank < 4 => x.broadcast(Shape::new(&[&[2], &x.shape[..]].concat())),
        23 if rank > 0 && x.shape[axis] > 1 => {
            let start = rng.random_range(0..x.shape[axis] - 1);
            x.slice(axis, start, rng.random_range(start + 1..=x.shape[axis]))
        }
        24 if rank > 0 => x.pad(axis, rng.random_range(0..3), rng.random_range(0..2)),
        25 if rank > 0 => {
            let same: Vec<Var> = vars.iter().copied().filter(|v| v.shape == x.shape).take(3).collect();
            Var::concat(&same, axis)
        }
        26 if rank > 0 => x.gather(index(rng, x, 4)),
        27 if rank > 0 => x.scatter(index(rng, x, x.shape[0]), rng.random_range(1..6)) * 0.5,
        28 | 29 if rank > 1 => {
            let k = x.shape[rank - 1];
            let fits = |v: &&Var| {
                let n = v.shape.len();
                n == 2 && (v.shape[0] == k || v.shape[1] == k)
            };
            let candidates: Vec<Var> = vars.iter().filter(fits).copied().collect();
            let y = *candidates.get(rng.random_range(0..candidates.len().max(1)))?;
            // Also as a sum of products, which a pass has to recognise.
            if y.shape[0] == k && rng.random() {
                let left = x.reshape(&[&x.shape[..], &[1]].concat());
                (left * y).sum(&[rank - 1]) * 0.2
            } else {
                x.matmul_with(y, false, y.shape[0] != k) * 0.2
            }
        }
        30 | 31 if rank > 2 => windows(rng, x)?,
        _ => x.stop_gradient() * 0.5,
    })
}

/// Patches of an image, alone or multiplied, or an image of such patches.
fn windows<'t>(rng: &mut ChaCha8Rng, x: Var<'t>) -> Option<Var<'t>> {
    let mut pair = |low: usize, high: usize| [0; 2].map(|_| rng.random_range(low..high));
    let window = Window { kernel: pair(1, 4), stride: pair(1, 3), before: pair(0, 2), after: pair(0, 2) };
    let (_, image) = Window::image(x.shape)?;
    window.count(image)?;
    let patches = x.unfold(window);
    let rank = patches.shape.len();
    let patch = patches.shape[rank - 1];
    let flat = patches.reshape(&[patches.shape.size() / patch, patch]);
    Some(match rng.random_range(0..4) {
        0 => patches,
        1 => flat.matmul(flat.tanh().sum_keep(&[0]).reshape(&[patch, 1]) * 0.1),
        2 => flat.matmul_with(flat.sin(), true, false) * 0.1,
        _ => {
            let product = flat.tanh().matmul(flat.sin().slice(0, 0, 1).reshape(&[patch, 1])) * 0.1;
            let wide = product.matmul(flat.sin().slice(0, 0, 1)).reshape(&patches.shape);
            x.tape.apply(Op::Fold(window, [image.height, image.width]), &[wide])
        }
    })
}

/// A tensor that broadcasts with `x` to at most four axes.
fn fitting<'t>(rng: &mut ChaCha8Rng, vars: &[Var<'t>], x: Var<'t>) -> Option<Var<'t>> {
    let fits = |v: &&Var| {
        (1..=v.shape.len().min(x.shape.len())).all(|i| {
            let (a, b) = (v.shape[v.shape.len() - i], x.shape[x.shape.len() - i]);
            a == b || a == 1 || b == 1
        })
    };
    let candidates: Vec<Var> = vars.iter().filter(fits).copied().collect();
    candidates.get(rng.random_range(0..candidates.len().max(1))).copied()
}

/// Indices, some outside the table.
fn index<'t>(rng: &mut ChaCha8Rng, x: Var<'t>, count: usize) -> Var<'t> {
    let numbers: Vec<Var> =
        (0..count).map(|_| x.tape.constant(f64::from(rng.random_range(-1..6))).reshape(&[1])).collect();
    Var::concat(&numbers, 0)
}

#[test]
fn random_plans_compute_what_they_say() {
    for seed in 0..400 {
        let inputs = random_plan(seed).1;
        super::compare(|| random_plan(seed).0, &inputs, 1.0, 1e-5);
    }
}

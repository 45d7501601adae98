//! Convolutions and their two gradients, whose patches never exist as a whole.

use super::compare;
use mamlx::graph::{Op, Plan, Port, Tape, Var, Window};
use mamlx::lower::lower;

/// What a plan computes from images `[n, h, w, c]`, a matrix and a row.
type Build = for<'t> fn(Window, Var<'t>, Var<'t>, Var<'t>) -> Var<'t>;

/// Patches, one window a row.
fn flat(window: Window, x: Var) -> Var {
    let patches = x.unfold(window);
    let patch = patches.shape[3];
    patches.reshape(&[patches.shape.size() / patch, patch])
}

fn outputs<'t>(window: Window, x: Var<'t>, w: Var<'t>, _: Var<'t>) -> Var<'t> {
    flat(window, x).matmul(w)
}

fn biased<'t>(window: Window, x: Var<'t>, w: Var<'t>, b: Var<'t>) -> Var<'t> {
    flat(window, x).matmul(w) + b
}

fn turned<'t>(window: Window, x: Var<'t>, w: Var<'t>, _: Var<'t>) -> Var<'t> {
    flat(window, x).matmul_with(w.permute(&[1, 0]).tanh(), false, true)
}

/// ∂/∂W of ⟨outputs², 1⟩/2, so that outputs and patches meet.
fn weights<'t>(window: Window, x: Var<'t>, w: Var<'t>, b: Var<'t>) -> Var<'t> {
    let patches = flat(window, x);
    patches.matmul_with(patches.matmul(w) + b, true, false)
}

/// ∂/∂x of the same.
fn images<'t>(window: Window, x: Var<'t>, w: Var<'t>, b: Var<'t>) -> Var<'t> {
    let patches = x.unfold(window);
    let y = flat(window, x).matmul(w) + b;
    let adjoint = y.matmul_with(w, false, true).reshape(&patches.shape);
    x.tape.apply(Op::Fold(window, [x.shape[1], x.shape[2]]), &[adjoint])
}

fn plan(build: Build, window: Window, images: [usize; 4], filters: usize) -> Plan {
    let tape = Tape::new();
    let (inputs, output) = {
        let x = tape.input(&images);
        let patch = window.kernel[0] * window.kernel[1] * images[3];
        let (w, b) = (tape.input(&[patch, filters]), tape.input(&[filters]));
        let y = build(window, x, w, b);
        (vec![Port::single("x", x), Port::single("w", w), Port::single("b", b)], Port::single("y", y))
    };
    Plan::new("convolution", tape, inputs, vec![output])
}

fn data(plan: &Plan) -> Vec<Vec<f64>> {
    let port = |(i, port): (usize, &Port)| -> Vec<f64> {
        (0..port.size()).map(|j| (j as f64 * 0.731 + i as f64).sin() * 0.5).collect()
    };
    plan.inputs.iter().enumerate().map(port).collect()
}

#[test]
fn all_three_products_compute_what_they_say_for_every_kind_of_window() {
    let window = |kernel, stride, before, after| Window { kernel, stride, before, after };
    let windows = [
        window([3, 3], [1, 1], [1, 1], [1, 1]),
        window([3, 3], [2, 2], [0, 0], [1, 1]),
        window([3, 3], [2, 2], [0, 0], [0, 0]),
        window([2, 3], [1, 2], [1, 0], [0, 1]),
        window([1, 1], [1, 1], [0, 0], [0, 0]),
        window([1, 2], [3, 3], [0, 0], [0, 0]),
        window([5, 5], [1, 1], [3, 4], [4, 3]),
    ];
    for (case, window) in windows.into_iter().enumerate() {
        for (images_of, filters) in [
            ([2, 5, 6, 1], 3),
            ([1, 7, 5, 3], 16),
            ([3, 6, 6, 16], 20),
            ([2, 5, 5, 17], 1),
            ([1, 5, 7, 33], 40),
        ] {
            for build in [outputs, biased, turned, weights, images] as [Build; 5] {
                let of = || plan(build, window, images_of, filters);
                compare(of, &data(&of()), 1.0, 5e-6);
            }
        }
        // Nothing is unfolded or folded outside of the products.
        for build in [outputs, biased, weights, images] as [Build; 4] {
            let text = lower(plan(build, window, [2, 6, 6, 4], 5)).describe();
            assert!(!text.contains("fold "), "case {case}: {text}");
        }
    }
}

#[test]
fn patches_of_more_than_one_step_add_up() {
    // 2 x 30 rows of 30 windows of 72 floats: several times what is laid out at once.
    let window = Window { kernel: [3, 3], stride: [1, 1], before: [1, 1], after: [1, 1] };
    for build in [biased, weights, images] as [Build; 3] {
        let of = || plan(build, window, [2, 30, 30, 8], 12);
        compare(of, &data(&of()), 1.0, 2e-5);
    }
}

#[test]
fn patches_that_something_else_reads_exist() {
    let window = Window { kernel: [2, 2], stride: [1, 1], before: [0, 0], after: [0, 0] };
    let both: Build = |window, x, w, b| {
        let patches = flat(window, x);
        patches.tanh().matmul(w) + patches.matmul(w) + b
    };
    let shown: Build = |window, x, _, _| flat(window, x);
    let right: Build = |window, x, w, _| {
        let patches = flat(window, x);
        w.matmul_with(patches, true, true)
    };
    let twice: Build = |window, x, w, b| {
        // A product that a fold reads, but not it alone.
        let y = flat(window, x).matmul(w) + b;
        let adjoint = y.matmul_with(w, false, true);
        let patches = x.unfold(window);
        let folded =
            x.tape.apply(Op::Fold(window, [x.shape[1], x.shape[2]]), &[adjoint.reshape(&patches.shape)]);
        folded.sum_all() + adjoint.tanh().sum_all()
    };
    for build in [both, shown, right, twice] {
        let of = || plan(build, window, [2, 4, 5, 3], 7);
        compare(of, &data(&of()), 1.0, 5e-6);
    }
}

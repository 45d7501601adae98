//! Patches of images and their adjoint: with them a convolution is a matrix product (im2col; Chellapilla, Puri and
//! Simard 2006), and so are its two gradients.

use super::{Row, Sample, expect};
use crate::graph::{Op, Window};

pub static UNFOLD: Row = Row {
    name: "unfold",
    formula: "y[…, i, j, (p, q, c)] = a[…, i s + p - before, j s + q - before, c], 0 outside",
    adjoint: "g folded to the size of a",
    shape: |op, shapes| {
        let [a] = expect::<1>(shapes)?;
        let Op::Unfold(window) = op else { return Err("not an unfolding".into()) };
        let (_, image) = Window::image(a).ok_or("takes images […, height, width, channels]")?;
        let [down, across] = window.count(image).ok_or("the window does not fit into the image")?;
        let rank = a.len();
        Ok(a.with(rank - 3, down).with(rank - 2, across).with(rank - 1, window.patch(image)))
    },
    eval: |op, shape, args| {
        let mut out = vec![0.0; shape.size()];
        let (Op::Unfold(window), Some((images, image))) = (op, Window::image(args[0].shape)) else {
            return out;
        };
        let (from, to) = (args[0].data.len() / images.max(1), out.len() / images.max(1));
        for n in 0..images {
            window.runs(image, |run| {
                let source = &args[0].data[n * from + run.image..][..run.length];
                out[n * to + run.patch..][..run.length].copy_from_slice(source);
            });
        }
        out
    },
    derivative: |p| {
        let Op::Unfold(window) = p.op else { return vec![None] };
        let shape = p.inputs[0].shape;
        let size = [shape[shape.len() - 3], shape[shape.len() - 2]];
        vec![Some(p.adjoint.tape.apply(Op::Fold(window, size), &[p.adjoint]))]
    },
    samples: || {
        samples().into_iter().map(|(window, images, _)| Sample::of(Op::Unfold(window), &[&images])).collect()
    },
};

pub static FOLD: Row = Row {
    name: "fold",
    formula: "y[…, u, v, c] = Σ a[…, i, j, (p, q, c)] over i s + p - before = u and j s + q - before = v",
    adjoint: "g unfolded",
    shape: |op, shapes| {
        let [a] = expect::<1>(shapes)?;
        let Op::Fold(window, [height, width]) = op else { return Err("not a folding".into()) };
        let taps = window.kernel[0] * window.kernel[1];
        let (_, patches) = Window::image(a).ok_or("takes patches […, down, across, patch]")?;
        if taps == 0 || patches.channels % taps != 0 {
            return Err(format!("a patch of {} floats is not {taps} equal taps", patches.channels));
        }
        let rank = a.len();
        let to = a.with(rank - 3, *height).with(rank - 2, *width).with(rank - 1, patches.channels / taps);
        match Window::image(to).and_then(|(_, image)| window.count(image)) {
            Some(count) if count == [patches.height, patches.width] => Ok(to),
            _ => Err(format!("an image of {height} x {width} has other windows")),
        }
    },
    eval: |op, shape, args| {
        let mut out = vec![0.0; shape.size()];
        let (Op::Fold(window, _), Some((images, image))) = (op, Window::image(shape)) else { return out };
        let (from, to) = (args[0].data.len() / images.max(1), out.len() / images.max(1));
        for n in 0..images {
            window.runs(image, |run| {
                let source = &args[0].data[n * from + run.patch..][..run.length];
                let sums = &mut out[n * to + run.image..][..run.length];
                sums.iter_mut().zip(source).for_each(|(sum, x)| *sum += x);
            });
        }
        out
    },
    derivative: |p| {
        let Op::Fold(window, _) = p.op else { return vec![None] };
        vec![Some(p.adjoint.tape.apply(Op::Unfold(window), &[p.adjoint]))]
    },
    samples: || {
        let of = |(window, images, patches): (Window, [usize; 4], [usize; 4])| {
            Sample::of(Op::Fold(window, [images[1], images[2]]), &[&patches])
        };
        samples().into_iter().map(of).collect()
    },
};

/// Windows with the shapes of their images and patches: overlapping and padded, unequally padded, with gaps, and
/// reaching over padding alone.
fn samples() -> Vec<(Window, [usize; 4], [usize; 4])> {
    let window = |kernel, stride, before, after| Window { kernel, stride, before, after };
    vec![
        (window([3, 3], [1, 1], [1, 1], [1, 1]), [1, 2, 3, 1], [1, 2, 3, 9]),
        (window([3, 2], [2, 2], [0, 1], [1, 0]), [1, 4, 3, 2], [1, 2, 2, 12]),
        (window([1, 2], [2, 3], [0, 0], [0, 0]), [2, 3, 5, 1], [2, 2, 2, 2]),
        (window([1, 1], [1, 1], [1, 0], [0, 1]), [1, 1, 2, 2], [1, 2, 3, 2]),
    ]
}

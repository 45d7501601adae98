//! Which patches need not exist: those that only matrix products read, and those that only a fold reads.

use crate::graph::Op;
use crate::lower::doors::Doors;
use crate::lower::draft::Draft;

/// What the steps that are part of a convolution kernel are to it.
#[derive(Clone, Debug, Default)]
pub struct Patches {
    /// Steps without a buffer: unfolds whose readers all multiply them, and products that a fold or the addition of a
    /// bias takes in.
    pub absent: Vec<bool>,
    /// For a product the unfold that is its left side; for a fold or an addition the product that it takes in.
    pub source: Vec<Option<usize>>,
}

impl Patches {
    pub fn of(draft: &Draft, doors: &Doors) -> Patches {
        let count = draft.steps.len();
        let mut readers: Vec<Vec<usize>> = vec![Vec::new(); count];
        for (at, step) in draft.steps.iter().enumerate() {
            step.inputs.iter().for_each(|input| readers[*input].push(at));
        }
        let mut shown = vec![false; count];
        doors.results.iter().for_each(|(step, _)| shown[*step] = true);
        let mut patches = Patches { absent: vec![false; count], source: vec![None; count] };
        for (at, step) in draft.steps.iter().enumerate() {
            if !matches!(step.op, Op::Fold(..)) || step.shape.size() == 0 {
                continue;
            }
            // A product that nothing else reads, of sides that lie in memory.
            let mut from = step.inputs[0];
            while matches!(draft.steps[from].op, Op::Reshape(_)) && readers[from].len() == 1 && !shown[from] {
                from = draft.steps[from].inputs[0];
            }
            let product = &draft.steps[from];
            let plain = |side: &usize| unfolded(draft, *side).is_none();
            if matches!(product.op, Op::MatMul { .. })
                && product.shape.len() == 2
                && readers[from].len() == 1
                && !shown[from]
                && draft.steps[product.inputs[0]].shape.size() > 0
                && product.inputs.iter().all(plain)
            {
                patches.absent[from] = true;
                patches.source[at] = Some(from);
            }
        }
        for (at, step) in draft.steps.iter().enumerate() {
            if !matches!(step.op, Op::Unfold(_)) || step.shape.size() == 0 {
                continue;
            }
            let mut products = Vec::new();
            let mut open = vec![at];
            let mut all = true;
            while let Some(next) = open.pop() {
                all &= !shown[next];
                for reader in &readers[next] {
                    let read = &draft.steps[*reader];
                    match read.op {
                        Op::Reshape(_) => open.push(*reader),
                        Op::MatMul { .. } if patches.multiplies(draft, *reader, next, at) => {
                            products.push(*reader)
                        }
                        _ => all = false,
                    }
                }
            }
            if all {
                patches.absent[at] = true;
                for product in products {
                    patches.source[product] = Some(at);
                    if let Some(sum) = biased(draft, &readers, &shown, product) {
                        patches.absent[product] = true;
                        patches.source[sum] = Some(product);
                    }
                }
            }
        }
        patches
    }

    /// Whether the product reads the patches as its left side only, one window a row.
    fn multiplies(&self, draft: &Draft, product: usize, side: usize, unfold: usize) -> bool {
        let (step, shape) = (&draft.steps[product], draft.steps[side].shape);
        let patch = draft.steps[unfold].shape.last();
        let right = step.inputs[1];
        step.inputs[0] == side
            && unfolded(draft, right).is_none()
            && shape.len() == 2
            && shape.last() == patch
            && step.shape.size() > 0
            && !self.absent[product]
    }
}

/// The addition of one row to every row of a convolution's outputs, where nothing else reads them.
fn biased(draft: &Draft, readers: &[Vec<usize>], shown: &[bool], product: usize) -> Option<usize> {
    let outputs = matches!(draft.steps[product].op, Op::MatMul { transpose_a: false, .. });
    let [sum] = readers[product][..] else { return None };
    let step = &draft.steps[sum];
    let row = match step.op {
        Op::Add if step.inputs[0] == product => step.inputs[1],
        _ => return None,
    };
    let width = step.shape[1];
    // The row has to lie in memory as it is.
    let repeated = match draft.steps[row].op {
        Op::Expand(_) => {
            let mut from = draft.steps[row].inputs[0];
            let whole = draft.steps[from].shape[..] == [1, width];
            while let Op::Reshape(_) = draft.steps[from].op {
                from = draft.steps[from].inputs[0];
            }
            whole && !matches!(draft.steps[from].op, Op::Permute(_) | Op::Slice { .. } | Op::Expand(_))
        }
        _ => false,
    };
    (outputs && repeated && !shown[product]).then_some(sum)
}

/// The unfold whose patches a step shows under some shape.
fn unfolded(draft: &Draft, mut at: usize) -> Option<usize> {
    loop {
        match draft.steps[at].op {
            Op::Reshape(_) => at = draft.steps[at].inputs[0],
            Op::Unfold(_) => return Some(at),
            _ => return None,
        }
    }
}

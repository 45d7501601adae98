//! What is computed a second time, so that large results need not be kept for long.

use super::conv::Conv;
use super::kernel::{Access, Kernel};
use super::pieces::Cut;
use std::collections::{BTreeMap, HashMap};

/// The result of a short convolution is computed again where it is not wanted for so many kernels.
const LATE: usize = 64;

/// The convolutions of a stage that may be repeated: short ones of what is there anyway, with large results.
pub fn candidates(
    kernels: &[Kernel],
    size: &dyn Fn(usize) -> usize,
    outside: impl Fn(usize) -> bool,
    large: usize,
) -> Vec<Conv> {
    let convs = kernels.iter().filter_map(|kernel| match kernel {
        Kernel::Conv(conv) => Some(conv.as_ref()),
        _ => None,
    });
    let may = |conv: &&Conv| {
        let (from, to) = (conv.pictures.base as usize, conv.to.base as usize);
        conv.is_short() && size(to) >= large && outside(from) && !outside(to)
    };
    convs.filter(may).cloned().collect()
}

/// Repeats the candidates of each stage whose results are wanted late. New buffers come after so many others.
pub fn repeat_late(cut: &mut Cut, candidates: [Vec<Conv>; 2], size: &dyn Fn(usize) -> usize, buffers: usize) {
    for (kernels, candidates) in cut.stages.iter_mut().zip(candidates) {
        let mut reads: HashMap<u32, Vec<usize>> = HashMap::new();
        for (at, kernel) in kernels.iter_mut().enumerate() {
            kernel.addresses(&mut |address, access, _| {
                if access == Access::Read {
                    reads.entry(address.base).or_default().push(at);
                }
            });
        }
        let mut again: BTreeMap<usize, Vec<Kernel>> = BTreeMap::new();
        for mut conv in candidates {
            let old = conv.to.base;
            let readers = reads.get(&old).map_or(&[][..], Vec::as_slice);
            let widest = readers.windows(2).max_by_key(|pair| pair[1] - pair[0]);
            let Some(late) = widest.filter(|pair| pair[1] - pair[0] >= LATE).map(|pair| pair[1]) else {
                continue;
            };
            let new = buffers + cut.sizes.len();
            cut.sizes.insert(new, size(old as usize));
            conv.to.base = new as u32;
            for reader in readers.iter().filter(|reader| **reader >= late) {
                kernels[*reader].addresses(&mut |address, access, _| {
                    if access == Access::Read && address.base == old {
                        address.base = new as u32;
                    }
                });
            }
            again.entry(late).or_default().push(Kernel::Conv(Box::new(conv)));
        }
        let with = |(at, kernel)| again.remove(&at).unwrap_or_default().into_iter().chain([kernel]);
        *kernels = std::mem::take(kernels).into_iter().enumerate().flat_map(with).collect();
    }
}

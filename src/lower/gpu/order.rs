//! What of a program may run at the same time.
//!
//! Kernels are in an order that is right one after the other. A kernel has to wait for those before it that write what it
//! reads, or read or write what it writes; places in memory are used again, so that memory decides, not tensors. On a
//! device with several queues ("branches"), kernels that need not wait for one another are given to different ones.

use super::Module;
use super::kernel::Kernel;
use std::ops::Range;

/// A part of memory that a kernel touches.
struct Touch {
    memory: usize,
    floats: Range<usize>,
    written: bool,
}

fn touches(module: &Module, kernel: &Kernel) -> Vec<Touch> {
    let mut touches: Vec<Touch> = kernel
        .tensors
        .iter()
        .map(|tensor| {
            let place = module.memory.places[&tensor.buffer];
            Touch { memory: place.memory, floats: place.offset..place.offset, written: tensor.written }
        })
        .collect();
    for (tensor, reach) in kernel.reaches() {
        let floats = &mut touches[tensor].floats;
        floats.end = floats.end.max(floats.start + reach);
    }
    touches
}

fn meet(a: &Touch, b: &Touch) -> bool {
    let overlap = a.floats.start < b.floats.end && b.floats.start < a.floats.end;
    a.memory == b.memory && overlap && (a.written || b.written)
}

/// For every kernel of a stage the earlier ones that it has to wait for.
pub fn after(module: &Module, stage: usize) -> Vec<Vec<usize>> {
    let all: Vec<Vec<Touch>> = module.stages[stage].iter().map(|kernel| touches(module, kernel)).collect();
    let waits = |number: usize| {
        let own = &all[number];
        (0..number).filter(|before| all[*before].iter().any(|a| own.iter().any(|b| meet(a, b)))).collect()
    };
    (0..all.len()).map(waits).collect()
}

/// Where and after what a kernel runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    pub branch: usize,
    /// Kernels on other branches that are not known to be done when those before it on its own are.
    pub waits: Vec<usize>,
    /// Whether a kernel on another branch waits for it.
    pub marked: bool,
}

/// Gives kernels to branches; `after` says what each has to wait for. A kernel follows the latest of these if nothing else
/// does yet; else it goes where the last kernel is the oldest.
pub fn turns(after: &[&[usize]], branches: usize) -> Vec<Turn> {
    let mut turns: Vec<Turn> = vec![Turn::default(); after.len()];
    let mut last: Vec<Option<usize>> = vec![None; branches];
    // For each kernel, up to which kernel of each branch all are done when it is.
    let mut known: Vec<Vec<Option<usize>>> = Vec::with_capacity(after.len());
    for (number, before) in after.iter().enumerate() {
        let follows = before.iter().rev().find_map(|b| last.iter().position(|last| *last == Some(*b)));
        let oldest = (0..branches).min_by_key(|branch| last[*branch]).expect("there is a branch");
        let branch = follows.unwrap_or(oldest);
        let mut done = last[branch].map_or(vec![None; branches], |last: usize| known[last].clone());
        let mut waits = vec![];
        for other in before.iter().rev() {
            let on = turns[*other].branch;
            if done[on] < Some(*other) {
                waits.push(*other);
                let theirs = &known[*other];
                done.iter_mut().zip(theirs).for_each(|(done, theirs)| *done = (*done).max(*theirs));
            }
        }
        waits.iter().for_each(|other| turns[*other].marked = true);
        done[branch] = Some(number);
        known.push(done);
        last[branch] = Some(number);
        turns[number] = Turn { branch, waits, marked: false };
    }
    turns
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever the branches, everything that a kernel waits for is done before it.
    #[test]
    fn nothing_runs_before_what_it_waits_for() {
        let after: Vec<Vec<usize>> =
            (0..60usize).map(|n| (0..n).filter(|m| (n * 7 + m * 13) % 11 == 0).collect()).collect();
        let after: Vec<&[usize]> = after.iter().map(|a| &a[..]).collect();
        for branches in 1..5 {
            let turns = turns(&after, branches);
            // done[n]: everything that has to be done before n starts, by branches and waits alone.
            let mut done: Vec<Vec<bool>> = vec![];
            for (number, turn) in turns.iter().enumerate() {
                let mut before = vec![false; number];
                let own = (0..number).rev().find(|other| turns[*other].branch == turn.branch);
                for other in turn.waits.iter().copied().chain(own) {
                    assert!(own == Some(other) || turns[other].marked);
                    before[other] = true;
                    done[other].iter().enumerate().for_each(|(at, is)| before[at] |= is);
                }
                assert!(after[number].iter().all(|other| before[*other]), "{number} on {branches}");
                done.push(before);
            }
            assert!(branches == 1 || turns.iter().any(|turn| turn.branch > 0));
        }
    }
}

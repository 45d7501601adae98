//! Threads that share work by task, and programs that they share.

use super::team::Team;
use crate::error::{Error, Result};
use crate::graph::Plan;
use crate::lower::executable::Scratch;
use crate::lower::{Device, Executable, Program};
use std::sync::{Mutex, MutexGuard};

/// A fixed number of threads, the caller's among them; each has its own `W` (a plugin instance, buffers).
///
/// Which thread takes which item is left to chance; results do not depend on it, because an item's result is a
/// function of the item alone and is stored at the item's place.
pub struct Workers<W> {
    team: Team,
    own: Vec<Mutex<W>>,
}

impl<W: Send> Workers<W> {
    /// One thread for each `own`; the first is that of the caller.
    pub fn new(own: Vec<W>) -> Result<Workers<W>> {
        let team = Team::new(own.len());
        let team = team.map_err(|e| Error::Run(format!("cannot start {} threads: {e}", own.len())))?;
        Ok(Workers { team, own: own.into_iter().map(Mutex::new).collect() })
    }

    pub fn count(&self) -> usize {
        self.own.len()
    }

    /// Calls `work(thread number, its own data, item number, item)` once for every item.
    ///
    /// The caller takes items itself, so that short work need not wait for a thread to wake up. Every item is tried; the
    /// error of the first item that failed is returned, whatever the order was.
    pub fn each<I: Send>(
        &self,
        items: &mut [I],
        work: impl Fn(usize, &mut W, usize, &mut I) -> Result<()> + Sync,
    ) -> Result<()> {
        let queue = Mutex::new(items.iter_mut().enumerate());
        let failed: Mutex<Option<(usize, Error)>> = Mutex::new(None);
        let take = |thread: usize| {
            let own = &mut *lock(&self.own[thread]);
            loop {
                let next = lock(&queue).next();
                let Some((number, item)) = next else { return };
                if let Err(error) = work(thread, own, number, item) {
                    let mut failed = lock(&failed);
                    if failed.as_ref().is_none_or(|(first, _)| number < *first) {
                        *failed = Some((number, error));
                    }
                }
            }
        };
        self.team.run(&take);
        let failed = lock(&failed).take();
        failed.map_or(Ok(()), |(_, error)| Err(error))
    }

    /// Looks at every thread's own data, in order, while no item is being worked on.
    pub fn visit(&self, mut look: impl FnMut(&mut W)) {
        for thread in 0..self.count() {
            look(&mut *lock(&self.own[thread]));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A poisoned lock only says that another item's work panicked; that panic is passed on by the team anyway.
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A program with one working memory for each thread.
pub struct Shared {
    pub program: Executable,
    scratch: Vec<Mutex<Scratch>>,
}

impl Shared {
    /// A program on the processor.
    pub fn new(program: Program, threads: usize) -> Shared {
        let scratch = (0..threads).map(|_| Mutex::new(Scratch::Cpu(program.scratch()))).collect();
        Shared { program: program.into(), scratch }
    }

    /// A plan, lowered for a device.
    ///
    /// Errors: [`Error::Run`] where the device has not the memory.
    pub fn on(device: &Device, plan: Plan, threads: usize) -> Result<Shared> {
        let program = device.lower(plan)?;
        let scratch: Result<Vec<_>> = (0..threads).map(|_| program.scratch().map(Mutex::new)).collect();
        Ok(Shared { scratch: scratch?, program })
    }

    /// Working memory of all threads.
    pub fn bytes(&self) -> u64 {
        (self.scratch.len() * self.program.scratch_bytes()) as u64
    }

    /// The working memory of a thread.
    pub fn scratch(&self, thread: usize) -> MutexGuard<'_, Scratch> {
        lock(&self.scratch[thread])
    }

    /// Runs the whole program on this thread's memory; see [`Executable::run`].
    pub fn run(&self, thread: usize, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) -> Result<()> {
        self.program.run(&mut self.scratch(thread), inputs, outputs)
    }
}

//! Threads that share work by task, and programs that they share.

use crate::error::{Error, Result};
use crate::graph::Plan;
use crate::lower::executable::Scratch;
use crate::lower::{Device, Executable, Program};
use rayon::prelude::*;
use std::sync::{Mutex, MutexGuard};

/// A fixed number of threads; each has its own `W` (a plugin instance, buffers).
///
/// Which thread takes which item is left to chance; results do not depend on it, because an item's result is a
/// function of the item alone and is stored at the item's place.
pub struct Workers<W> {
    pool: rayon::ThreadPool,
    own: Vec<Mutex<W>>,
}

impl<W: Send> Workers<W> {
    /// One thread for each `own`.
    pub fn new(own: Vec<W>) -> Result<Workers<W>> {
        let builder =
            rayon::ThreadPoolBuilder::new().num_threads(own.len()).thread_name(|i| format!("worker {i}"));
        let pool =
            builder.build().map_err(|e| Error::Run(format!("cannot start {} threads: {e}", own.len())))?;
        Ok(Workers { pool, own: own.into_iter().map(Mutex::new).collect() })
    }

    pub fn count(&self) -> usize {
        self.own.len()
    }

    /// Calls `work(thread number, its own data, item number, item)` once for every item.
    ///
    /// Every item is tried; the error of the first item that failed is returned, whatever the order was.
    pub fn each<I: Send>(
        &self,
        items: &mut [I],
        work: impl Fn(usize, &mut W, usize, &mut I) -> Result<()> + Sync,
    ) -> Result<()> {
        let results: Vec<Result<()>> = self.pool.install(|| {
            let one = |(number, item): (usize, &mut I)| {
                let thread = rayon::current_thread_index().unwrap_or(0);
                work(thread, &mut self.own(thread), number, item)
            };
            items.par_iter_mut().with_max_len(1).enumerate().map(one).collect()
        });
        results.into_iter().collect()
    }

    /// Looks at every thread's own data, in order, while no item is being worked on.
    pub fn visit(&self, mut look: impl FnMut(&mut W)) {
        for thread in 0..self.count() {
            look(&mut self.own(thread));
        }
    }

    fn own(&self, thread: usize) -> MutexGuard<'_, W> {
        // A poisoned lock only says that another item's work panicked; that panic is passed on by rayon anyway.
        self.own[thread].lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
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
        self.scratch[thread].lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Runs the whole program on this thread's memory; see [`Executable::run`].
    pub fn run(&self, thread: usize, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) -> Result<()> {
        self.program.run(&mut self.scratch(thread), inputs, outputs)
    }
}

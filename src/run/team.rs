//! Threads that wait for short work without sleeping.
//!
//! A meta-step of a small model takes a tenth of a millisecond, and a thread that sleeps needs a third of that to
//! wake up. So the threads of a team look for work for a moment before they sleep, and the caller works too.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle, Thread};

/// Looks before a thread sleeps: about 50 microseconds.
const LOOKS: usize = 3000;

/// A fixed number of threads, the caller's among them.
pub struct Team {
    shared: Arc<Shared>,
    others: Vec<JoinHandle<()>>,
    /// One piece of work at a time.
    turn: Mutex<()>,
}

#[derive(Default)]
struct Shared {
    work: Mutex<Option<Work>>,
    /// Counts the pieces of work.
    number: AtomicU64,
    /// Threads that have not finished the current piece.
    busy: AtomicUsize,
    stop: AtomicBool,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

#[derive(Clone)]
struct Work {
    run: &'static (dyn Fn(usize) + Sync),
    caller: Thread,
}

impl Team {
    /// A team of `threads`, at least the caller's own.
    pub fn new(threads: usize) -> std::io::Result<Team> {
        let shared = Arc::new(Shared::default());
        let start = |number: usize| {
            let shared = shared.clone();
            thread::Builder::new().name(format!("worker {number}")).spawn(move || shared.serve(number))
        };
        // A team that is not complete ends the threads that it has.
        let mut team = Team { shared: shared.clone(), others: vec![], turn: Mutex::new(()) };
        for number in 1..threads {
            team.others.push(start(number)?);
        }
        Ok(team)
    }

    /// Calls `run(thread number)` once on every thread and waits for all of them. A panic of any is passed on.
    pub fn run(&self, run: &(dyn Fn(usize) + Sync)) {
        let _turn = lock(&self.turn);
        // SAFETY: only the lifetime changes. Threads use the reference between being told of the work and saying that
        // they have finished it, and `Finish` waits for that before this function is left, by a panic too.
        let run: &'static (dyn Fn(usize) + Sync) = unsafe { std::mem::transmute(run) };
        *lock(&self.shared.panic) = None;
        *lock(&self.shared.work) = Some(Work { run, caller: thread::current() });
        self.shared.busy.store(self.others.len(), Ordering::Relaxed);
        self.shared.number.fetch_add(1, Ordering::Release);
        self.others.iter().for_each(|other| other.thread().unpark());
        let finish = Finish(&self.shared);
        run(0);
        drop(finish);
        if let Some(panic) = lock(&self.shared.panic).take() {
            resume_unwind(panic);
        }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.shared.number.fetch_add(1, Ordering::Release);
        for other in self.others.drain(..) {
            other.thread().unpark();
            let _ = other.join();
        }
    }
}

/// Waits for the other threads.
struct Finish<'a>(&'a Shared);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        wait(|| self.0.busy.load(Ordering::Acquire) == 0);
        *lock(&self.0.work) = None;
    }
}

impl Shared {
    fn serve(&self, number: usize) {
        let mut seen = 0;
        loop {
            wait(|| self.number.load(Ordering::Acquire) != seen);
            seen += 1;
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let work = lock(&self.work).clone();
            let Some(Work { run, caller }) = work else { continue };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(number))) {
                *lock(&self.panic) = Some(panic);
            }
            if self.busy.fetch_sub(1, Ordering::AcqRel) == 1 {
                caller.unpark();
            }
        }
    }
}

/// Looks again and again for a moment, then sleeps until the thread is unparked.
fn wait(ready: impl Fn() -> bool) {
    for _ in 0..LOOKS {
        if ready() {
            return;
        }
        std::hint::spin_loop();
    }
    while !ready() {
        thread::park();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is whole whenever they are free; a panic is passed on by its own way.
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

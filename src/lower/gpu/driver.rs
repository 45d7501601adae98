//! What a GPU driver offers: it takes modules, and runs them on flat slices.

use super::Module;
use crate::error::{Error, Result};
use crate::lower::program::PortInfo;
use std::any::Any;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// An opened device.
pub trait Driver: Send + Sync {
    /// The device in a few words, such as its name and driver.
    fn name(&self) -> String;

    /// Bytes that one memory of a program may have.
    fn limit(&self) -> u64;

    /// Compiles a module's kernels; equal texts once.
    fn load(self: Arc<Self>, module: Module) -> Result<Box<dyn Loaded>>;
}

/// A module on a device. Any number of threads run it, each with its own scratch.
pub trait Loaded: Send + Sync {
    /// One thread's memory, which holds what the first stage keeps, too.
    fn scratch(&self) -> Result<Memory>;

    /// Storage for what the first stage computes.
    fn kept(&self) -> Result<Memory>;

    /// Runs stages in one submission and waits for it: writes the inputs that they read, and fills the outputs that are not
    /// empty slices. An input that is an empty slice stays what an earlier run with the same scratch wrote. `kept` is the
    /// scratch's own if none is given.
    fn run(
        &self,
        stages: Range<usize>,
        scratch: &mut Memory,
        kept: Option<&Memory>,
        inputs: &[&[f32]],
        outputs: &mut [&mut [f32]],
    ) -> Result<()>;

    /// Runs both stages kernel by kernel: what each does and how long it took. Nothing where the driver cannot tell.
    fn profile(&self, _scratch: &mut Memory, _inputs: &[&[f32]]) -> Result<Vec<(String, Duration)>> {
        Ok(vec![])
    }
}

/// Memory of a device; only its driver knows what is inside.
pub struct Memory(pub Box<dyn Any + Send + Sync>);

impl Memory {
    /// # Panics
    /// When the memory is another driver's: a fault of the caller's code.
    pub fn of<T: 'static>(&self) -> &T {
        self.0.downcast_ref().expect("this memory was made by another driver")
    }

    /// # Panics
    /// As [`of`](Memory::of).
    pub fn of_mut<T: 'static>(&mut self) -> &mut T {
        self.0.downcast_mut().expect("this memory was made by another driver")
    }
}

/// Which inputs a run writes. The first stage takes over all that it is given, because what only the second reads may be
/// left out there.
pub struct Sent {
    /// Whether the second stage reads a port.
    late: Vec<bool>,
}

impl Sent {
    pub fn of(module: &Module) -> Sent {
        let places = &module.memory;
        let tensors = module.stages[1].iter().flat_map(|kernel| &kernel.tensors);
        let read: Vec<usize> = tensors
            .map(|tensor| places.places[&tensor.buffer])
            .filter(|place| place.memory == super::memory::SCRATCH)
            .map(|place| place.offset)
            .collect();
        let ports = module.inputs.iter().zip(&places.inputs);
        let late = |(port, start): (&PortInfo, &usize)| {
            read.iter().any(|at| (*start..*start + port.size()).contains(at))
        };
        Sent { late: ports.map(late).collect() }
    }

    /// Whether a run of these stages writes a port that it is given so much for.
    pub fn takes(&self, stages: &Range<usize>, port: usize, data: &[f32]) -> bool {
        !data.is_empty() && (stages.start == 0 || self.late[port])
    }
}

/// Refuses a module whose memory a device cannot hold.
pub fn fits(module: &Module, limit: u64, device: &str) -> Result<()> {
    let bytes = 4 * module.memory.scratch_floats.max(module.memory.kept_floats) as u64;
    if bytes <= limit { Ok(()) } else { Err(too_large(module, bytes, Some(limit), device)) }
}

/// Memory that there is not: what it is for, how large, and what would make it smaller.
pub fn too_large(module: &Module, bytes: u64, limit: Option<u64>, device: &str) -> Error {
    let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / (1 << 20) as f64);
    let limit =
        limit.map_or("what is free".into(), |limit| format!("the {} that it gives one buffer", mib(limit)));
    let largest = match &module.memory.largest {
        Some((tensor, floats)) => format!("; its largest tensor, {tensor}, has {}", mib(4 * *floats as u64)),
        None => String::new(),
    };
    Error::Run(format!(
        "{device}: out of memory: program {} needs {}, more than {limit}{largest}. Fewer points a task (task.support, \
         task.query), fewer inner.steps or a smaller model need less; device: cpu takes one task at a time",
        module.name,
        mib(bytes)
    ))
}

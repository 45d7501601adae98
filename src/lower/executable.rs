//! A lowered plan on whichever device: one interface for the rooms that run programs.

use super::gpu::Module;
use super::gpu::driver::{Driver, Loaded, Memory};
use super::program::{self, PortInfo, Program};
use crate::error::Result;
use std::sync::Arc;
use std::time::Duration;

/// A plan, lowered for a device and loaded there.
pub enum Executable {
    Cpu(Program),
    Gpu(Box<OnGpu>),
}

/// A module with what its device made of it.
pub struct OnGpu {
    name: String,
    inputs: Vec<PortInfo>,
    outputs: Vec<PortInfo>,
    scratch_bytes: usize,
    kept_bytes: usize,
    flops: u64,
    loaded: Box<dyn Loaded>,
}

/// One thread's working memory for one executable.
pub enum Scratch {
    Cpu(program::Scratch),
    Gpu(Memory),
}

/// What the stage that depends on no late port computed, for any number of second stages on any thread.
pub enum Kept {
    Cpu(program::Kept),
    Gpu(Memory),
}

impl From<Program> for Executable {
    fn from(program: Program) -> Executable {
        Executable::Cpu(program)
    }
}

impl OnGpu {
    /// Every slice has its port's size, or none.
    fn check(&self, inputs: &[&[f32]], outputs: &[&mut [f32]]) {
        assert_eq!(inputs.len(), self.inputs.len(), "input ports of {}", self.name);
        assert_eq!(outputs.len(), self.outputs.len(), "output ports of {}", self.name);
        let given = inputs.iter().map(|data| data.len()).chain(outputs.iter().map(|data| data.len()));
        for (floats, port) in given.zip(self.inputs.iter().chain(&self.outputs)) {
            assert!(floats == 0 || floats == port.size(), "{}: {floats} floats for {port:?}", self.name);
        }
    }
}

impl Executable {
    pub(super) fn load(driver: Arc<dyn Driver>, module: Module) -> Result<Executable> {
        let (scratch, kept) = (module.memory.scratch_floats, module.memory.kept_floats);
        let (name, inputs, outputs) = (module.name.clone(), module.inputs.clone(), module.outputs.clone());
        let (scratch_bytes, kept_bytes, flops) = (4 * (scratch + kept), 4 * kept, module.flops());
        let loaded = driver.load(module)?;
        Ok(Executable::Gpu(Box::new(OnGpu {
            name,
            inputs,
            outputs,
            scratch_bytes,
            kept_bytes,
            flops,
            loaded,
        })))
    }

    pub fn name(&self) -> &str {
        match self {
            Executable::Cpu(program) => program.name(),
            Executable::Gpu(on) => &on.name,
        }
    }

    pub fn inputs(&self) -> &[PortInfo] {
        match self {
            Executable::Cpu(program) => program.inputs(),
            Executable::Gpu(on) => &on.inputs,
        }
    }

    pub fn outputs(&self) -> &[PortInfo] {
        match self {
            Executable::Cpu(program) => program.outputs(),
            Executable::Gpu(on) => &on.outputs,
        }
    }

    /// Floating-point operations of one run, matrix products only, 2 per multiply-add.
    pub fn flops(&self) -> u64 {
        match self {
            Executable::Cpu(program) => program.flops(),
            Executable::Gpu(on) => on.flops,
        }
    }

    pub fn scratch_bytes(&self) -> usize {
        match self {
            Executable::Cpu(program) => program.scratch_bytes(),
            Executable::Gpu(on) => on.scratch_bytes,
        }
    }

    pub fn kept_bytes(&self) -> usize {
        match self {
            Executable::Cpu(program) => program.kept_bytes(),
            Executable::Gpu(on) => on.kept_bytes,
        }
    }

    /// One thread's working memory.
    ///
    /// Errors: [`Error::Run`](crate::error::Error::Run) where the device has no memory left.
    pub fn scratch(&self) -> Result<Scratch> {
        match self {
            Executable::Cpu(program) => Ok(Scratch::Cpu(program.scratch())),
            Executable::Gpu(on) => on.loaded.scratch().map(Scratch::Gpu),
        }
    }

    /// Storage for what [`prepare`](Executable::prepare) computes. Errors as [`scratch`](Executable::scratch).
    pub fn kept(&self) -> Result<Kept> {
        match self {
            Executable::Cpu(program) => Ok(Kept::Cpu(program.kept())),
            Executable::Gpu(on) => on.loaded.kept().map(Kept::Gpu),
        }
    }

    /// One flat slice per input port, in port order; fills one flat slice per output port. On a device, an input that is
    /// an empty slice stays what an earlier run with the same scratch was given, and an output that is one stays there.
    ///
    /// Errors: [`Error::Run`](crate::error::Error::Run) where the device fails; the processor does not.
    ///
    /// # Panics
    /// When a slice has not the size of its port, or the scratch is another program's.
    pub fn run(&self, scratch: &mut Scratch, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) -> Result<()> {
        match (self, scratch) {
            (Executable::Cpu(program), Scratch::Cpu(scratch)) => program.run(scratch, inputs, outputs),
            (Executable::Gpu(on), Scratch::Gpu(scratch)) => {
                on.check(inputs, outputs);
                on.loaded.run(0..2, scratch, None, inputs, outputs)?;
            }
            _ => panic!("this scratch was made by another program"),
        }
        Ok(())
    }

    /// As [`Program::profile`]; nothing where a device cannot tell one kernel of a submission from another.
    ///
    /// Errors: as [`run`](Executable::run).
    pub fn profile(
        &self,
        scratch: &mut Scratch,
        inputs: &[&[f32]],
        outputs: &mut [&mut [f32]],
    ) -> Result<Vec<(String, Duration)>> {
        match (self, scratch) {
            (Executable::Cpu(program), Scratch::Cpu(scratch)) => {
                Ok(program.profile(scratch, inputs, outputs))
            }
            (Executable::Gpu(on), Scratch::Gpu(scratch)) => on.loaded.profile(scratch, inputs),
            _ => panic!("this scratch was made by another program"),
        }
    }

    /// As [`Program::prepare`]. Errors and panics as [`run`](Executable::run).
    pub fn prepare(
        &self,
        scratch: &mut Scratch,
        kept: &mut Kept,
        inputs: &[&[f32]],
        outputs: &mut [&mut [f32]],
    ) -> Result<()> {
        match (self, scratch, kept) {
            (Executable::Cpu(program), Scratch::Cpu(scratch), Kept::Cpu(kept)) => {
                program.prepare(scratch, kept, inputs, outputs);
            }
            (Executable::Gpu(on), Scratch::Gpu(scratch), Kept::Gpu(kept)) => {
                on.check(inputs, outputs);
                on.loaded.run(0..1, scratch, Some(kept), inputs, outputs)?;
            }
            _ => panic!("this scratch or storage was made by another program"),
        }
        Ok(())
    }

    /// As [`Program::apply`]. Errors and panics as [`run`](Executable::run).
    pub fn apply(
        &self,
        scratch: &mut Scratch,
        kept: &Kept,
        inputs: &[&[f32]],
        outputs: &mut [&mut [f32]],
    ) -> Result<()> {
        match (self, scratch, kept) {
            (Executable::Cpu(program), Scratch::Cpu(scratch), Kept::Cpu(kept)) => {
                program.apply(scratch, kept, inputs, outputs);
            }
            (Executable::Gpu(on), Scratch::Gpu(scratch), Kept::Gpu(kept)) => {
                on.check(inputs, outputs);
                on.loaded.run(1..2, scratch, Some(kept), inputs, outputs)?;
            }
            _ => panic!("this scratch or storage was made by another program"),
        }
        Ok(())
    }
}

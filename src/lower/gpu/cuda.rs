//! CUDA, through cudarc, whose libraries are looked for when the device is opened and not before.
//!
//! **This file has not run on hardware yet.** The texts that it compiles have: they run on the processor in the tests
//! (`tests/device/cuda_text.rs`). On a machine with an NVIDIA GPU,
//! `cargo test --release --features cuda --test tests -- device` proves the rest in minutes.
//!
//! A module's kernels are compiled by NVRTC in one text, equal ones once in the life of the device. The launches of a
//! whole run are captured into a CUDA graph the first time, and replayed from then on. Runs take turns: a GPU is busy
//! with one launch of all tasks, not with several threads.

use super::driver::{Driver, Loaded, Memory, reads, too_large};
use super::{Module, print};
use crate::error::{Error, Result};
use cudarc::driver::sys::{CUgraphInstantiate_flags, CUresult, CUstreamCaptureMode};
use cudarc::driver::{
    CudaContext, CudaFunction, CudaGraph, CudaSlice, CudaStream, DeviceRepr, DriverError, LaunchConfig,
    PushKernelArg,
};
use cudarc::nvrtc::{CompileError, CompileOptions, compile_ptx_with_opts};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

struct Cuda {
    name: String,
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
    /// What NVRTC compiles for, such as `compute_90`.
    architecture: String,
    free: u64,
    functions: Mutex<HashMap<String, CudaFunction>>,
    /// Held during a run.
    turn: Mutex<()>,
}

struct Program {
    cuda: Arc<Cuda>,
    module: Module,
    stages: [Vec<Launch>; 2],
    /// Which inputs each stage reads.
    reads: [Vec<bool>; 2],
}

struct Launch {
    function: CudaFunction,
    config: LaunchConfig,
    begins: Begins,
}

/// Where each tensor of a kernel begins, in floats; `Begins` of the prelude.
#[repr(C)]
#[derive(Clone, Copy)]
struct Begins([u64; print::MAX_TENSORS]);

// SAFETY: plain numbers, laid out as in the prelude.
unsafe impl DeviceRepr for Begins {}

struct Scratch {
    arena: CudaSlice<f32>,
    kept: CudaSlice<f32>,
    graph: Graph,
}

/// The launches of both stages on a scratch's own memory.
enum Graph {
    Unknown,
    Captured(CudaGraph),
    /// The driver would not capture them.
    Refused,
}

// SAFETY: a graph may be used by one thread at a time, on any thread; it is only touched during a turn.
unsafe impl Send for Graph {}
// SAFETY: a shared reference gives access to nothing; runs take the scratch exclusively.
unsafe impl Sync for Graph {}

struct Kept(CudaSlice<f32>);

/// Whether both libraries are here: cudarc panics where one is not.
fn libraries() -> std::result::Result<(), String> {
    // SAFETY: these only try to open the libraries.
    let (driver, compiler) =
        unsafe { (cudarc::driver::sys::is_culib_present(), cudarc::nvrtc::sys::is_culib_present()) };
    match (driver, compiler) {
        (false, _) => Err(
            "there is no CUDA driver: the library libcuda.so.1 (nvcuda.dll) was not found; NVIDIA's driver \
                           package has it"
                .into(),
        ),
        (true, false) => {
            Err("the CUDA driver is here, but its compiler is not: the library libnvrtc.so (nvrtc64.dll) of \
                              CUDA 12 or 13 was not found; the CUDA toolkit has it"
                .into())
        }
        (true, true) => Ok(()),
    }
}

/// Names of the GPUs, first to last, or why there are none.
pub fn devices() -> std::result::Result<Vec<String>, String> {
    libraries()?;
    let count = CudaContext::device_count().map_err(|why| format!("CUDA has no device: {why}"))?;
    let names: std::result::Result<Vec<String>, DriverError> =
        (0..count).map(|number| CudaContext::new(number as usize)?.name()).collect();
    match names {
        Ok(names) if names.is_empty() => Err("CUDA is here, but no GPU".into()),
        Ok(names) => Ok(names),
        Err(why) => Err(format!("a CUDA device does not open: {why}")),
    }
}

/// Opens the first GPU (`CUDA_VISIBLE_DEVICES` says which that is).
pub fn open() -> std::result::Result<Arc<dyn Driver>, String> {
    libraries()?;
    let opened = || -> std::result::Result<Cuda, DriverError> {
        let context = CudaContext::new(0)?;
        // SAFETY: all work is on one stream, where it follows the order in which it was given.
        unsafe { context.disable_event_tracking() };
        let (major, minor) = context.compute_capability()?;
        Ok(Cuda {
            name: context.name()?,
            stream: context.new_stream()?,
            architecture: format!("compute_{major}{minor}"),
            free: context.mem_get_info()?.0 as u64,
            context,
            functions: Mutex::new(HashMap::new()),
            turn: Mutex::new(()),
        })
    };
    match opened() {
        Ok(cuda) => Ok(Arc::new(cuda)),
        Err(why) => Err(format!("the first CUDA device does not open: {why}")),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cuda {
    fn fails(&self, why: DriverError) -> Error {
        Error::Run(format!("{}: {why}", self.name))
    }

    fn memory(&self, module: &Module, floats: usize) -> Result<CudaSlice<f32>> {
        self.stream.alloc_zeros(floats.max(64)).map_err(|why| match why.0 {
            CUresult::CUDA_ERROR_OUT_OF_MEMORY => {
                let free = self.context.mem_get_info().ok().map(|(free, _)| free as u64);
                too_large(module, 4 * floats as u64, free, &self.name)
            }
            _ => self.fails(why),
        })
    }

    /// Compiles the texts that are not known yet, in one go.
    fn compile(&self, texts: &[String]) -> Result<()> {
        let mut functions = lock(&self.functions);
        let mut new: Vec<&String> = texts.iter().filter(|text| !functions.contains_key(*text)).collect();
        new.sort_unstable();
        new.dedup();
        if new.is_empty() {
            return Ok(());
        }
        let named = |(number, text): (usize, &&String)| text.replacen(ENTRY, &format!("kernel_{number}"), 1);
        let code: String = new.iter().enumerate().map(named).collect();
        let options = CompileOptions {
            options: vec![format!("--gpu-architecture={}", self.architecture)],
            ..CompileOptions::default()
        };
        let compiled = compile_ptx_with_opts(format!("{}\n{code}", print::CUDA_PRELUDE), options);
        let ptx = compiled.map_err(|why| {
            let why = match why {
                CompileError::CompileError { log, .. } => log.to_string_lossy().into_owned(),
                other => format!("{other:?}"),
            };
            Error::Run(format!("{}: NVRTC refused kernels for {}: {why}", self.name, self.architecture))
        })?;
        let module = self.context.load_module(ptx).map_err(|why| self.fails(why))?;
        for (number, text) in new.iter().enumerate() {
            let function =
                module.load_function(&format!("kernel_{number}")).map_err(|why| self.fails(why))?;
            functions.insert((*text).clone(), function);
        }
        Ok(())
    }
}

/// Stands for a kernel's name in its text.
const ENTRY: &str = "KERNEL_NAME";

impl Driver for Cuda {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn limit(&self) -> u64 {
        // Offsets in kernels have 32 bits and count floats.
        self.free.min(4 << 32)
    }

    fn load(self: Arc<Self>, module: Module) -> Result<Box<dyn Loaded>> {
        let text = |kernel| print::cuda(kernel, &print::memories(kernel, &module.memory), ENTRY);
        let texts = [0, 1].map(|stage| module.stages[stage].iter().map(text).collect::<Vec<String>>());
        self.compile(&texts.concat())?;
        let functions = lock(&self.functions);
        let stages = [0, 1].map(|stage: usize| {
            let launch = |(kernel, text): (&super::kernel::Kernel, &String)| {
                let mut begins = Begins([0; print::MAX_TENSORS]);
                let offsets = print::offsets(kernel, &module.memory);
                begins.0.iter_mut().zip(offsets).for_each(|(begin, offset)| *begin = offset as u64);
                let (groups, threads) = kernel.groups();
                let config = LaunchConfig {
                    grid_dim: (groups as u32, 1, 1),
                    block_dim: (threads as u32, 1, 1),
                    shared_mem_bytes: 0,
                };
                Launch { function: functions[text].clone(), config, begins }
            };
            module.stages[stage].iter().zip(&texts[stage]).map(launch).collect()
        });
        drop(functions);
        let reads = reads(&module);
        Ok(Box::new(Program { cuda: self, module, stages, reads }))
    }
}

impl Program {
    fn launch(
        &self,
        stages: Range<usize>,
        arena: &CudaSlice<f32>,
        kept: &CudaSlice<f32>,
    ) -> std::result::Result<(), DriverError> {
        for launch in stages.flat_map(|stage| &self.stages[stage]) {
            let mut builder = self.cuda.stream.launch_builder(&launch.function);
            builder.arg(arena).arg(kept).arg(&launch.begins);
            // SAFETY: the text takes these three arguments, and the lowering checked every access against its buffer.
            unsafe { builder.launch(launch.config) }?;
        }
        Ok(())
    }

    /// Captures the launches of both stages; nothing runs.
    fn capture(&self, scratch: &Scratch) -> Graph {
        let stream = &self.cuda.stream;
        if stream.begin_capture(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL).is_err() {
            return Graph::Refused;
        }
        let launched = self.launch(0..2, &scratch.arena, &scratch.kept);
        let flags = CUgraphInstantiate_flags::CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH;
        match (launched, stream.end_capture(flags)) {
            (Ok(()), Ok(Some(graph))) => Graph::Captured(graph),
            _ => Graph::Refused,
        }
    }
}

impl Loaded for Program {
    fn scratch(&self) -> Result<Memory> {
        let _turn = lock(&self.cuda.turn);
        let memory = &self.module.memory;
        Ok(Memory(Box::new(Scratch {
            arena: self.cuda.memory(&self.module, memory.scratch_floats)?,
            kept: self.cuda.memory(&self.module, memory.kept_floats)?,
            graph: Graph::Unknown,
        })))
    }

    fn kept(&self) -> Result<Memory> {
        let _turn = lock(&self.cuda.turn);
        Ok(Memory(Box::new(Kept(self.cuda.memory(&self.module, self.module.memory.kept_floats)?))))
    }

    fn run(
        &self,
        stages: Range<usize>,
        scratch: &mut Memory,
        kept: Option<&Memory>,
        inputs: &[&[f32]],
        outputs: &mut [&mut [f32]],
    ) -> Result<()> {
        let cuda = &self.cuda;
        let _turn = lock(&cuda.turn);
        let fails = |why| cuda.fails(why);
        let scratch: &mut Scratch = scratch.of_mut();
        for (port, data) in inputs.iter().enumerate() {
            if stages.clone().any(|stage| self.reads[stage][port]) && !data.is_empty() {
                let start = self.module.memory.inputs[port];
                let mut to = scratch.arena.slice_mut(start..start + data.len());
                cuda.stream.memcpy_htod(*data, &mut to).map_err(fails)?;
            }
        }
        if kept.is_none() && stages == (0..2) {
            if let Graph::Unknown = scratch.graph {
                scratch.graph = self.capture(scratch);
            }
            match &scratch.graph {
                Graph::Captured(graph) => graph.launch(),
                _ => self.launch(stages.clone(), &scratch.arena, &scratch.kept),
            }
        } else {
            let kept = kept.map_or(&scratch.kept, |kept| &kept.of::<Kept>().0);
            self.launch(stages.clone(), &scratch.arena, kept)
        }
        .map_err(fails)?;
        for (start, output) in self.module.memory.outputs.iter().zip(outputs) {
            let from = scratch.arena.slice(*start..*start + output.len());
            if !output.is_empty() {
                cuda.stream.memcpy_dtoh(&from, *output).map_err(fails)?;
            }
        }
        cuda.stream.synchronize().map_err(fails)
    }
}

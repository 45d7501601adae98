//! CUDA, through cudarc, whose libraries are looked for when the device is opened and not before.
//!
//! The texts that it compiles run on the processor, too, in the tests (`tests/device/cuda_text.rs`). On a machine with an
//! NVIDIA GPU, `cargo test --release --features cuda --test tests -- device` proves the rest in minutes.
//!
//! A module's kernels are compiled by NVRTC, equal ones once in the life of the device. The launches of a whole run are
//! captured into a CUDA graph the first time, each after those that [`order`] says it waits for, and replayed from then
//! on. Ports cross in page-locked memory, neighbours in one copy. Runs take turns: a GPU is busy with one launch of all
//! tasks, not with several threads.

use super::driver::{Driver, Loaded, Memory, Sent, too_large};
use super::{Module, order, print};
use crate::error::{Error, Result};
use crate::lower::program::PortInfo;
use cudarc::driver::result::{memcpy_dtoh_async, memcpy_htod_async};
use cudarc::driver::sys::{CUevent_flags, CUgraphInstantiate_flags, CUresult, CUstreamCaptureMode};
use cudarc::driver::{
    CudaContext, CudaEvent, CudaFunction, CudaGraph, CudaSlice, CudaStream, DevicePtr, DeviceRepr,
    DriverError, LaunchConfig, PinnedHostSlice, PushKernelArg,
};
use cudarc::nvrtc::{CompileError, CompileOptions, compile_ptx_with_opts};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

struct Cuda {
    name: String,
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
    /// What NVRTC compiles for, such as `compute_90`.
    architecture: String,
    free: u64,
    /// More streams, for launches that wait for nothing on the first.
    branches: Vec<Arc<CudaStream>>,
    functions: Mutex<HashMap<String, CudaFunction>>,
    /// Held during a run.
    turn: Mutex<()>,
}

struct Program {
    cuda: Arc<Cuda>,
    module: Module,
    stages: [Vec<Launch>; 2],
    sent: Sent,
}

struct Launch {
    function: CudaFunction,
    config: LaunchConfig,
    begins: Begins,
    /// The launches of the same stage that it has to wait for.
    after: Vec<usize>,
}

/// Streams that the launches of a run share.
const BRANCHES: usize = 4;

/// Graphs that a scratch holds at most: one for each memory of a task, which may be many.
const MOST_GRAPHS: usize = 256;

/// Times that a profile repeats each launch, and the mean is taken.
const REPEATS: u32 = 10;

/// Where each tensor of a kernel begins, in floats; `Begins` of the prelude.
#[repr(C)]
#[derive(Clone, Copy)]
struct Begins([u64; print::MAX_TENSORS]);

// SAFETY: plain numbers, laid out as in the prelude.
unsafe impl DeviceRepr for Begins {}

/// Taken apart when nothing runs: while launches are captured, even giving memory back would become one of them.
struct Held<T> {
    cuda: Arc<Cuda>,
    what: Option<T>,
}

struct Scratch {
    arena: CudaSlice<f32>,
    kept: CudaSlice<f32>,
    /// The input and the output ports as they lie in the arena, in memory that the device reads and writes by itself.
    inputs: PinnedHostSlice<f32>,
    outputs: PinnedHostSlice<f32>,
    graphs: HashMap<Launches, Graph>,
}

/// Which launches a graph holds: their stages, and where the memory for what is kept begins.
type Launches = (usize, usize, u64);

/// The launches of some stages on a scratch's own memory.
enum Graph {
    Captured(CudaGraph),
    /// The driver would not capture them.
    Refused,
}

// SAFETY: a graph may be used by one thread at a time, on any thread; it is only touched during a turn.
unsafe impl Send for Graph {}
// SAFETY: a shared reference gives access to nothing; runs take the scratch exclusively.
unsafe impl Sync for Graph {}

impl<T> Held<T> {
    fn memory(cuda: &Arc<Cuda>, what: T) -> Memory
    where
        T: Send + Sync + 'static,
    {
        Memory(Box::new(Held { cuda: cuda.clone(), what: Some(what) }))
    }

    fn get(&self) -> &T {
        self.what.as_ref().expect("it is there until the end")
    }

    fn get_mut(&mut self) -> &mut T {
        self.what.as_mut().expect("it is there until the end")
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        let _turn = lock(&self.cuda.turn);
        self.what = None;
    }
}

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
            branches: (1..BRANCHES).map(|_| context.new_stream()).collect::<std::result::Result<_, _>>()?,
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

    /// Compiles the texts that are not known yet, some on every processor.
    fn compile(&self, texts: &[String]) -> Result<()> {
        let mut new: Vec<&String> = {
            let functions = lock(&self.functions);
            texts.iter().filter(|text| !functions.contains_key(*text)).collect()
        };
        new.sort_unstable();
        new.dedup();
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let count = processors.min(new.len().div_ceil(TEXTS_AT_ONCE));
        let parts: Vec<Vec<&String>> =
            (0..count).map(|part| new.iter().skip(part).step_by(count).copied().collect()).collect();
        let made = std::thread::scope(|scope| {
            let started: Vec<_> =
                parts.iter().map(|part| scope.spawn(|| self.compile_together(part))).collect();
            let ended = started.into_iter().map(|thread| thread.join());
            ended
                .map(|made| made.unwrap_or_else(|fault| std::panic::resume_unwind(fault)))
                .collect::<Vec<_>>()
        });
        let mut functions = lock(&self.functions);
        made.into_iter().try_for_each(|made| {
            functions.extend(made?);
            Ok(())
        })
    }

    /// Compiles texts as one program.
    fn compile_together(&self, texts: &[&String]) -> Result<Vec<(String, CudaFunction)>> {
        let named = |(number, text): (usize, &&String)| text.replacen(ENTRY, &format!("kernel_{number}"), 1);
        let code: String = texts.iter().enumerate().map(named).collect();
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
        let function = |(number, text): (usize, &&String)| {
            let function = module.load_function(&format!("kernel_{number}"));
            Ok(((*text).clone(), function.map_err(|why| self.fails(why))?))
        };
        texts.iter().enumerate().map(function).collect()
    }
}

/// Texts that one program has at least, where there are as many.
const TEXTS_AT_ONCE: usize = 4;

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
                Launch { function: functions[text].clone(), config, begins, after: vec![] }
            };
            let mut launches: Vec<Launch> =
                module.stages[stage].iter().zip(&texts[stage]).map(launch).collect();
            launches
                .iter_mut()
                .zip(order::after(&module, stage))
                .for_each(|(launch, after)| launch.after = after);
            launches
        });
        drop(functions);
        let sent = Sent::of(&module);
        Ok(Box::new(Program { cuda: self, module, stages, sent }))
    }
}

impl Program {
    fn launch(
        &self,
        stages: Range<usize>,
        arena: &CudaSlice<f32>,
        kept: &CudaSlice<f32>,
    ) -> std::result::Result<(), DriverError> {
        stages.flat_map(|stage| &self.stages[stage]).try_for_each(|l| l.on(&self.cuda.stream, arena, kept))
    }

    /// The same on all branches: a launch waits for those whose results it reads or whose memory it takes.
    fn branch(
        &self,
        stages: Range<usize>,
        arena: &CudaSlice<f32>,
        kept: &CudaSlice<f32>,
    ) -> std::result::Result<(), DriverError> {
        let streams: Vec<&Arc<CudaStream>> =
            std::iter::once(&self.cuda.stream).chain(&self.cuda.branches).collect();
        for stage in stages {
            let launches = &self.stages[stage];
            let begin = streams[0].record_event(None)?;
            streams[1..].iter().try_for_each(|stream| stream.wait(&begin))?;
            let after: Vec<&[usize]> = launches.iter().map(|launch| &launch.after[..]).collect();
            let mut done: Vec<Option<CudaEvent>> = launches.iter().map(|_| None).collect();
            for (number, turn) in order::turns(&after, streams.len()).into_iter().enumerate() {
                let stream = streams[turn.branch];
                for before in turn.waits {
                    stream.wait(done[before].as_ref().expect("what is waited for was marked"))?;
                }
                launches[number].on(stream, arena, kept)?;
                if turn.marked {
                    done[number] = Some(stream.record_event(None)?);
                }
            }
            for stream in &streams[1..] {
                streams[0].wait(&stream.record_event(None)?)?;
            }
        }
        Ok(())
    }

    /// Captures the launches of some stages; nothing runs.
    fn capture(&self, stages: Range<usize>, arena: &CudaSlice<f32>, kept: &CudaSlice<f32>) -> Graph {
        let stream = &self.cuda.stream;
        if stream.begin_capture(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL).is_err() {
            return Graph::Refused;
        }
        let launched = self.branch(stages, arena, kept);
        let flags = CUgraphInstantiate_flags::CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH;
        match (launched, stream.end_capture(flags)) {
            (Ok(()), Ok(Some(graph))) => Graph::Captured(graph),
            _ => Graph::Refused,
        }
    }
}

impl Launch {
    fn on(
        &self,
        stream: &Arc<CudaStream>,
        arena: &CudaSlice<f32>,
        kept: &CudaSlice<f32>,
    ) -> std::result::Result<(), DriverError> {
        let mut builder = stream.launch_builder(&self.function);
        builder.arg(arena).arg(kept).arg(&self.begins);
        // SAFETY: the text takes these three arguments, and the lowering checked every access against its buffer.
        unsafe { builder.launch(self.config) }.map(|_| ())
    }
}

/// Ports that lie next to one another in the arena, as one range each; `wanted` says which ports count.
fn joined(
    starts: &[usize],
    sizes: impl Iterator<Item = usize>,
    wanted: impl Fn(usize) -> bool,
) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = vec![];
    let ports = starts.iter().zip(sizes).enumerate().filter(|(port, (_, size))| *size > 0 && wanted(*port));
    for (_, (start, size)) in ports {
        match ranges.last_mut() {
            // Ports begin at multiples of a line; between two neighbours lies nothing else.
            Some(last) if last.end.next_multiple_of(super::memory::LINE) == *start => last.end = start + size,
            _ => ranges.push(*start..start + size),
        }
    }
    ranges
}

impl Loaded for Program {
    fn scratch(&self) -> Result<Memory> {
        let _turn = lock(&self.cuda.turn);
        let memory = &self.module.memory;
        let pinned = |starts: &[usize], ports: &[PortInfo]| {
            let end = starts.iter().zip(ports).map(|(start, port)| start + port.size()).max().unwrap_or(0);
            // SAFETY: floats of any bits are floats; only what was written is read.
            unsafe { self.cuda.context.alloc_pinned_with_flags(end.max(1), 0) }
                .map_err(|why| self.cuda.fails(why))
        };
        let scratch = Scratch {
            arena: self.cuda.memory(&self.module, memory.scratch_floats)?,
            kept: self.cuda.memory(&self.module, memory.kept_floats)?,
            inputs: pinned(&memory.inputs, &self.module.inputs)?,
            outputs: pinned(&memory.outputs, &self.module.outputs)?,
            graphs: HashMap::new(),
        };
        Ok(Held::memory(&self.cuda, scratch))
    }

    fn kept(&self) -> Result<Memory> {
        let _turn = lock(&self.cuda.turn);
        let kept = self.cuda.memory(&self.module, self.module.memory.kept_floats)?;
        Ok(Held::memory(&self.cuda, kept))
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
        let Scratch { arena, kept: own, inputs: sent, outputs: received, graphs } =
            scratch.of_mut::<Held<Scratch>>().get_mut();
        let memory = &self.module.memory;
        self.send(stages.clone(), arena, sent, inputs)?;
        let kept = kept.map_or(&*own, |kept| kept.of::<Held<CudaSlice<f32>>>().get());
        let launches = (stages.start, stages.end, address(kept, &cuda.stream));
        if graphs.len() >= MOST_GRAPHS && !graphs.contains_key(&launches) {
            graphs.clear();
        }
        let graph = graphs.entry(launches).or_insert_with(|| self.capture(stages.clone(), arena, kept));
        match graph {
            Graph::Captured(graph) => graph.launch(),
            Graph::Refused => self.launch(stages, arena, kept),
        }
        .map_err(fails)?;
        let to = received.as_mut_slice().map_err(fails)?;
        let wanted = |port: usize| !outputs[port].is_empty();
        let sizes = self.module.outputs.iter().map(PortInfo::size);
        for range in joined(&memory.outputs, sizes, wanted) {
            let from = address(arena, &cuda.stream) + 4 * range.start as u64;
            // SAFETY: the ports lie in the arena, and nothing else touches this memory before the stream is waited for.
            unsafe { memcpy_dtoh_async(&mut to[range], from, cuda.stream.cu_stream()) }.map_err(fails)?;
        }
        cuda.stream.synchronize().map_err(fails)?;
        for (start, output) in memory.outputs.iter().zip(outputs) {
            output.copy_from_slice(&to[*start..*start + output.len()]);
        }
        Ok(())
    }

    fn profile(&self, scratch: &mut Memory, inputs: &[&[f32]]) -> Result<Vec<(String, Duration)>> {
        let cuda = &self.cuda;
        let _turn = lock(&cuda.turn);
        let fails = |why| cuda.fails(why);
        let Scratch { arena, kept, inputs: sent, .. } = scratch.of_mut::<Held<Scratch>>().get_mut();
        self.send(0..2, arena, sent, inputs)?;
        let launches = self.stages.iter().flatten().zip(self.module.stages.iter().flatten());
        let mut times = vec![];
        for (launch, kernel) in launches {
            // Once so that what follows reads what it should; then again and again on what lies there.
            launch.on(&cuda.stream, arena, kept).map_err(fails)?;
            let flags = Some(CUevent_flags::CU_EVENT_DEFAULT);
            let begin = cuda.stream.record_event(flags).map_err(fails)?;
            for _ in 0..REPEATS {
                launch.on(&cuda.stream, arena, kept).map_err(fails)?;
            }
            let end = cuda.stream.record_event(flags).map_err(fails)?;
            let seconds = f64::from(begin.elapsed_ms(&end).map_err(fails)?) / 1e3;
            let registers = launch.function.num_regs().unwrap_or(0);
            let (groups, threads) = kernel.groups();
            let text =
                format!("{groups} x {threads} threads, {registers} registers, {}: {kernel}", kernel.label);
            times.push((text, Duration::from_secs_f64(seconds / f64::from(REPEATS))));
        }
        Ok(times)
    }
}

/// Where memory of the device begins.
fn address(memory: &CudaSlice<f32>, stream: &CudaStream) -> u64 {
    memory.device_ptr(stream).0
}

impl Program {
    /// Writes the inputs that the stages read into the arena; those given as empty slices stay as they are there.
    fn send(
        &self,
        stages: Range<usize>,
        arena: &CudaSlice<f32>,
        pinned: &mut PinnedHostSlice<f32>,
        inputs: &[&[f32]],
    ) -> Result<()> {
        let fails = |why| self.cuda.fails(why);
        let stream = &self.cuda.stream;
        let starts = &self.module.memory.inputs;
        let wanted = |port: usize| self.sent.takes(&stages, port, inputs[port]);
        let pinned = pinned.as_mut_slice().map_err(fails)?;
        for (port, data) in inputs.iter().enumerate().filter(|(port, _)| wanted(*port)) {
            pinned[starts[port]..starts[port] + data.len()].copy_from_slice(data);
        }
        for range in joined(starts, self.module.inputs.iter().map(PortInfo::size), wanted) {
            let to = address(arena, stream) + 4 * range.start as u64;
            // SAFETY: the ports lie in the arena; the run waits for the stream before this memory is touched again.
            unsafe { memcpy_htod_async(to, &pinned[range], stream.cu_stream()) }.map_err(fails)?;
        }
        Ok(())
    }
}

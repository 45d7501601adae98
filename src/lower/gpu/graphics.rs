//! Vulkan and Metal, through wgpu.
//!
//! A program has one buffer for everything (ports included), one for what is kept between its stages, and a small table
//! of where each kernel's tensors begin in them, so all kernels share one layout of bindings, and kernels of equal text
//! one pipeline. A run is one submission. The driver orders kernels by itself: each may read what the one before wrote.
//!
//! Sums have a fixed order in every kernel, so a device gives the same bytes again; two devices may differ, because
//! drivers may or may not join a product and a sum into one rounding.

use super::driver::{Driver, Loaded, Memory, Sent, too_large};
use super::{Module, print};
use crate::error::{Error, Result};
use crate::lower::device::Kind;
use std::collections::HashMap;
use std::future::Future;
use std::ops::Range;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use wgpu::BufferUsages as Usage;

/// Dispatches have at most so many groups along one axis.
const MOST_GROUPS: usize = 65_535;
/// Bytes of one kernel's table of beginnings.
const TABLE: u64 = 4 * print::MAX_TENSORS as u64;

struct Graphics {
    name: String,
    device: wgpu::Device,
    queue: wgpu::Queue,
    bindings: wgpu::BindGroupLayout,
    layout: wgpu::PipelineLayout,
    /// Pipelines by the text of their kernel.
    pipelines: Mutex<HashMap<String, wgpu::ComputePipeline>>,
    /// The first error that no call returned.
    failure: Arc<Mutex<Option<String>>>,
}

struct Program {
    graphics: Arc<Graphics>,
    module: Module,
    stages: [Vec<Launch>; 2],
    sent: Sent,
    begins: wgpu::Buffer,
}

struct Launch {
    pipeline: wgpu::ComputePipeline,
    groups: [u32; 2],
    /// Where in `begins` its table lies, in bytes.
    table: u32,
}

struct Scratch {
    arena: wgpu::Buffer,
    /// Outputs on their way back; none where a program has no floats to give.
    back: Option<wgpu::Buffer>,
    bindings: wgpu::BindGroup,
}

struct Kept(wgpu::Buffer);

/// Names of the adapters, best first, or why there are none.
pub fn devices(kind: Kind) -> std::result::Result<Vec<String>, String> {
    Ok(adapters(kind)?.iter().map(|adapter| name(&adapter.get_info())).collect())
}

/// Opens the best adapter.
pub fn open(kind: Kind) -> std::result::Result<Arc<dyn Driver>, String> {
    let adapter = adapters(kind)?.remove(0);
    let name = name(&adapter.get_info());
    let wanted = wgpu::DeviceDescriptor {
        required_limits: adapter.limits(),
        memory_hints: wgpu::MemoryHints::MemoryUsage,
        ..wgpu::DeviceDescriptor::default()
    };
    let opened = wait(adapter.request_device(&wanted));
    let (device, queue) = opened.map_err(|why| format!("{name} does not open: {why}"))?;
    let failure = Arc::new(Mutex::new(None));
    let seen = failure.clone();
    device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
        lock(&seen).get_or_insert_with(|| error.to_string());
    }));
    let lost = failure.clone();
    device.set_device_lost_callback(move |reason, message| {
        if reason != wgpu::DeviceLostReason::Destroyed {
            lock(&lost).get_or_insert_with(|| format!("the device is lost: {message}"));
        }
    });
    let entry = |binding: u32, ty: wgpu::BufferBindingType, table: bool| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: table, min_binding_size: None },
        count: None,
    };
    let storage = wgpu::BufferBindingType::Storage { read_only: false };
    let entries = [
        entry(0, storage, false),
        entry(1, storage, false),
        entry(2, wgpu::BufferBindingType::Uniform, true),
    ];
    let bindings =
        device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries });
    let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: None,
        bind_group_layouts: &[Some(&bindings)],
        immediate_size: 0,
    });
    let pipelines = Mutex::new(HashMap::new());
    Ok(Arc::new(Graphics { name, device, queue, bindings, layout, pipelines, failure }))
}

fn adapters(kind: Kind) -> std::result::Result<Vec<wgpu::Adapter>, String> {
    let (backends, missing) = match kind {
        Kind::Metal => (wgpu::Backends::METAL, "Metal has no device on this machine"),
        _ => (
            wgpu::Backends::VULKAN,
            "there is no Vulkan device: the loader (libvulkan.so.1, vulkan-1.dll) or a driver for it is missing; a GPU's \
             driver package has both, and Debian's mesa-vulkan-drivers is a driver that runs on the processor",
        ),
    };
    if wgpu::Instance::enabled_backend_features() & backends == wgpu::Backends::empty() {
        return Err(missing.into());
    }
    let mut description = wgpu::InstanceDescriptor::new_without_display_handle();
    description.backends = backends;
    description.flags = wgpu::InstanceFlags::empty();
    let mut adapters = wait(wgpu::Instance::new(description).enumerate_adapters(backends));
    let (threads, shared) = (print::MAX_THREADS as u32, print::MAX_SHARED as u32);
    let weak = adapters.first().map(|adapter| {
        let name = name(&adapter.get_info());
        format!(
            "{name} has not the {threads} threads and {shared} bytes of shared memory that a group may take"
        )
    });
    adapters.retain(|adapter| {
        let limits = adapter.limits();
        limits.max_compute_invocations_per_workgroup >= threads
            && limits.max_compute_workgroup_storage_size >= shared
    });
    let rank = |adapter: &wgpu::Adapter| match adapter.get_info().device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    };
    adapters.sort_by_key(rank);
    if adapters.is_empty() { Err(weak.unwrap_or_else(|| missing.into())) } else { Ok(adapters) }
}

fn name(info: &wgpu::AdapterInfo) -> String {
    let driver = [&info.driver[..], &info.driver_info].join(" ");
    format!("{}, {}", info.name, driver.trim())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Futures of wgpu on these back ends are ready, or become so by themselves.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        std::thread::yield_now();
    }
}

impl Graphics {
    fn buffer(&self, module: &Module, floats: usize, usage: Usage) -> Result<wgpu::Buffer> {
        // A binding may not be empty.
        let size = 4 * floats.max(64) as u64;
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size,
            usage,
            mapped_at_creation: false,
        });
        match wait(scope.pop()) {
            None => Ok(buffer),
            Some(_) => Err(too_large(module, size, None, &self.name)),
        }
    }

    fn pipeline(&self, text: String, label: &str) -> Result<wgpu::ComputePipeline> {
        if let Some(known) = lock(&self.pipelines).get(&text) {
            return Ok(known.clone());
        }
        let source = wgpu::ShaderSource::Wgsl(text.as_str().into());
        let description = wgpu::ShaderModuleDescriptor { label: Some(label), source };
        // SAFETY: the lowering checked that every access lies in its buffer, loops are bounded by their text, and
        // divisors are numbers of the text that are not 0.
        let shader = unsafe {
            self.device.create_shader_module_trusted(description, wgpu::ShaderRuntimeChecks::unchecked())
        };
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(label),
            layout: Some(&self.layout),
            module: &shader,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: false,
                ..wgpu::PipelineCompilationOptions::default()
            },
            cache: None,
        });
        self.check()?;
        lock(&self.pipelines).insert(text, pipeline.clone());
        Ok(pipeline)
    }

    fn bind(&self, arena: &wgpu::Buffer, kept: &wgpu::Buffer, begins: &wgpu::Buffer) -> wgpu::BindGroup {
        let table = wgpu::BufferBinding { buffer: begins, offset: 0, size: wgpu::BufferSize::new(TABLE) };
        let entry = |binding, resource| wgpu::BindGroupEntry { binding, resource };
        let entries = [
            entry(0, arena.as_entire_binding()),
            entry(1, kept.as_entire_binding()),
            entry(2, wgpu::BindingResource::Buffer(table)),
        ];
        self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &self.bindings,
            entries: &entries,
        })
    }

    /// An error that no call returned.
    fn check(&self) -> Result<()> {
        match &*lock(&self.failure) {
            None => Ok(()),
            Some(why) => Err(Error::Run(format!("{}: {why}", self.name))),
        }
    }
}

impl Driver for Graphics {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn limit(&self) -> u64 {
        let limits = self.device.limits();
        // Offsets in kernels have 32 bits and count floats.
        limits.max_storage_buffer_binding_size.min(limits.max_buffer_size).min(4 << 32)
    }

    fn load(self: Arc<Self>, module: Module) -> Result<Box<dyn Loaded>> {
        let step = u64::from(self.device.limits().min_uniform_buffer_offset_alignment).max(TABLE);
        let kernels = module.stages.iter().flatten().count();
        let tables = self.buffer(&module, kernels * step as usize / 4, Usage::UNIFORM | Usage::COPY_DST)?;
        let mut stages = [vec![], vec![]];
        let mut table = 0u64;
        for (stage, kernels) in module.stages.iter().enumerate() {
            for kernel in kernels {
                let text = print::wgsl(kernel, &print::memories(kernel, &module.memory));
                let mut begins = print::offsets(kernel, &module.memory);
                begins.resize(print::MAX_TENSORS, 0);
                let bytes: Vec<u8> = begins.iter().flat_map(|begin| (*begin as u32).to_ne_bytes()).collect();
                self.queue.write_buffer(&tables, table, &bytes);
                let groups = kernel.groups().0;
                let down = groups.div_ceil(MOST_GROUPS);
                stages[stage].push(Launch {
                    pipeline: self.pipeline(text, &kernel.label)?,
                    groups: [groups.div_ceil(down.max(1)) as u32, down as u32],
                    table: table as u32,
                });
                table += step;
            }
        }
        let sent = Sent::of(&module);
        Ok(Box::new(Program { graphics: self, module, stages, sent, begins: tables }))
    }
}

impl Program {
    /// Where the outputs lie, in bytes: they follow each other.
    fn outputs(&self) -> Range<u64> {
        let starts = &self.module.memory.outputs;
        let end =
            starts.last().zip(self.module.outputs.last()).map_or(0, |(start, port)| start + port.size());
        4 * starts.first().copied().unwrap_or(0) as u64..4 * end as u64
    }
}

impl Loaded for Program {
    fn scratch(&self) -> Result<Memory> {
        let (graphics, memory) = (&self.graphics, &self.module.memory);
        let usage = Usage::STORAGE | Usage::COPY_SRC | Usage::COPY_DST;
        let arena = graphics.buffer(&self.module, memory.scratch_floats, usage)?;
        let kept = graphics.buffer(&self.module, memory.kept_floats, Usage::STORAGE)?;
        let outputs = self.outputs();
        let floats = (outputs.end - outputs.start) as usize / 4;
        let back = match floats {
            0 => None,
            _ => Some(graphics.buffer(&self.module, floats, Usage::MAP_READ | Usage::COPY_DST)?),
        };
        let bindings = graphics.bind(&arena, &kept, &self.begins);
        Ok(Memory(Box::new(Scratch { arena, back, bindings })))
    }

    fn kept(&self) -> Result<Memory> {
        let kept = self.graphics.buffer(&self.module, self.module.memory.kept_floats, Usage::STORAGE)?;
        Ok(Memory(Box::new(Kept(kept))))
    }

    fn run(
        &self,
        stages: Range<usize>,
        scratch: &mut Memory,
        kept: Option<&Memory>,
        inputs: &[&[f32]],
        outputs: &mut [&mut [f32]],
    ) -> Result<()> {
        let graphics = &self.graphics;
        let scratch: &Scratch = scratch.of();
        let own;
        let bindings = match kept {
            None => &scratch.bindings,
            Some(kept) => {
                own = graphics.bind(&scratch.arena, &kept.of::<Kept>().0, &self.begins);
                &own
            }
        };
        for (port, data) in inputs.iter().enumerate() {
            if self.sent.takes(&stages, port, data) {
                let start = 4 * self.module.memory.inputs[port] as u64;
                graphics.queue.write_buffer(&scratch.arena, start, bytes(data));
            }
        }
        let mut commands = graphics.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = commands.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            for launch in stages.clone().flat_map(|stage| &self.stages[stage]) {
                pass.set_pipeline(&launch.pipeline);
                pass.set_bind_group(0, bindings, &[launch.table]);
                pass.dispatch_workgroups(launch.groups[0], launch.groups[1], 1);
            }
        }
        let back = scratch.back.as_ref().filter(|_| outputs.iter().any(|output| !output.is_empty()));
        let range = self.outputs();
        if let Some(back) = back {
            commands.copy_buffer_to_buffer(&scratch.arena, range.start, back, 0, range.end - range.start);
        }
        graphics.queue.submit([commands.finish()]);
        let mapped = Arc::new(Mutex::new(Ok(())));
        if let Some(back) = back {
            let mapped = mapped.clone();
            back.map_async(wgpu::MapMode::Read, .., move |result| *lock(&mapped) = result);
        }
        let fails = |why: String| Error::Run(format!("{}: {why}", graphics.name));
        let polled = graphics.device.poll(wgpu::PollType::wait_indefinitely());
        graphics.check()?;
        polled.map_err(|why| fails(why.to_string()))?;
        if let Some(back) = back {
            lock(&mapped).clone().map_err(|why| fails(why.to_string()))?;
            let view = back.get_mapped_range(..).map_err(|why| fails(why.to_string()))?;
            for (start, output) in self.module.memory.outputs.iter().zip(outputs) {
                let first = 4 * *start - range.start as usize;
                let from = view[first..first + 4 * output.len()].chunks_exact(4);
                output.iter_mut().zip(from).for_each(|(x, from)| {
                    *x = f32::from_ne_bytes([from[0], from[1], from[2], from[3]]);
                });
            }
            drop(view);
            back.unmap();
        }
        Ok(())
    }
}

fn bytes(floats: &[f32]) -> &[u8] {
    // SAFETY: every float is four bytes, and bytes have no alignment of their own.
    unsafe { std::slice::from_raw_parts(floats.as_ptr().cast(), 4 * floats.len()) }
}

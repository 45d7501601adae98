//! The devices that a program may run on, and which of them are here.

use super::cpu::Isa;
use super::executable::Executable;
use super::gpu::Module;
use super::gpu::driver::Driver;
use crate::error::{Error, Result};
use crate::graph::Plan;
use std::sync::{Arc, Mutex, PoisonError};

/// A kind of device, by the word that a spec has for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Cpu,
    Cuda,
    Metal,
    Vulkan,
}

/// An opened device. Cheap to clone.
#[derive(Clone)]
pub enum Device {
    Cpu(Isa),
    Gpu(Kind, Arc<dyn Driver>),
}

/// One kind of device on this machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    pub kind: Kind,
    /// Names of the devices, best first, or why there are none.
    pub devices: std::result::Result<Vec<String>, String>,
}

impl Kind {
    pub const ALL: [Kind; 4] = [Kind::Cpu, Kind::Cuda, Kind::Metal, Kind::Vulkan];

    pub fn word(self) -> &'static str {
        match self {
            Kind::Cpu => "cpu",
            Kind::Cuda => "cuda",
            Kind::Metal => "metal",
            Kind::Vulkan => "vulkan",
        }
    }

    /// Whether this build can run on it.
    pub fn built(self) -> bool {
        match self {
            Kind::Cpu => true,
            Kind::Cuda => cfg!(feature = "cuda"),
            Kind::Metal => cfg!(all(feature = "metal", target_vendor = "apple")),
            Kind::Vulkan => cfg!(feature = "vulkan"),
        }
    }
}

impl Device {
    /// The processor, with its best instructions.
    pub fn cpu() -> Device {
        Device::Cpu(Isa::detect())
    }

    /// Opens the best device of a kind; a GPU once in the life of the process, with all that it has compiled.
    ///
    /// Errors: [`Error::Input`] where there is none, with what was looked for and what is here instead.
    pub fn open(kind: Kind) -> Result<Device> {
        if kind == Kind::Cpu {
            return Ok(Device::cpu());
        }
        static OPENED: Mutex<Vec<Device>> = Mutex::new(Vec::new());
        let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(device) = opened.iter().find(|device| device.kind() == kind) {
            return Ok(device.clone());
        }
        let device = open_gpu(kind).map(|driver| Device::Gpu(kind, driver));
        opened.extend(device.clone());
        device.map_err(|why| {
            let others = Kind::ALL.into_iter().filter(|other| *other != kind && other.built());
            let here = others.filter_map(|other| {
                let devices = devices(other).ok()?;
                Some(format!("{} ({})", other.word(), devices.first()?))
            });
            let here: Vec<String> = here.collect();
            Error::Input(format!("device: {}: {why}. Here are: {}", kind.word(), here.join(", ")))
        })
    }

    pub fn kind(&self) -> Kind {
        match self {
            Device::Cpu(_) => Kind::Cpu,
            Device::Gpu(kind, _) => *kind,
        }
    }

    /// Whether a launch should have as many tasks as fit; a processor's threads take one each.
    pub fn batches(&self) -> bool {
        matches!(self, Device::Gpu(..))
    }

    pub fn name(&self) -> String {
        match self {
            Device::Cpu(isa) => format!("processor with {isa}"),
            Device::Gpu(_, driver) => driver.name(),
        }
    }

    /// Lowers a plan for this device.
    ///
    /// Errors: [`Error::Run`] where the device has not the memory for it, or refuses a kernel.
    pub fn lower(&self, plan: Plan) -> Result<Executable> {
        match self {
            Device::Cpu(isa) => Ok(super::lower_for(plan, *isa).into()),
            Device::Gpu(_, driver) => {
                let module = Module::of(plan);
                super::gpu::driver::fits(&module, driver.limit(), &driver.name())?;
                Executable::load(driver.clone(), module)
            }
        }
    }

    /// Of `tasks` tasks, how many one launch of a plan takes: the most that fit the device's memory, in as equal launches
    /// as there can be. `plan` builds the plan for a number of tasks.
    pub fn tasks_at_once(&self, tasks: usize, plan: impl Fn(usize) -> Plan) -> usize {
        let Device::Gpu(_, driver) = self else { return 1 };
        let needs = |tasks: usize| {
            let memory = Module::of(plan(tasks)).memory;
            4 * memory.scratch_floats.max(memory.kept_floats) as u64
        };
        let mut launches = needs(tasks).div_ceil(driver.limit().max(1)).max(1) as usize;
        while launches < tasks && needs(tasks.div_ceil(launches)) > driver.limit() {
            launches += 1;
        }
        tasks.div_ceil(launches.min(tasks)).max(1)
    }
}

/// Every kind of device, with what of it is here.
pub fn found() -> Vec<Found> {
    Kind::ALL.map(|kind| Found { kind, devices: devices(kind) }).into()
}

fn devices(kind: Kind) -> std::result::Result<Vec<String>, String> {
    if !kind.built() {
        return Err(not_built(kind));
    }
    match kind {
        Kind::Cpu => Ok(vec![Device::cpu().name()]),
        #[cfg(feature = "cuda")]
        Kind::Cuda => super::gpu::cuda::devices(),
        #[cfg(any(feature = "vulkan", feature = "metal"))]
        Kind::Vulkan | Kind::Metal => super::gpu::graphics::devices(kind),
        #[allow(unreachable_patterns)]
        _ => Err(not_built(kind)),
    }
}

fn open_gpu(kind: Kind) -> std::result::Result<Arc<dyn Driver>, String> {
    if !kind.built() {
        return Err(not_built(kind));
    }
    match kind {
        #[cfg(feature = "cuda")]
        Kind::Cuda => Ok(super::gpu::cuda::open()?),
        #[cfg(any(feature = "vulkan", feature = "metal"))]
        Kind::Vulkan | Kind::Metal => Ok(super::gpu::graphics::open(kind)?),
        #[allow(unreachable_patterns)]
        _ => Err(not_built(kind)),
    }
}

fn not_built(kind: Kind) -> String {
    if kind == Kind::Metal && !cfg!(target_vendor = "apple") {
        return "Metal is on Apple's systems only".into();
    }
    let word = kind.word();
    format!(
        "this mamlx was built without it; `cargo build --release --features {word}` builds one that has it"
    )
}

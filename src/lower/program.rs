//! What a device runs: ports in, ports out, no luminal types.

use super::cpu::{Bases, Isa, Kernel};
use crate::graph::{Port, Shape};
use memmap2::MmapMut;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt::Write;
use std::ops::Range;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

/// One tensor of a port.
pub type PartInfo = (String, Shape);

/// A flat buffer at the door of a program: its parts lie one after the other in it.
#[derive(Clone, Debug, PartialEq)]
pub struct PortInfo {
    pub name: String,
    pub parts: Vec<PartInfo>,
    /// Given only at the second stage.
    pub late: bool,
    /// An output of the first stage.
    pub early: bool,
}

impl PortInfo {
    /// Number of floats.
    pub fn size(&self) -> usize {
        self.parts.iter().map(|(_, shape)| shape.size()).sum()
    }

    pub(super) fn of(port: &Port) -> PortInfo {
        let parts = port.parts.iter().map(|p| (p.name.clone(), p.shape)).collect();
        PortInfo { name: port.name.clone(), parts, late: port.late, early: port.early }
    }
}

/// A lowered plan. Any number of threads run one program at once, each with its own [`Scratch`].
///
/// The same inputs give the same bits, whichever thread, scratch or stage split computes them.
pub struct Program {
    pub(super) name: String,
    pub(super) inputs: Vec<PortInfo>,
    pub(super) outputs: Vec<PortInfo>,
    /// Kernels that no late port reaches, then the rest. All are in the second list where no port is late.
    pub(super) stages: [Vec<Kernel>; 2],
    pub(super) scratch_floats: usize,
    pub(super) kept_floats: usize,
    pub(super) flops: u64,
    pub(super) isa: Isa,
}

impl Program {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn inputs(&self) -> &[PortInfo] {
        &self.inputs
    }

    pub fn outputs(&self) -> &[PortInfo] {
        &self.outputs
    }

    /// One thread's working memory. Make it once; nothing allocates while a program runs.
    pub fn scratch(&self) -> Scratch {
        Scratch {
            arena: Floats::zeroed(self.scratch_floats),
            kept: self.kept(),
            bases: Vec::with_capacity(2 + self.inputs.len() + self.outputs.len()),
        }
    }

    /// One thread's working memory for [`prepare`](Program::prepare) and [`apply`](Program::apply) alone: without a
    /// place for what the first stage keeps.
    pub fn stage_scratch(&self) -> Scratch {
        Scratch { kept: Kept { floats: Floats::zeroed(0) }, ..self.scratch() }
    }

    /// Storage for what [`prepare`](Program::prepare) computes.
    pub fn kept(&self) -> Kept {
        Kept { floats: Floats::zeroed(self.kept_floats) }
    }

    /// One flat slice per input port, in port order; fills one flat slice per output port.
    ///
    /// # Panics
    /// When a slice has not the size of its port, or the scratch is another program's.
    pub fn run(&self, scratch: &mut Scratch, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        check(&self.name, [&self.inputs, &self.outputs], inputs, outputs, 0..2);
        self.own(scratch);
        assert_eq!(scratch.kept.floats.len, self.kept_floats, "this scratch is for single stages");
        let kept = scratch.kept.floats.pointer();
        self.stage(0, scratch, kept, inputs, outputs);
        self.stage(1, scratch, kept, inputs, outputs);
    }

    /// Stage 1: everything that depends on no late port. Late inputs, and outputs that are not early, are passed as
    /// empty slices.
    ///
    /// # Panics
    /// As [`run`](Program::run).
    pub fn prepare(
        &self,
        scratch: &mut Scratch,
        kept: &mut Kept,
        inputs: &[&[f32]],
        outputs: &mut [&mut [f32]],
    ) {
        check(&self.name, [&self.inputs, &self.outputs], inputs, outputs, 0..1);
        self.own(scratch);
        assert_eq!(kept.floats.len, self.kept_floats, "this storage was made by another program");
        self.stage(0, scratch, kept.floats.pointer(), inputs, outputs);
    }

    /// Stage 2: the rest, given all inputs and what stage 1 kept. Early outputs are passed as empty slices.
    ///
    /// # Panics
    /// As [`run`](Program::run).
    pub fn apply(&self, scratch: &mut Scratch, kept: &Kept, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        check(&self.name, [&self.inputs, &self.outputs], inputs, outputs, 1..2);
        self.own(scratch);
        assert_eq!(kept.floats.len, self.kept_floats, "this storage was made by another program");
        self.stage(1, scratch, kept.floats.pointer(), inputs, outputs);
    }

    /// As [`run`](Program::run), and says how long each kernel took, in the order of [`describe`](Program::describe).
    ///
    /// # Panics
    /// As [`run`](Program::run).
    pub fn profile(
        &self,
        scratch: &mut Scratch,
        inputs: &[&[f32]],
        outputs: &mut [&mut [f32]],
    ) -> Vec<(String, Duration)> {
        self.run(scratch, inputs, outputs);
        let mut times = Vec::new();
        let kept = scratch.kept.floats.pointer();
        scratch.bases.extend([scratch.arena.pointer(), kept]);
        scratch.bases.extend(inputs.iter().map(|data| data.as_ptr().cast_mut()));
        scratch.bases.extend(outputs.iter_mut().map(|data| data.as_mut_ptr()));
        for kernel in self.stages.iter().flatten() {
            let began = Instant::now();
            // SAFETY: as in `stage`; the run above checked ports and scratch.
            unsafe { kernel.run(self.isa, &Bases(&scratch.bases)) };
            times.push((kernel.to_string(), began.elapsed()));
        }
        scratch.bases.clear();
        times
    }

    fn own(&self, scratch: &Scratch) {
        assert_eq!(scratch.arena.len, self.scratch_floats, "this scratch was made by another program");
    }

    fn stage(
        &self,
        stage: usize,
        scratch: &mut Scratch,
        kept: *mut f32,
        inputs: &[&[f32]],
        outputs: &mut [&mut [f32]],
    ) {
        scratch.bases.clear();
        scratch.bases.extend([scratch.arena.pointer(), kept]);
        // Inputs are only ever read; they sit in one table with the rest so that an address is two numbers.
        scratch.bases.extend(inputs.iter().map(|data| data.as_ptr().cast_mut()));
        scratch.bases.extend(outputs.iter_mut().map(|data| data.as_mut_ptr()));
        let bases = Bases(&scratch.bases);
        for kernel in &self.stages[stage] {
            // SAFETY: the lowering checked that every view of every kernel lies in its buffer, the sizes of the
            // buffers were checked by the callers, kernels of stage 0 address neither late inputs nor outputs that are
            // not early, those of stage 1 no early outputs and never write what is kept, and `isa` was available when
            // the program was made.
            unsafe { kernel.run(self.isa, &bases) };
        }
        scratch.bases.clear();
    }

    /// Floating-point operations of one run, matrix products only, 2 per multiply-add.
    pub fn flops(&self) -> u64 {
        self.flops
    }

    pub fn scratch_bytes(&self) -> usize {
        4 * (self.scratch_floats + self.kept_floats)
    }

    pub fn kept_bytes(&self) -> usize {
        4 * self.kept_floats
    }

    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// The kernels in the order they run, in a form that depends only on the plan and the instruction set.
    pub fn describe(&self) -> String {
        let mut text = format!(
            "program {}: {} products' flops, {} bytes of scratch, {} kept\n",
            self.name,
            self.flops,
            self.scratch_bytes(),
            self.kept_bytes()
        );
        for (stage, kernels) in self.stages.iter().enumerate().filter(|(_, kernels)| !kernels.is_empty()) {
            let _ = writeln!(text, "stage {}: {} kernels", stage + 1, kernels.len());
            for kernel in kernels {
                let _ = writeln!(text, "  {kernel}");
            }
        }
        text
    }
}

/// Every slice has the size of its port, or is empty where the port belongs to another stage.
pub(super) fn check(
    name: &str,
    [of_inputs, of_outputs]: [&[PortInfo]; 2],
    inputs: &[&[f32]],
    outputs: &[&mut [f32]],
    stages: Range<usize>,
) {
    assert_eq!(inputs.len(), of_inputs.len(), "input ports of {name}");
    assert_eq!(outputs.len(), of_outputs.len(), "output ports of {name}");
    let fits = |port: &PortInfo, floats: usize, present: bool| {
        let fits = floats == port.size() || (!present && floats == 0);
        assert!(fits, "{name}: {floats} floats for {port:?}");
    };
    for (port, data) in of_inputs.iter().zip(inputs) {
        fits(port, data.len(), !port.late || stages.contains(&1));
    }
    for (port, data) in of_outputs.iter().zip(outputs) {
        fits(port, data.len(), stages.contains(&usize::from(!port.early)));
    }
}

/// One thread's working memory for one program.
pub struct Scratch {
    arena: Floats,
    kept: Kept,
    /// Where each memory begins, filled in at the start of every run.
    bases: Vec<*mut f32>,
}

// SAFETY: `bases` is empty between runs; everything else is owned memory.
unsafe impl Send for Scratch {}
// SAFETY: a shared scratch gives access to nothing.
unsafe impl Sync for Scratch {}

/// What the stage that depends on no late port computed, for any number of second stages on any thread.
pub struct Kept {
    floats: Floats,
}

/// Cache lines, and the widest vectors there are, have 64 bytes.
const ALIGNMENT: usize = 64;
/// From this size on memory comes from the system in large pages where it has them: a pass over a big tensor then waits
/// less for the translation of addresses, and the processor's prefetcher is not stopped every 4 KiB.
const LARGE: usize = 2 << 20;

/// Owned, zeroed, 64-byte aligned floats.
struct Floats {
    start: NonNull<f32>,
    len: usize,
    /// Where the floats are pages of the system rather than of the allocator.
    pages: Option<MmapMut>,
}

// SAFETY: plain owned memory.
unsafe impl Send for Floats {}
// SAFETY: shared access only reads: stage 2 takes what is kept through a shared reference and never writes it.
unsafe impl Sync for Floats {}

impl Floats {
    fn zeroed(len: usize) -> Floats {
        if len == 0 {
            return Floats { start: NonNull::dangling(), len, pages: None };
        }
        if let Some(floats) = Floats::in_pages(len) {
            return floats;
        }
        let layout = Floats::layout(len);
        // SAFETY: the layout is not empty.
        let start = unsafe { alloc_zeroed(layout) };
        match NonNull::new(start.cast()) {
            Some(start) => Floats { start, len, pages: None },
            None => handle_alloc_error(layout),
        }
    }

    /// Fresh pages, which the system hands out zeroed; none for little memory, or where it refuses.
    fn in_pages(len: usize) -> Option<Floats> {
        if 4 * len < LARGE {
            return None;
        }
        let mut pages = MmapMut::map_anon(4 * len).ok()?;
        // Only a wish: without large pages everything works as well, and slower.
        #[cfg(target_os = "linux")]
        let _ = pages.advise(memmap2::Advice::HugePage);
        let start = NonNull::new(pages.as_mut_ptr())?.cast();
        Some(Floats { start, len, pages: Some(pages) })
    }

    fn layout(len: usize) -> Layout {
        Layout::from_size_align(4 * len, ALIGNMENT).expect("programs fit into the address space")
    }

    fn pointer(&self) -> *mut f32 {
        self.start.as_ptr()
    }
}

impl Drop for Floats {
    fn drop(&mut self) {
        if self.len > 0 && self.pages.is_none() {
            // SAFETY: allocated in `zeroed` with this layout.
            unsafe { dealloc(self.start.as_ptr().cast(), Floats::layout(self.len)) };
        }
    }
}

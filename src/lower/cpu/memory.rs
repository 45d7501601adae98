//! A place for every buffer, decided before anything runs.

use super::kernel::{Access, Address, Kernel};
use super::layout::Layout;
use super::pieces::Cut;
use crate::lower::arena::{self, Life};
use crate::lower::doors::Doors;
use crate::lower::draft::Draft;
use std::collections::HashMap;

/// Buffers begin on cache lines.
const LINE: usize = 16;

/// Numbers of the memories in [`super::Bases`]; input ports follow, then output ports.
const SCRATCH: u32 = 0;
const KEPT: u32 = 1;
const PORTS: u32 = 2;

pub struct Planned {
    pub stages: [Vec<Kernel>; 2],
    pub scratch_floats: usize,
    pub kept_floats: usize,
}

/// Floats of a buffer: a step's, or that of a result that is copied.
pub fn size(draft: &Draft, doors: &Doors, buffer: usize) -> usize {
    match draft.steps.get(buffer) {
        Some(step) => step.shape.size(),
        None => draft.steps[doors.results[buffer - draft.steps.len()].0].shape.size(),
    }
}

/// Places for the buffers of these kernels, of some of which only a piece exists, beside those that lie `outside`.
pub fn plan(
    draft: &Draft,
    doors: &Doors,
    Cut { mut stages, sizes }: Cut,
    outside: HashMap<usize, Address>,
) -> Planned {
    let size = |buffer: usize| sizes.get(&buffer).copied().unwrap_or_else(|| size(draft, doors, buffer));
    let early = stages[0].len();
    let mut lives: HashMap<usize, Life> = HashMap::new();
    for (number, kernel) in stages.iter_mut().flatten().enumerate() {
        kernel.addresses(&mut |address, _, reach| {
            let buffer = address.base as usize;
            assert!(address.offset + reach <= size(buffer), "a kernel reaches beyond its buffer");
            let life = lives.entry(buffer).or_insert(Life { first: number, last: number });
            life.last = number;
        });
    }
    let mut places = outside;
    let taken = take_over(&mut stages, &mut lives, &places, size);
    let mut order: Vec<(usize, Life)> =
        lives.into_iter().filter(|(buffer, _)| !places.contains_key(buffer)).collect();
    order.sort_unstable_by_key(|(buffer, life)| (life.first, *buffer));
    let registers = stages.iter().flatten().map(Kernel::register_floats).max().unwrap_or(0);
    let floats = |buffer: usize| size(buffer).next_multiple_of(LINE);
    let (both, one): (Vec<_>, Vec<_>) =
        order.into_iter().partition(|(_, life)| life.first < early && life.last >= early);
    let mut kept = 0;
    for (buffer, _) in both {
        places.insert(buffer, Address { base: KEPT, offset: kept });
        kept += floats(buffer);
    }
    let wanted: Vec<(usize, Life)> = one.iter().map(|(buffer, life)| (floats(*buffer), *life)).collect();
    let (offsets, top) = arena::places(registers, &wanted);
    for ((buffer, _), offset) in one.into_iter().zip(offsets) {
        places.insert(buffer, Address { base: SCRATCH, offset });
    }
    for (buffer, from) in taken {
        places.insert(buffer, places[&from]);
    }
    for kernel in stages.iter_mut().flatten() {
        kernel.addresses(&mut |address, access, _| {
            let place = places[&(address.base as usize)];
            debug_assert!(access == Access::Read || place.base < PORTS || !is_input(draft, address.base));
            *address = Address { base: place.base, offset: place.offset + address.offset };
        });
    }
    Planned { stages, scratch_floats: top, kept_floats: kept }
}

/// Results that lie where a tensor lay that their own kernel reads last, with the buffer whose place it is. That buffer
/// lives on for them, and they have no life of their own.
fn take_over(
    stages: &mut [Vec<Kernel>; 2],
    lives: &mut HashMap<usize, Life>,
    outside: &HashMap<usize, Address>,
    size: impl Fn(usize) -> usize,
) -> HashMap<usize, usize> {
    let early = stages[0].len();
    let mut owners: HashMap<usize, usize> = HashMap::new();
    for (number, kernel) in stages.iter_mut().flatten().enumerate() {
        let pairs = match kernel {
            Kernel::Map(map) => map.takeovers(),
            Kernel::Chain(chain) => chain.takeovers(),
            _ => continue,
        };
        for (leaf, result, floats) in pairs {
            let (from, to) = (leaf as usize, result as usize);
            let owner = owners.get(&from).copied().unwrap_or(from);
            let (Some(old), Some(new)) = (lives.get(&owner).copied(), lives.get(&to).copied()) else {
                continue;
            };
            let whole = size(from) == floats && size(to) == floats;
            let free = !outside.contains_key(&owner) && !outside.contains_key(&to);
            let follows = old.last == number && new.first == number;
            // What is kept from one stage to the next lies apart, and outlives every run of the second.
            let together = (old.first < early) == (new.last < early);
            if whole && free && follows && together {
                owners.insert(to, owner);
                lives.insert(owner, Life { last: new.last, ..old });
                lives.remove(&to);
            }
        }
    }
    owners
}

fn is_input(draft: &Draft, buffer: u32) -> bool {
    draft.steps.get(buffer as usize).is_some_and(|step| step.inputs.is_empty())
}

/// The buffers that lie in the ports.
pub fn outside(draft: &Draft, layout: &Layout, doors: &Doors) -> HashMap<usize, Address> {
    let mut places: HashMap<usize, Address> = HashMap::new();
    for (step, (port, offset)) in &doors.inputs {
        places.insert(*step, Address { base: PORTS + *port as u32, offset: *offset });
    }
    let outputs = PORTS + doors.input_ports as u32;
    let direct = doors.direct(draft, &layout.places, &layout.made);
    for (number, (_, (port, offset))) in doors.results.iter().enumerate() {
        let at = Address { base: outputs + *port as u32, offset: *offset };
        places.insert(direct[number].unwrap_or(draft.steps.len() + number), at);
    }
    places
}

//! Which kernels run piece by piece, so that large tensors between them never exist as a whole.
//!
//! A tensor that is larger than a cache costs more to write and read again than most arithmetic. Where the kernel that
//! writes it and those that read it can all be cut along their outermost axis (the images of a batch) they become a
//! [`Chain`], and the tensor is one piece large. A cheap kernel is run in every chain that wants its result, rather than
//! once for all of them. A sum over all pieces ends a chain: what needs it comes later. Where the tensor is wanted later
//! too and must exist, the first kernel that reads it still runs with the one that writes it, piece by piece.

use super::bands;
use super::chain::{Chain, Door, MAX_DOORS};
use super::fill::Fill;
use super::kernel::{Access, Address, Kernel};
use super::map::Meet;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Floats from which on a tensor is worth it: 1 MiB, a good part of the second-level cache of a core.
pub const LARGE: usize = 1 << 18;
/// The largest tensor of one piece is smaller than that by this factor, where the axis can be cut so often.
const SHARE: usize = 4;
/// A kernel of at most so many instructions …
const CHEAP: usize = 8;
/// … that reads at most so many times what it writes is repeated rather than its result written and read.
const CHEAP_READS: usize = 2;
/// How often it is run at most.
const COPIES: usize = 8;
/// A short convolution is cheap, too, where its result is so many times what is large: it does not stay in any cache, and
/// to write and read it takes as long.
const HUGE: usize = 16;

/// Kernels, and the floats of the pieces that pass between them, which are buffers after all others.
pub struct Cut {
    pub stages: [Vec<Kernel>; 2],
    pub sizes: HashMap<usize, usize>,
}

/// What a kernel does to a buffer.
#[derive(Clone, Copy)]
struct Use {
    buffer: usize,
    offset: usize,
    access: Access,
    reach: usize,
}

struct Cutter<'a> {
    kernels: Vec<Kernel>,
    /// Kernels of the first stage.
    early: usize,
    uses: Vec<Vec<Use>>,
    writers: HashMap<usize, BTreeSet<usize>>,
    readers: HashMap<usize, BTreeSet<usize>>,
    size: &'a dyn Fn(usize) -> usize,
    large: usize,
    /// One past the last buffer.
    buffers: usize,
    /// The buffers of which one piece at a time is to exist.
    passing: BTreeSet<usize>,
    /// Kernels that are to run with the one that writes a buffer, which exists as a whole for others.
    beside: BTreeSet<(usize, usize)>,
}

/// What the kernels of one chain hand on.
struct Within {
    /// Buffers that exist as a whole, but are read in the chain that writes them.
    handed: BTreeSet<usize>,
    /// The buffers of single pieces, by what passes in them.
    places: HashMap<usize, u32>,
}

/// Kernels that run together, at the place of the last of them.
struct Group {
    members: BTreeSet<usize>,
    /// Cheap kernels that are run here too.
    copies: BTreeSet<usize>,
}

/// Cuts the kernels of both stages; of so many `buffers` those from `large` floats on are looked at, except those that lie
/// `outside`.
pub fn cut(
    stages: [Vec<Kernel>; 2],
    size: &dyn Fn(usize) -> usize,
    buffers: usize,
    outside: impl Fn(usize) -> bool,
    large: usize,
) -> Cut {
    let early = stages[0].len();
    let mut kernels: Vec<Kernel> = stages.into_iter().flatten().collect();
    let mut uses: Vec<Vec<Use>> = Vec::with_capacity(kernels.len());
    let (mut writers, mut readers) = (HashMap::new(), HashMap::new());
    for (at, kernel) in kernels.iter_mut().enumerate() {
        let mut of = vec![];
        kernel.addresses(&mut |address, access, reach| {
            let buffer = address.base as usize;
            let all = if access == Access::Read { &mut readers } else { &mut writers };
            all.entry(buffer).or_insert_with(BTreeSet::new).insert(at);
            of.push(Use { buffer, offset: address.offset, access, reach });
        });
        uses.push(of);
    }
    let (passing, beside) = (BTreeSet::new(), BTreeSet::new());
    let mut cutter = Cutter { kernels, early, uses, writers, readers, size, large, buffers, passing, beside };
    let buffers: BTreeSet<usize> = cutter.writers.keys().copied().collect();
    let is_large = |buffer: &usize| size(*buffer) >= large && !outside(*buffer);
    let (passing, whole): (Vec<_>, Vec<_>) =
        buffers.into_iter().filter(is_large).partition(|buffer| cutter.may_pass(*buffer));
    cutter.passing.extend(passing);
    for buffer in whole {
        cutter.run_beside(buffer);
    }
    cutter.apply()
}

impl Cutter<'_> {
    /// Whether one kernel writes the buffer as a whole, and others of its stage read it.
    fn may_pass(&self, buffer: usize) -> bool {
        let (Some(writer), Some(readers)) = (self.sole_writer(buffer), self.readers.get(&buffer)) else {
            return false;
        };
        let whole = match &self.kernels[writer] {
            Kernel::Map(map) => {
                // Perhaps as a sum in each piece, which `add` finds out.
                let results = map.results.iter().map(|result| result.at);
                let mut all = results.chain(map.scattered.iter().map(|(result, _)| result.at));
                all.any(|at| at.base as usize == buffer && at.offset == 0)
            }
            Kernel::Conv(_) => true,
            _ => false,
        };
        whole && readers.iter().all(|reader| *reader > writer && self.same_stage(*reader, writer))
    }

    fn sole_writer(&self, buffer: usize) -> Option<usize> {
        let writers = self.writers.get(&buffer).filter(|writers| writers.len() == 1)?;
        writers.first().copied()
    }

    fn same_stage(&self, a: usize, b: usize) -> bool {
        (a < self.early) == (b < self.early)
    }

    fn writer(&self, buffer: usize) -> usize {
        self.writers[&buffer].first().copied().unwrap_or(0)
    }

    /// Whether the kernel is run once for every chain that wants its only result.
    fn is_cheap(&self, at: usize) -> bool {
        let reads: usize = self.uses[at].iter().filter(|u| u.access == Access::Read).map(|u| u.reach).sum();
        match &self.kernels[at] {
            Kernel::Map(map) => {
                map.results.len() == 1
                    && map.scattered.is_empty()
                    && map.code.len() <= CHEAP
                    && reads <= CHEAP_READS * map.total()
                    && self.passing.contains(&(map.results[0].at.base as usize))
            }
            Kernel::Conv(conv) => {
                let to = conv.to.base as usize;
                conv.is_short() && (self.size)(to) >= HUGE * self.large && self.passing.contains(&to)
            }
            _ => false,
        }
    }

    /// The kernels that read a buffer, or what cheap ones make of it where they run.
    fn final_readers(&self, buffer: usize) -> BTreeSet<usize> {
        let (mut found, mut open) = (BTreeSet::new(), vec![buffer]);
        while let Some(buffer) = open.pop() {
            for reader in self.readers.get(&buffer).into_iter().flatten() {
                if self.is_cheap(*reader) {
                    open.extend(self.passes(*reader, Access::Write));
                } else {
                    found.insert(*reader);
                }
            }
        }
        found
    }

    /// What passes between the kernel and others.
    fn passes(&self, at: usize, access: Access) -> impl Iterator<Item = usize> {
        let is = move |u: &&Use| u.access == access && self.passing.contains(&u.buffer);
        self.uses[at].iter().filter(is).map(|u| u.buffer)
    }

    /// Groups of kernels with something that passes between them.
    fn groups(&self) -> Vec<Group> {
        let mut group_of: BTreeMap<usize, usize> = BTreeMap::new();
        for buffer in &self.passing {
            let mut all = self.readers[buffer].clone();
            all.insert(self.writer(*buffer));
            let members: Vec<usize> = all.into_iter().filter(|at| !self.is_cheap(*at)).collect();
            // Kernels that hand on a cheap one's result need not run together.
            let joined = !self.is_cheap(self.writer(*buffer));
            match joined {
                true => join(&mut group_of, &members),
                false => members.iter().for_each(|at| join(&mut group_of, &[*at])),
            }
        }
        for (buffer, reader) in &self.beside {
            join(&mut group_of, &[self.writer(*buffer), *reader]);
        }
        let mut groups: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for (at, group) in group_of {
            groups.entry(group).or_default().insert(at);
        }
        let whole = |members: BTreeSet<usize>| {
            let (mut copies, mut open) = (BTreeSet::new(), Vec::from_iter(members.iter().copied()));
            while let Some(at) = open.pop() {
                for buffer in self.passes(at, Access::Read) {
                    let writer = self.writer(buffer);
                    // One that is not cheap is found by `often_repeated`.
                    if !members.contains(&writer) && copies.insert(writer) && self.is_cheap(writer) {
                        open.push(writer);
                    }
                }
            }
            Group { members, copies }
        };
        let alone = (0..self.kernels.len()).filter(|at| {
            let taken = groups.values().any(|members| members.contains(at));
            !taken && !self.is_cheap(*at) && self.meets_in_much(*at)
        });
        let alone: Vec<BTreeSet<usize>> = alone.map(|at| BTreeSet::from([at])).collect();
        groups.into_values().chain(alone).map(whole).collect()
    }

    /// Whether elements meet in a large result as the kernel goes along: piece by piece it stays in the cache from its
    /// beginning until the last of them.
    fn meets_in_much(&self, at: usize) -> bool {
        let Kernel::Map(map) = &self.kernels[at] else { return false };
        let much = |size: usize| size >= self.large && map.total() > size;
        let mut results = map.scattered.iter().filter(|(_, meet)| *meet != Meet::Store);
        results.any(|(result, _)| result.strides[0] > 0 && much((self.size)(result.at.base as usize)))
    }

    fn apply(mut self) -> Cut {
        loop {
            let groups = self.groups();
            let mut chains: BTreeMap<usize, Vec<Kernel>> = BTreeMap::new();
            let mut sizes: HashMap<usize, usize> = HashMap::new();
            let mut dropped = self.often_repeated(&groups);
            let (mut apart, mut moved) = (BTreeSet::new(), BTreeSet::new());
            for group in &groups {
                match self.chain(group, &mut sizes) {
                    Ok(kernels) => {
                        chains.insert(group.members.last().copied().unwrap_or(0), kernels);
                        moved.extend(group.members.iter().chain(&group.copies));
                    }
                    // Nothing where a kernel that would be a group of its own cannot be cut.
                    Err(buffers) => match self.longest_beside(group) {
                        Some((span, beside)) if buffers.iter().all(|buffer| self.span(*buffer) <= span) => {
                            apart.extend([beside]);
                        }
                        _ => dropped.extend(buffers),
                    },
                }
            }
            if dropped.is_empty() && apart.is_empty() {
                return self.place(&moved, chains, sizes);
            }
            self.beside.retain(|beside| !apart.contains(beside));
            for buffer in dropped {
                self.passing.remove(&buffer);
                self.run_beside(buffer);
            }
            // Cheap ones may be so no more.
            let still = |(buffer, reader): &(usize, usize)| self.first_reader(*buffer) == Some(*reader);
            self.beside = self.beside.iter().copied().filter(still).collect();
        }
    }

    fn run_beside(&mut self, buffer: usize) {
        self.beside.extend(self.first_reader(buffer).map(|reader| (buffer, reader)));
    }

    /// The kernel that might run with the one that writes the buffer.
    fn first_reader(&self, buffer: usize) -> Option<usize> {
        let (writer, first) = (self.sole_writer(buffer)?, self.final_readers(buffer).first().copied()?);
        let cut = [writer, first].iter().all(|at| pieces_of(&self.kernels[*at]) > 1);
        (cut && self.same_stage(writer, first)).then_some(first)
    }

    /// How far the last kernel that reads a buffer is behind the one that writes it.
    fn span(&self, buffer: usize) -> usize {
        self.readers[&buffer].last().copied().unwrap_or(0) - self.writer(buffer)
    }

    /// What runs together though it need not, and holds the group back the furthest; and how far.
    fn longest_beside(&self, group: &Group) -> Option<(usize, (usize, usize))> {
        let within = |(_, reader): &&(usize, usize)| group.members.contains(reader);
        let span = |(buffer, reader): &(usize, usize)| reader - self.writer(*buffer);
        self.beside.iter().filter(within).map(|beside| (span(beside), *beside)).max()
    }

    /// What is handed on by a kernel that too many groups would run, or that is itself not run where it is wanted.
    fn often_repeated(&self, groups: &[Group]) -> BTreeSet<usize> {
        let mut copies: HashMap<usize, usize> = HashMap::new();
        groups.iter().flat_map(|group| &group.copies).for_each(|at| *copies.entry(*at).or_default() += 1);
        let bad = copies.into_iter().filter(|(at, count)| *count > COPIES || !self.is_cheap(*at));
        bad.flat_map(|(at, _)| self.passes(at, Access::Write).collect::<Vec<_>>()).collect()
    }

    /// The kernels of a group as a chain, with what comes before it; or what cannot pass between them.
    fn chain(
        &self,
        group: &Group,
        sizes: &mut HashMap<usize, usize>,
    ) -> Result<Vec<Kernel>, BTreeSet<usize>> {
        let all: BTreeSet<usize> = group.members.union(&group.copies).copied().collect();
        let passing = |at: &usize| {
            let both =
                [Access::Read, Access::Write].map(|access| self.passes(*at, access).collect::<Vec<_>>());
            both.into_iter().flatten()
        };
        let within: BTreeSet<usize> = all.iter().flat_map(passing).collect();
        // A kernel of the group that others wait for: the tensor that holds it back the furthest is given up.
        let longest = || {
            let held = |buffer: &&usize| group.members.contains(&self.writer(**buffer));
            let of_members = within.iter().filter(held).max_by_key(|buffer| self.span(**buffer));
            of_members.map_or_else(|| within.clone(), |buffer| BTreeSet::from([*buffer]))
        };
        let last = group.members.last().copied().unwrap_or(0);
        let mut handed = BTreeSet::new();
        for at in &group.members {
            for written in self.uses[*at].iter().filter(|u| u.access == Access::Write) {
                let buffer = written.buffer;
                if self.passing.contains(&buffer) {
                    continue;
                }
                for reader in self.final_readers(buffer).into_iter().filter(|reader| *reader <= last) {
                    if !group.members.contains(&reader) || !self.beside.contains(&(buffer, reader)) {
                        return Err(longest());
                    }
                    handed.insert(buffer);
                }
            }
        }
        let mut common = 0;
        for at in &all {
            match pieces_of(&self.kernels[*at]) {
                0 => return Err(passing(at).collect()),
                pieces => common = greatest_divisor(common, pieces),
            }
        }
        let total = |at: &usize| match &self.kernels[*at] {
            Kernel::Map(map) => map.total(),
            _ => 0,
        };
        let most =
            within.iter().map(|buffer| (self.size)(*buffer)).chain(all.iter().map(total)).max().unwrap_or(0);
        let divides = |pieces: &usize| common.is_multiple_of(*pieces);
        let pieces = (2..=common)
            .filter(divides)
            .find(|pieces| SHARE * (most / pieces) <= self.large)
            .unwrap_or(common);
        if pieces < 2 {
            return Err(longest());
        }
        let mut chain = Chain { pieces, doors: vec![], kernels: vec![], bands: vec![] };
        let (mut before, mut passed) = (vec![], Within { handed, places: HashMap::new() });
        for at in all {
            let Some((kernel, steps)) = cut_kernel(&self.kernels[at], pieces) else {
                return Err(passing(&at).collect());
            };
            if !self.add(&mut chain, kernel, &steps, at, sizes, &mut passed) {
                return Err(longest());
            }
            if self.begins(at, &steps, &mut before).is_none() {
                return Err(passing(&at).collect());
            }
        }
        bands::band(&mut chain, sizes, self.large);
        before.push(Kernel::Chain(Box::new(chain)));
        Ok(before)
    }

    /// One kernel more in a chain; false where it reads or writes what passes in another order, and where there are too
    /// many addresses.
    fn add(
        &self,
        chain: &mut Chain,
        mut kernel: Kernel,
        steps: &[usize],
        of: usize,
        sizes: &mut HashMap<usize, usize>,
        Within { handed, places }: &mut Within,
    ) -> bool {
        let (mut number, mut fits) = (0, true);
        let doors = &mut chain.doors;
        kernel.addresses(&mut |address, access, reach| {
            let (buffer, mut step) = (address.base as usize, steps[number]);
            let share = (self.size)(buffer) / chain.pieces;
            let mut at = *address;
            let in_order = address.offset == 0 && step == share && reach <= share;
            fits &= in_order || !handed.contains(&buffer);
            if self.passes(of, access).any(|passing| passing == buffer) {
                fits &= in_order;
                // A place of its own in every chain, so that it need not last from one to the next.
                at.base = *places.entry(buffer).or_insert_with(|| {
                    let piece = self.buffers + sizes.len();
                    sizes.insert(piece, share);
                    piece as u32
                });
                step = 0;
            }
            let door = Door { at, step, access, reach };
            let known = doors.iter().position(|other| *other == door).unwrap_or_else(|| {
                doors.push(door);
                doors.len() - 1
            });
            *address = Address { base: known as u32 + 1, offset: 0 };
            number += 1;
        });
        chain.kernels.push(kernel);
        fits && doors.len() <= MAX_DOORS
    }

    /// What the results hold in which all pieces of a kernel meet, before the first; none where it cannot be said.
    fn begins(&self, at: usize, steps: &[usize], before: &mut Vec<Kernel>) -> Option<()> {
        for (number, written) in self.uses[at].iter().enumerate() {
            if written.access == Access::Read || steps[number] > 0 {
                continue;
            }
            let count = (self.size)(written.buffer);
            let dense = written.offset == 0 && written.reach == count;
            if !dense || self.writers[&written.buffer].len() > 1 {
                return None;
            }
            let value = match &self.kernels[at] {
                Kernel::Map(map) => {
                    let is = |at: Address| at.base as usize == written.buffer;
                    let (_, meet) = map.scattered.iter().find(|(strided, _)| is(strided.at))?;
                    meet.nothing()?
                }
                _ => 0.0,
            };
            let to = Address { base: written.buffer as u32, offset: 0 };
            before.push(Kernel::Fill(Fill { to, count, value }));
        }
        Some(())
    }

    /// The kernels in order, with each group at the place of its last member.
    fn place(
        self,
        moved: &BTreeSet<usize>,
        mut chains: BTreeMap<usize, Vec<Kernel>>,
        sizes: HashMap<usize, usize>,
    ) -> Cut {
        let mut stages = [vec![], vec![]];
        for (at, kernel) in self.kernels.into_iter().enumerate() {
            let stage = &mut stages[usize::from(at >= self.early)];
            match chains.remove(&at) {
                Some(chain) => stage.extend(chain),
                None if moved.contains(&at) => {}
                None => stage.push(kernel),
            }
        }
        Cut { stages, sizes }
    }
}

/// How often a kernel can be cut: the length of its outermost axis, or 0.
pub fn pieces_of(kernel: &Kernel) -> usize {
    match kernel {
        Kernel::Map(map) => map.lengths.first().copied().unwrap_or(0),
        Kernel::Conv(conv) => conv.images,
        _ => 0,
    }
}

/// One of so many pieces, and how far each address moves to the next, in the order of [`Kernel::addresses`].
fn cut_kernel(kernel: &Kernel, pieces: usize) -> Option<(Kernel, Vec<usize>)> {
    match kernel {
        Kernel::Map(map) => map.cut(pieces).map(|(map, steps)| (Kernel::Map(map), steps)),
        Kernel::Conv(conv) => conv.cut(pieces).map(|(conv, steps)| (Kernel::Conv(Box::new(conv)), steps)),
        _ => None,
    }
}

/// Puts kernels, and all that are in a group with one of them, into one group.
fn join(group_of: &mut BTreeMap<usize, usize>, members: &[usize]) {
    let group = |at: &usize| group_of.get(at).copied().unwrap_or(*at);
    let old: Vec<usize> = members.iter().map(group).collect();
    let Some(new) = old.first().copied() else { return };
    group_of.values_mut().filter(|group| old.contains(group)).for_each(|group| *group = new);
    group_of.extend(members.iter().map(|at| (*at, new)));
}

/// Zero has every divisor.
pub fn greatest_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_divisor(b, a % b) }
}

impl Meet {
    /// What a result holds in which nothing met yet.
    fn nothing(self) -> Option<f32> {
        match self {
            Meet::Store => None,
            Meet::Sum => Some(0.0),
            Meet::Max => Some(f32::NEG_INFINITY),
        }
    }
}

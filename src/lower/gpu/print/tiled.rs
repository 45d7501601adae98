//! Matrix products by tiles, in any dialect.
//!
//! A group holds parts of both sides in shared memory, inner axis outermost, twice: while the threads multiply one part,
//! the next is on its way through their registers into the other. A thread's own results are 4 neighbouring rows or
//! columns at a time, so that it reads its part of a side in one go. Its slice of the inner axis is the same in every
//! part; the slices are added up at the end, in their order.

use super::{Kind, Writer};
use crate::lower::gpu::kernel::{Access, Expr, Kernel, TILE_DEPTH, Tile};
use std::ops::Range;

/// Floats that one access of shared memory takes, and one of a side where they lie together there.
const QUAD: usize = 4;

/// Floats between the ends of two rows of a part, so that threads that write a column at a time meet in no bank.
const GAP: usize = QUAD;

/// One side of a product: the left has the rows of the result, the right its columns.
struct Side {
    /// Its name in texts: `a` or `b`.
    name: &'static str,
    /// The kept axes that it has.
    axes: Range<usize>,
    /// Their points.
    length: usize,
    /// Its points in a tile.
    tile: usize,
    /// The expression that loads an element.
    value: usize,
    /// Whether `axes` run fastest in memory, else the inner axes.
    along: bool,
    /// Neighbours that one load takes.
    wide: usize,
    /// Where it begins in a part.
    start: usize,
}

impl Side {
    /// From one row of a part to the next.
    fn row(&self) -> usize {
        self.tile + GAP
    }

    /// Loads of a part.
    fn loads(&self) -> usize {
        self.tile * TILE_DEPTH / self.wide
    }
}

/// Floats of shared memory that a tiled product takes.
pub fn shared(tile: Tile) -> usize {
    let part: usize = tile.size.iter().map(|side| (side + GAP) * TILE_DEPTH).sum();
    (2 * part).max(tile.size[0] * tile.size[1])
}

/// Whether 4 neighbours along an axis lie together, at a multiple of 4, and are there or not as one.
fn quads(kernel: &Kernel, access: &Access, axis: usize) -> bool {
    let others = access.strides.iter().enumerate().filter(|(at, _)| *at != axis);
    kernel.lengths[axis].is_multiple_of(QUAD)
        && access.strides[axis] == 1
        && access.offset.is_multiple_of(QUAD)
        && others.clone().all(|(_, stride)| stride.is_multiple_of(QUAD))
        && access
            .slides
            .iter()
            .all(|slide| slide.stride.is_multiple_of(QUAD) && slide.terms.iter().all(|(at, _)| *at != axis))
}

impl<'k> Writer<'k> {
    fn sides(&self, axes: [Range<usize>; 2], tile: Tile) -> [Side; 2] {
        let kernel = self.kernel;
        let product = kernel.reduce.map(|reduce| &kernel.inner[reduce.value]);
        let Some(Expr::Op(_, args)) = product else { unreachable!("a tiled kernel is a product") };
        let mut start = 0;
        let mut number = 0;
        axes.map(|axes| {
            let value = args[number];
            let Expr::Load(access, _) = &kernel.inner[value] else {
                unreachable!("the sides of a product are loads")
            };
            let last = |axes: &Range<usize>| (!axes.is_empty()).then(|| axes.end - 1);
            let inner = kernel.kept..kernel.lengths.len();
            let along = last(&axes).is_some_and(|axis| access.strides[axis] == 1);
            let fastest = last(if along { &axes } else { &inner });
            let wide = match fastest.is_some_and(|axis| quads(kernel, access, axis)) {
                true if self.dialect.wide() => QUAD,
                _ => 1,
            };
            let length = kernel.lengths[axes.clone()].iter().product();
            let side = Side {
                name: ["a", "b"][number],
                axes,
                length,
                tile: tile.size[number],
                value,
                along,
                wide,
                start,
            };
            start += side.row() * TILE_DEPTH;
            number += 1;
            side
        })
    }

    pub fn tiled(&mut self, rows: usize, columns: usize, tile: Tile) {
        let kernel = self.kernel;
        let sides = self.sides([rows..columns, columns..kernel.kept], tile);
        let [[tile_m, tile_n], [_, across]] = [tile.size, tile.sides()];
        let own = tile.sides()[0] * across;
        let (m, n, k) = (sides[0].length, sides[1].length, kernel.reduced());
        let (tiles_m, tiles_n) = (m.div_ceil(tile_m), n.div_ceil(tile_n));
        self.index("first_m", &format!("(group / {tiles_n}u) % {tiles_m}u * {tile_m}u"));
        self.index("first_n", &format!("group % {tiles_n}u * {tile_n}u"));
        self.index("batch", &format!("group / {}u", tiles_m * tiles_n));
        self.coordinates(0..rows, "batch");
        self.index("slice", &format!("thread / {own}u"));
        self.index("y", &format!("thread % {own}u / {across}u * {QUAD}u"));
        self.index("x", &format!("thread % {across}u * {QUAD}u"));
        let [down, over] = tile.each;
        let cells: Vec<(usize, usize)> = (0..down).flat_map(|i| (0..over).map(move |j| (i, j))).collect();
        cells.iter().for_each(|(i, j)| self.variable(&format!("c{i}_{j}"), "0.0f"));
        let parts = k.div_ceil(TILE_DEPTH);
        let part: usize = sides.iter().map(|side| side.row() * TILE_DEPTH).sum();
        sides.iter().for_each(|side| self.aim(side, rows, tile.threads()));
        self.each("step", "0u", parts + 1, 1);
        for side in &sides {
            self.fetch(side, parts, tile.threads());
        }
        self.open("if (step > 0u)");
        self.index("half", &format!("(step + 1u) % 2u * {part}u"));
        self.multiply(&sides, tile);
        self.close();
        for side in &sides {
            self.put(side, parts, part, tile.threads());
        }
        self.line(self.dialect.barrier());
        self.close();
        self.add_slices(tile);
        self.unroll(4);
        self.each("cell", "thread", tile_m * tile_n, tile.threads());
        self.index("m", &format!("first_m + cell / {tile_n}u"));
        self.index("n", &format!("first_n + cell % {tile_n}u"));
        self.open(&format!("if (m < {m}u && n < {n}u)"));
        self.coordinates(rows..columns, "m");
        self.coordinates(columns..kernel.kept, "n");
        let line = self.dialect.fixed(Kind::Float, "total", "part[cell]");
        self.line(&line);
        self.results();
        self.close();
        self.close();
    }

    /// Where in the tile and in the part a thread's load `number` begins.
    fn slot(side: &Side, number: usize, threads: usize) -> (String, String) {
        let Side { tile, wide, along, .. } = *side;
        let slot = format!("(thread + {}u)", number * threads);
        match (along, wide) {
            (true, _) => {
                let row = tile / wide;
                (format!("{slot} % {row}u * {wide}u"), format!("{slot} / {row}u"))
            }
            (false, 1) => (format!("{slot} / {TILE_DEPTH}u"), format!("{slot} % {TILE_DEPTH}u")),
            // Along the inner axis two threads take neighbouring loads: together a whole sector of memory.
            (false, _) => {
                let depth = format!("({slot} % 2u + {slot} / {}u * 2u) * {wide}u", 2 * tile);
                (format!("{slot} / 2u % {tile}u"), depth)
            }
        }
    }

    fn numbers(side: &Side, threads: usize) -> Range<usize> {
        0..side.loads().div_ceil(threads)
    }

    /// What has to hold for a thread to have a load `number`; nothing where all of a group have one.
    fn has(side: &Side, number: usize, threads: usize) -> Option<String> {
        let some = side.loads() < (number + 1) * threads;
        some.then(|| format!("thread + {}u < {}u", number * threads, side.loads()))
    }

    /// Names what of a thread's loads does not change from part to part: for load 0 of side a its point `a0_along` along
    /// the kept axes that the side has, their coordinates `a0_i…`, its offset `a0_o`, and the sums `a0_s…` of its slides.
    fn aim(&mut self, side: &Side, rows: usize, threads: usize) {
        let kernel = self.kernel;
        let name = side.name;
        let access = self.access(side);
        for number in Self::numbers(side, threads) {
            let own = format!("{name}{number}");
            let first = if name == "a" { "first_m" } else { "first_n" };
            self.index(
                &format!("{own}_along"),
                &format!("{first} + {}", Self::slot(side, number, threads).0),
            );
            let prefix = format!("{own}_i");
            self.coordinates_of(access, side.axes.clone(), &format!("{own}_along"), &prefix);
            let mut terms = vec![format!("{}u", access.offset)];
            let mut strides = |axes: Range<usize>, prefix: &str| {
                for axis in axes.filter(|axis| access.strides[*axis] > 0) {
                    terms.push(format!("{prefix}{axis} * {}u", access.strides[axis]));
                }
            };
            strides(0..rows, "i");
            strides(side.axes.clone(), &prefix);
            self.index(&format!("{own}_o"), &terms.join(" + "));
            for (number, slide) in access.slides.iter().enumerate() {
                let from = |axis: usize| if axis < rows { "i" } else { prefix.as_str() };
                let named = |axis: usize| (axis < kernel.kept).then(|| format!("{}{axis}", from(axis)));
                self.slid(&format!("{own}_s{number}"), &slide.add.to_string(), slide, named);
            }
        }
    }

    fn access(&self, side: &Side) -> &'k Access {
        match &self.kernel.inner[side.value] {
            Expr::Load(access, None) => access,
            _ => unreachable!("the sides of a product are plain loads"),
        }
    }

    /// Names the coordinates `prefix axis` of some axes, of which `flat` counts the points. Where an access crosses them
    /// in one step the last has all of `flat`, and the others are 0.
    fn coordinates_of(&mut self, access: &Access, axes: Range<usize>, flat: &str, prefix: &str) {
        let lengths = &self.kernel.lengths;
        let slides = access.slides.iter().flat_map(|slide| &slide.terms).any(|(axis, _)| axes.contains(axis));
        let steps = |axis: usize| access.strides[axis] == access.strides[axis + 1] * lengths[axis + 1];
        if !axes.is_empty() && !slides && (axes.start..axes.end - 1).all(steps) {
            for axis in axes.clone() {
                let value = if axis + 1 == axes.end { flat } else { "0u" };
                self.index(&format!("{prefix}{axis}"), value);
            }
        } else {
            self.coordinates_named(axes, flat, prefix);
        }
    }

    /// Loads the thread's elements of part `step` into registers; zeros where the product ends.
    fn fetch(&mut self, side: &Side, parts: usize, threads: usize) {
        let kernel = self.kernel;
        let name = side.name;
        let access = self.access(side);
        for number in Self::numbers(side, threads) {
            (0..side.wide).for_each(|i| self.variable(&format!("{name}{number}_{i}"), "0.0f"));
        }
        self.open(&format!("if (step < {parts}u)"));
        for number in Self::numbers(side, threads) {
            let own = format!("{name}{number}");
            let depth = Self::slot(side, number, threads).1;
            let mut inside: Vec<String> = Self::has(side, number, threads).into_iter().collect();
            if !side.length.is_multiple_of(side.tile) {
                inside.push(format!("{own}_along < {}u", side.length));
            }
            self.open("");
            self.index("k", &format!("step * {TILE_DEPTH}u + {depth}"));
            if !kernel.reduced().is_multiple_of(TILE_DEPTH) {
                inside.push(format!("k < {}u", kernel.reduced()));
            }
            let inner = kernel.kept..kernel.lengths.len();
            self.coordinates_of(access, inner.clone(), "k", "i");
            let mut terms = vec![format!("{own}_o")];
            for axis in inner.filter(|axis| access.strides[*axis] > 0) {
                terms.push(format!("i{axis} * {}u", access.strides[axis]));
            }
            for (number, slide) in access.slides.iter().enumerate() {
                let at = format!("at{number}");
                let named = |axis: usize| (axis >= kernel.kept).then(|| format!("i{axis}"));
                self.slid(&at, &format!("{own}_s{number}"), slide, named);
                let (position, conditions) = self.position(&at, slide);
                inside.extend(conditions);
                terms.push(format!("{position} * {}u", slide.stride));
            }
            let index = terms.join(" + ");
            let names: Vec<String> = (0..side.wide).map(|i| format!("{own}_{i}")).collect();
            let load = match side.wide {
                1 => format!("{} = {};", names[0], self.dialect.read(access.tensor, &index)),
                _ => self.dialect.load_wide(access.tensor, &index, &names),
            };
            let load =
                if inside.is_empty() { load } else { format!("if ({}) {{ {load} }}", inside.join(" && ")) };
            self.line(&load);
            self.close();
        }
        self.close();
    }

    /// Writes what [`fetch`](Self::fetch) loaded into shared memory.
    fn put(&mut self, side: &Side, parts: usize, part: usize, threads: usize) {
        let (name, row) = (side.name, side.row());
        self.open(&format!("if (step < {parts}u)"));
        for number in Self::numbers(side, threads) {
            let (at, depth) = Self::slot(side, number, threads);
            let head = Self::has(side, number, threads).map(|has| format!("if ({has})"));
            self.open(&head.unwrap_or_default());
            let to = format!("step % 2u * {part}u + {}u + ({depth}) * {row}u + {at}", side.start);
            self.index("to", &to);
            let names: Vec<String> = (0..side.wide).map(|i| format!("{name}{number}_{i}")).collect();
            if side.wide > 1 && side.along {
                let line = self.dialect.store_shared("to", &names);
                self.line(&line);
            } else {
                let next = if side.along { 1 } else { row };
                names.iter().enumerate().for_each(|(i, value)| {
                    self.line(&format!("part[to + {}u] = {value};", i * next));
                });
            }
            self.close();
        }
        self.close();
    }

    /// Multiplies the thread's slice of the part that begins at `half`.
    fn multiply(&mut self, sides: &[Side; 2], tile: Tile) {
        self.unroll(TILE_DEPTH / tile.slices);
        self.each("depth", "0u", TILE_DEPTH / tile.slices, 1);
        for (side, (own, ours)) in sides.iter().zip(tile.each.into_iter().zip(tile.sides())) {
            let (name, at) = if side.name == "a" { ("u", "y") } else { ("v", "x") };
            for quad in 0..own / QUAD {
                let row = format!("(slice * {}u + depth) * {}u", TILE_DEPTH / tile.slices, side.row());
                let index = format!("half + {}u + {row} + {at} + {}u", side.start, quad * ours * QUAD);
                let names: Vec<String> = (0..QUAD).map(|i| format!("{name}{}", quad * QUAD + i)).collect();
                let line = self.dialect.load_shared(&index, &names);
                self.line(&line);
            }
        }
        for i in 0..tile.each[0] {
            for j in 0..tile.each[1] {
                self.line(&format!("c{i}_{j} = c{i}_{j} + u{i} * v{j};"));
            }
        }
        self.close();
    }

    /// Adds up the slices in shared memory, first to last, as rows of the tile.
    fn add_slices(&mut self, tile: Tile) {
        let [ours, across] = tile.sides();
        for slice in 0..tile.slices {
            self.open(&format!("if (slice == {slice}u)"));
            for i in 0..tile.each[0] {
                let row = format!("(y + {}u) * {}u", i / QUAD * ours * QUAD + i % QUAD, tile.size[1]);
                for quad in 0..tile.each[1] / QUAD {
                    self.open("");
                    self.index("to", &format!("{row} + x + {}u", quad * across * QUAD));
                    let mut values: Vec<String> =
                        (0..QUAD).map(|j| format!("c{i}_{}", quad * QUAD + j)).collect();
                    if slice > 0 {
                        let names: Vec<String> = (0..QUAD).map(|j| format!("p{j}")).collect();
                        let line = self.dialect.load_shared("to", &names);
                        self.line(&line);
                        values
                            .iter_mut()
                            .zip(names)
                            .for_each(|(value, part)| *value = format!("{part} + {value}"));
                    }
                    let line = self.dialect.store_shared("to", &values);
                    self.line(&line);
                    self.close();
                }
            }
            self.close();
            self.line(self.dialect.barrier());
        }
    }
}

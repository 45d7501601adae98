//! Matrix products by tiles, in any dialect.
//!
//! A group holds parts of both sides in shared memory, inner axis outermost, twice: while the threads multiply one part,
//! the next is on its way through their registers into the other. A thread's own results are 4 neighbouring rows or
//! columns at a time, so that it reads its part of a side in one go. Its slice of the inner axis is a quarter of every
//! part; the slices are added up at the end, in their order.

use super::{Kind, Writer};
use crate::lower::gpu::kernel::{Access, Expr, Kernel, TILE_DEPTH, TILE_SLICES, Tile};
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

impl Writer<'_> {
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

    /// Names `load`, `at` (in the tile) and `depth` (in the part) of a thread's load number `number`, inside a block that
    /// only threads that have it enter.
    fn slot(&mut self, side: &Side, number: usize, threads: usize) {
        let Side { tile, wide, along, .. } = *side;
        self.index("slot", &format!("thread + {}u", number * threads));
        if side.loads() % threads != 0 {
            self.open(&format!("if (slot < {}u)", side.loads()));
        } else {
            self.open("");
        }
        // Along the inner axis two threads take neighbouring loads: together a whole sector of memory.
        let (at, depth) = match (along, wide) {
            (true, _) => {
                let row = tile / wide;
                (format!("slot % {row}u * {wide}u"), format!("slot / {row}u"))
            }
            (false, 1) => (format!("slot / {TILE_DEPTH}u"), format!("slot % {TILE_DEPTH}u")),
            (false, _) => {
                let at = format!("slot / 2u % {tile}u");
                (at, format!("(slot % 2u + slot / {}u * 2u) * {wide}u", 2 * tile))
            }
        };
        self.index("at", &at);
        self.index("depth", &depth);
    }

    fn numbers(side: &Side, threads: usize) -> Range<usize> {
        0..side.loads().div_ceil(threads)
    }

    /// Loads the thread's elements of part `step` into registers; zeros where the product ends.
    fn fetch(&mut self, side: &Side, parts: usize, threads: usize) {
        let kernel = self.kernel;
        let name = side.name;
        for number in Self::numbers(side, threads) {
            (0..side.wide).for_each(|i| self.variable(&format!("{name}{number}_{i}"), "0.0f"));
        }
        self.open(&format!("if (step < {parts}u)"));
        for number in Self::numbers(side, threads) {
            self.open("");
            self.slot(side, number, threads);
            let first = if name == "a" { "first_m" } else { "first_n" };
            self.index("along", &format!("{first} + at"));
            self.index("k", &format!("step * {TILE_DEPTH}u + depth"));
            let mut inside = vec![];
            if side.length % side.tile != 0 {
                inside.push(format!("along < {}u", side.length));
            }
            if kernel.reduced() % TILE_DEPTH != 0 {
                inside.push(format!("k < {}u", kernel.reduced()));
            }
            let head =
                if inside.is_empty() { String::new() } else { format!("if ({})", inside.join(" && ")) };
            self.open(&head);
            self.coordinates(side.axes.clone(), "along");
            self.coordinates(kernel.kept..kernel.lengths.len(), "k");
            let Expr::Load(access, None) = &kernel.inner[side.value] else {
                unreachable!("the sides of a product are plain loads")
            };
            let (index, conditions) = self.place("v", access);
            if !conditions.is_empty() {
                self.open(&format!("if ({})", conditions.join(" && ")));
            }
            let names: Vec<String> = (0..side.wide).map(|i| format!("{name}{number}_{i}")).collect();
            match side.wide {
                1 => {
                    let element = self.dialect.element(access.tensor, &index);
                    self.line(&format!("{} = {element};", names[0]));
                }
                _ => {
                    let lines = self.dialect.load_wide(access.tensor, &index, &names);
                    self.line(&lines);
                }
            }
            if !conditions.is_empty() {
                self.close();
            }
            self.close();
            self.close();
            self.close();
        }
        self.close();
    }

    /// Writes what [`fetch`](Self::fetch) loaded into shared memory.
    fn put(&mut self, side: &Side, parts: usize, part: usize, threads: usize) {
        let (name, row) = (side.name, side.row());
        self.open(&format!("if (step < {parts}u)"));
        for number in Self::numbers(side, threads) {
            self.open("");
            self.slot(side, number, threads);
            let to = format!("step % 2u * {part}u + {}u + depth * {row}u + at", side.start);
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
            self.close();
        }
        self.close();
    }

    /// Multiplies the thread's slice of the part that begins at `half`.
    fn multiply(&mut self, sides: &[Side; 2], tile: Tile) {
        self.unroll(TILE_DEPTH / TILE_SLICES);
        self.each("depth", "0u", TILE_DEPTH / TILE_SLICES, 1);
        for (side, (own, ours)) in sides.iter().zip(tile.each.into_iter().zip(tile.sides())) {
            let (name, at) = if side.name == "a" { ("u", "y") } else { ("v", "x") };
            for quad in 0..own / QUAD {
                let row = format!("(slice * {}u + depth) * {}u", TILE_DEPTH / TILE_SLICES, side.row());
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
        for slice in 0..TILE_SLICES {
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

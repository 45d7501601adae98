//! How threads share a kernel's work, in any dialect.

use super::Writer;
use crate::lower::gpu::kernel::{Expr, FLAT, Schedule, TILE_DEPTH};

impl Writer<'_> {
    pub fn schedule(&mut self) {
        match self.kernel.schedule {
            Schedule::Flat => self.flat(),
            Schedule::Lanes { width, lanes } => self.lanes(width, lanes),
            Schedule::Tiled { rows, columns, tile, each } => self.tiled(rows, columns, tile, each),
        }
    }

    fn each(&mut self, name: &str, from: &str, to: usize, step: usize) {
        let head = self.dialect.each(name, from, &format!("{to}u"), &format!("{step}u"));
        self.open(&head);
    }

    fn variable(&mut self, name: &str, value: &str) {
        let line = self.dialect.variable(name, value);
        self.line(&line);
    }

    /// Adds the point at hand to `total`.
    fn point(&mut self) {
        let kernel = self.kernel;
        let Some(reduce) = kernel.reduce else { return };
        self.expressions(&kernel.inner, &[reduce.value], "a");
        let joined = self.joined("total", &format!("a{}", reduce.value));
        self.line(&format!("total = {joined};"));
    }

    fn flat(&mut self) {
        let kernel = self.kernel;
        self.index("point", &format!("group * {FLAT}u + thread"));
        self.open(&format!("if (point < {}u)", kernel.results()));
        self.coordinates(0..kernel.kept, "point");
        if kernel.reduce.is_some() {
            let start = self.start();
            self.variable("total", &start);
            let axes = kernel.kept..kernel.lengths.len();
            axes.clone().for_each(|axis| self.each(&format!("i{axis}"), "0u", kernel.lengths[axis], 1));
            self.point();
            axes.for_each(|_| self.close());
        }
        self.results();
        self.close();
    }

    fn lanes(&mut self, width: usize, lanes: usize) {
        let kernel = self.kernel;
        self.index("lane", &format!("thread / {width}u"));
        self.index("result", &format!("group * {width}u + thread % {width}u"));
        let start = self.start();
        self.variable("total", &start);
        let inside = format!("if (result < {}u)", kernel.results());
        self.open(&inside);
        self.coordinates(0..kernel.kept, "result");
        self.each("point", "lane", kernel.reduced(), lanes);
        self.coordinates(kernel.kept..kernel.lengths.len(), "point");
        self.point();
        self.close();
        self.close();
        self.line("part[thread] = total;");
        self.line(self.dialect.barrier());
        let mut half = lanes / 2;
        while half > 0 {
            let joined = self.joined("part[thread]", &format!("part[thread + {}u]", half * width));
            self.line(&format!("if (lane < {half}u) {{ part[thread] = {joined}; }}"));
            self.line(self.dialect.barrier());
            half /= 2;
        }
        self.open(&format!("if (lane == 0u && result < {}u)", kernel.results()));
        self.coordinates(0..kernel.kept, "result");
        self.line("total = part[thread];");
        self.results();
        self.close();
    }

    fn tiled(&mut self, rows: usize, columns: usize, tile: usize, each: usize) {
        let kernel = self.kernel;
        let size = |axes: &[usize]| axes.iter().product::<usize>();
        let (m, n) = (size(&kernel.lengths[rows..columns]), size(&kernel.lengths[columns..kernel.kept]));
        let (k, side, threads) = (kernel.reduced(), tile / each, (tile / each) * (tile / each));
        let (down, across) = (m.div_ceil(tile), n.div_ceil(tile));
        self.index("first_m", &format!("(group / {across}u) % {down}u * {tile}u"));
        self.index("first_n", &format!("group % {across}u * {tile}u"));
        self.index("batch", &format!("group / {}u", down * across));
        self.coordinates(0..rows, "batch");
        self.index("y", &format!("thread / {side}u"));
        self.index("x", &format!("thread % {side}u"));
        let cells: Vec<(usize, usize)> = (0..each).flat_map(|i| (0..each).map(move |j| (i, j))).collect();
        cells.iter().for_each(|(i, j)| self.variable(&format!("c{i}_{j}"), "0.0f"));
        self.each("first_k", "0u", k, TILE_DEPTH);
        self.side("side_a", 0, rows..columns, m, tile, threads);
        self.side("side_b", 1, columns..kernel.kept, n, tile, threads);
        self.line(self.dialect.barrier());
        self.each("depth", "0u", TILE_DEPTH, 1);
        for (name, array, at) in [("u", "side_a", "y"), ("v", "side_b", "x")] {
            for i in 0..each {
                let element = format!("{array}[depth * {tile}u + {at} + {}u]", i * side);
                let line = self.dialect.fixed(super::Kind::Float, &format!("{name}{i}"), &element);
                self.line(&line);
            }
        }
        cells.iter().for_each(|(i, j)| self.line(&format!("c{i}_{j} = c{i}_{j} + u{i} * v{j};")));
        self.close();
        self.line(self.dialect.barrier());
        self.close();
        let array = self.dialect.array("cells", each * each);
        self.line(&array);
        cells.iter().for_each(|(i, j)| self.line(&format!("cells[{}] = c{i}_{j};", i * each + j)));
        self.each("cell", "0u", each * each, 1);
        self.index("m", &format!("first_m + y + cell / {each}u * {side}u"));
        self.index("n", &format!("first_n + x + cell % {each}u * {side}u"));
        self.open(&format!("if (m < {m}u && n < {n}u)"));
        self.coordinates(rows..columns, "m");
        self.coordinates(columns..kernel.kept, "n");
        let line = self.dialect.fixed(super::Kind::Float, "total", "cells[cell]");
        self.line(&line);
        self.results();
        self.close();
        self.close();
    }

    /// Loads part of one side into shared memory, inner axis outermost; zeros where the product ends. Neighbouring
    /// threads load neighbouring floats where either axis runs fastest in memory.
    fn side(
        &mut self,
        array: &str,
        argument: usize,
        axes: std::ops::Range<usize>,
        length: usize,
        tile: usize,
        threads: usize,
    ) {
        let kernel = self.kernel;
        let product = kernel.reduce.map(|reduce| &kernel.inner[reduce.value]);
        let Some(Expr::Op(_, args)) = product else { unreachable!("a tiled kernel is a product") };
        let value = args[argument];
        let outer = match &kernel.inner[value] {
            Expr::Load(access, _) => axes.end > axes.start && access.strides[axes.end - 1] == 1,
            _ => false,
        };
        self.each("part", "0u", tile * TILE_DEPTH / threads, 1);
        self.index("slot", &format!("part * {threads}u + thread"));
        let (at, depth) = if outer {
            (format!("slot % {tile}u"), format!("slot / {tile}u"))
        } else {
            (format!("slot / {TILE_DEPTH}u"), format!("slot % {TILE_DEPTH}u"))
        };
        let first = if argument == 0 { "first_m" } else { "first_n" };
        self.index("at", &at);
        self.index("depth", &depth);
        self.index("along", &format!("{first} + at"));
        self.index("k", "first_k + depth");
        self.variable("value", "0.0f");
        self.open(&format!("if (along < {length}u && k < {}u)", kernel.reduced()));
        self.coordinates(axes, "along");
        self.coordinates(kernel.kept..kernel.lengths.len(), "k");
        self.expressions(&kernel.inner, &[value], "a");
        self.line(&format!("value = a{value};"));
        self.close();
        self.line(&format!("{array}[depth * {tile}u + at] = value;"));
        self.close();
    }
}

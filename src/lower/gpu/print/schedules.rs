//! How threads share a kernel's work, in any dialect.

use super::Writer;
use crate::lower::gpu::kernel::Schedule;

impl Writer<'_> {
    pub fn schedule(&mut self) {
        match self.kernel.schedule {
            Schedule::Flat => self.flat(),
            Schedule::Lanes { width, lanes } => self.lanes(width, lanes),
            Schedule::Tiled { rows, columns, tile } => self.tiled(rows, columns, tile),
        }
    }

    pub fn each(&mut self, name: &str, from: &str, to: usize, step: usize) {
        let head = self.dialect.each(name, from, &format!("{to}u"), &format!("{step}u"));
        self.open(&head);
    }

    pub fn variable(&mut self, name: &str, value: &str) {
        let line = self.dialect.variable(name, value);
        self.line(&line);
    }

    /// Asks for a loop to be laid out several times, where a language knows such a wish.
    pub fn unroll(&mut self, times: usize) {
        if let Some(line) = self.dialect.unroll(times) {
            self.line(&line);
        }
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
        self.index("point", &format!("group * {}u + thread", kernel.flat_threads()));
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
        // Several loads are on their way at a time; what they are added to is one number.
        self.unroll(4);
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
}

//! Scalar expressions and accesses, in any dialect.

use super::{Kind, Writer};
use crate::graph::Op;
use crate::lower::gpu::kernel::{Access, Expr, Meet, Row, Slide, Store};

impl Writer<'_> {
    /// Writes what `wanted` needs of a list of expressions; value `n` gets the name `prefix n`. Coordinates and `total`
    /// are in scope.
    pub fn expressions(&mut self, exprs: &[Expr], wanted: &[usize], prefix: &str) {
        let mut needed = vec![false; exprs.len()];
        wanted.iter().for_each(|at| needed[*at] = true);
        for at in (0..exprs.len()).rev().filter(|at| needed[*at]).collect::<Vec<_>>() {
            mark(exprs, at, &mut needed);
        }
        for (at, expr) in exprs.iter().enumerate().filter(|(at, _)| needed[*at]) {
            let name = format!("{prefix}{at}");
            let value = match expr {
                Expr::Load(access, row) => {
                    self.load(&name, access, row.as_ref(), prefix);
                    continue;
                }
                Expr::Number(bits) => number(f64::from_bits(*bits) as f32),
                Expr::Coordinate(axis) => self.dialect.convert(Kind::Float, &format!("i{axis}")),
                Expr::Total => "total".into(),
                Expr::Op(op, args) => {
                    let args: Vec<String> = args.iter().map(|arg| format!("{prefix}{arg}")).collect();
                    self.operation(op, &args.iter().map(String::as_str).collect::<Vec<_>>())
                }
            };
            let line = self.dialect.fixed(Kind::Float, &name, &value);
            self.line(&line);
        }
    }

    fn operation(&self, op: &Op, args: &[&str]) -> String {
        let d = self.dialect;
        match (op, args) {
            (Op::Neg, [a]) => format!("-{a}"),
            (Op::Recip, [a]) => format!("1.0f / {a}"),
            (Op::Sqrt, [a]) => d.sqrt(a),
            (Op::Exp, [a]) => format!("m_exp({a})"),
            (Op::Log, [a]) => format!("m_log({a})"),
            (Op::Sin, [a]) => format!("m_sin({a})"),
            (Op::Tanh, [a]) => format!("m_tanh({a})"),
            (Op::Relu, [a]) => d.choose(&format!("{a} < 0.0f"), "0.0f", a),
            (Op::Add, [a, b]) => format!("{a} + {b}"),
            (Op::Sub, [a, b]) => format!("{a} - {b}"),
            (Op::Mul, [a, b]) => format!("{a} * {b}"),
            (Op::Div, [a, b]) => format!("{a} / {b}"),
            (Op::Max, [a, b]) => format!("m_max({b}, {a})"),
            (Op::LessThan, [a, b]) => d.choose(&format!("{a} < {b}"), "1.0f", "0.0f"),
            (Op::Select, [a, b, c]) => d.choose(&format!("{a} == 0.0f"), c, b),
            _ => unreachable!("kernels have elementwise rows of the table only"),
        }
    }

    fn load(&mut self, name: &str, access: &Access, row: Option<&Row>, prefix: &str) {
        let (index, mut conditions) = self.place(name, access);
        let mut index = index;
        if let Some(Row { index: at, rows, stride }) = row {
            let at = format!("{prefix}{at}");
            conditions.push(format!("{at} >= 0.0f && {at} < {rows}.0f"));
            index = format!("{index} + {} * {stride}u", self.dialect.convert(Kind::Index, &at));
        }
        let element = self.dialect.read(access.tensor, &index);
        if conditions.is_empty() {
            let line = self.dialect.fixed(Kind::Float, name, &element);
            self.line(&line);
        } else {
            let line = self.dialect.variable(name, "0.0f");
            self.line(&line);
            self.line(&format!("if ({}) {{ {name} = {element}; }}", conditions.join(" && ")));
        }
    }

    /// The offset of an access in its tensor, and what has to hold for the element to exist.
    pub fn place(&mut self, name: &str, access: &Access) -> (String, Vec<String>) {
        let mut terms = vec![];
        if access.offset > 0 {
            terms.push(format!("{}u", access.offset));
        }
        for (axis, stride) in access.strides.iter().enumerate().filter(|(_, stride)| **stride > 0) {
            terms.push(if *stride == 1 { format!("i{axis}") } else { format!("i{axis} * {stride}u") });
        }
        let mut conditions = vec![];
        for (number, slide) in access.slides.iter().enumerate() {
            let at = format!("{name}_{number}");
            self.slid(&at, &slide.add.to_string(), slide, |axis| Some(format!("i{axis}")));
            let (position, inside) = self.position(&at, slide);
            conditions.extend(inside);
            terms.push(format!("{position} * {}u", slide.stride));
        }
        (if terms.is_empty() { "0u".into() } else { terms.join(" + ") }, conditions)
    }

    /// Names the sum of a slide from a start on, over the axes whose coordinates `named` knows.
    pub fn slid(&mut self, at: &str, start: &str, slide: &Slide, named: impl Fn(usize) -> Option<String>) {
        let term = |(axis, factor): &(usize, i64)| {
            let coordinate = self.dialect.convert(Kind::Position, &named(*axis)?);
            Some(format!(" + {coordinate} * ({factor})"))
        };
        let terms: String = slide.terms.iter().filter_map(term).collect();
        let line = self.dialect.fixed(Kind::Position, at, &format!("{start}{terms}"));
        self.line(&line);
    }

    /// The position of a slide whose sum has a name, and what has to hold for it to exist. A sum below zero is a large
    /// number without a sign.
    pub fn position(&self, at: &str, slide: &Slide) -> (String, Vec<String>) {
        let mut position = self.dialect.convert(Kind::Index, at);
        let mut inside = vec![format!("{position} < {}u", slide.divide * slide.length)];
        if slide.divide > 1 {
            inside.push(format!("{at} % {} == 0", slide.divide));
            position = format!("{position} / {}u", slide.divide);
        }
        (position, inside)
    }

    /// The results: `outer` and its stores.
    pub fn results(&mut self) {
        let kernel = self.kernel;
        let wanted: Vec<usize> = kernel.stores.iter().map(|store| store.value).collect();
        self.expressions(&kernel.outer, &wanted, "b");
        for (number, Store { access, value }) in kernel.stores.iter().enumerate() {
            let (index, _) = self.place(&format!("s{number}"), access);
            let element = self.dialect.element(access.tensor, &index);
            self.line(&format!("{element} = b{value};"));
        }
    }

    /// What a reduction starts from.
    pub fn start(&self) -> String {
        match self.kernel.reduce.map(|reduce| reduce.meet) {
            Some(Meet::Max) => number(f32::NEG_INFINITY),
            _ => "0.0f".into(),
        }
    }

    /// Two parts of a reduction as one.
    pub fn joined(&self, a: &str, b: &str) -> String {
        match self.kernel.reduce.map(|reduce| reduce.meet) {
            Some(Meet::Max) => format!("m_max({a}, {b})"),
            _ => format!("{a} + {b}"),
        }
    }
}

fn mark(exprs: &[Expr], at: usize, needed: &mut [bool]) {
    needed[at] = true;
    match &exprs[at] {
        Expr::Op(_, args) => args.iter().for_each(|arg| mark(exprs, *arg, needed)),
        Expr::Load(_, Some(row)) => mark(exprs, row.index, needed),
        _ => {}
    }
}

/// A number as text that parses to the same bits; what has no such text, by its bits.
fn number(x: f32) -> String {
    let plain = x.is_normal() || x.to_bits() == 0;
    if plain { format!("{x:?}f") } else { format!("m_bits({:#x}u)", x.to_bits()) }
}

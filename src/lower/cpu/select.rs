//! Cluster → map: instruction selection, registers, strides and the size of the tile.

use super::cluster::{Cluster, Expr};
use super::kernel::Address;
use super::map::{Arg, Code, Direct, Instr, MAX_SCALARS, MAX_SLOTS, MAX_STRIDED, Map, Scalar, Strided};
use super::view::collapse;
use crate::graph::{Op, Shape};

/// Floats that all tiles of a kernel may take together: 24 of the 32 KiB of a first-level cache.
const TILE_FLOATS: usize = 6144;
const MAX_TILE: usize = 1024;

/// Where the value of an expression is.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Value {
    Unknown,
    Scalar(u8),
    Register(u8),
    /// Index into the leaves and results that lie in order.
    Direct(u8),
}

struct Selection<'a> {
    cluster: &'a Cluster,
    map: Map,
    values: Vec<Value>,
    /// How many instructions and results still read each expression.
    uses: Vec<usize>,
    free: Vec<u8>,
    registers: u8,
    directs: u8,
    /// Registers that keep their contents from tile to tile, or to the end of the code.
    pinned: Vec<u8>,
}

/// The map of a cluster, or none where it has not enough slots for it.
pub fn select(cluster: &Cluster) -> Option<Map> {
    let mut s = Selection {
        cluster,
        map: Map::default(),
        values: vec![Value::Unknown; cluster.exprs.len()],
        uses: vec![0; cluster.exprs.len()],
        free: Vec::new(),
        registers: 0,
        directs: 0,
        pinned: Vec::new(),
    };
    let strides: Vec<Shape> = cluster
        .leaves
        .iter()
        .map(|(_, view)| view.strides)
        .chain(cluster.members.iter().map(|m| m.view.strides))
        .collect();
    let (lengths, strides) = collapse(cluster.shape, &strides);
    s.map.lengths = lengths;
    let (of_leaves, of_members) = strides.split_at(cluster.leaves.len());
    s.count_uses();
    s.leaves(of_leaves);
    let results = s.results(of_members);
    let contracted = s.contractions();
    for at in 0..cluster.exprs.len() {
        if s.uses[at] > 0 && !contracted[at] && matches!(cluster.exprs[at], Expr::Op(..)) {
            let to = results.iter().find(|(_, expr)| *expr == at).map(|(direct, _)| *direct);
            s.emit(at, to, &contracted);
        }
    }
    for (direct, expr) in results {
        if s.values[expr] != Value::Direct(direct) {
            let from = s.arg(expr);
            s.push(Code::Copy, Value::Direct(direct), &[from]);
        }
    }
    s.scattered(of_members);
    s.finish()
}

fn in_order(lengths: &[usize], strides: &[usize]) -> bool {
    let dense = Shape::new(lengths).strides();
    (0..lengths.len()).all(|i| lengths[i] == 1 || strides[i] == dense[i])
}

impl Selection<'_> {
    fn count_uses(&mut self) {
        self.cluster.members.iter().for_each(|m| self.uses[m.expr] += 1);
        for at in (0..self.cluster.exprs.len()).rev() {
            if let (true, Expr::Op(_, args)) = (self.uses[at] > 0, &self.cluster.exprs[at]) {
                args.iter().for_each(|i| self.uses[*i] += 1);
            }
        }
    }

    fn register(&mut self) -> u8 {
        self.free.pop().unwrap_or_else(|| {
            self.registers = self.registers.saturating_add(1);
            self.registers - 1
        })
    }

    fn direct(&mut self) -> u8 {
        self.directs = self.directs.saturating_add(1);
        self.directs - 1
    }

    fn scalar(&mut self, scalar: Scalar) -> Value {
        self.map.scalars.push(scalar);
        Value::Scalar((self.map.scalars.len() - 1).min(255) as u8)
    }

    fn leaves(&mut self, strides: &[Vec<usize>]) {
        let total = self.map.total();
        for at in 0..self.cluster.exprs.len() {
            if self.uses[at] == 0 {
                continue;
            }
            self.values[at] = match self.cluster.exprs[at] {
                Expr::Number(bits) => self.scalar(Scalar::Number(f64::from_bits(bits) as f32)),
                Expr::Leaf(leaf) => {
                    let (buffer, view) = self.cluster.leaves[leaf];
                    let at = Address { base: buffer as u32, offset: view.offset };
                    let strides = &strides[leaf];
                    if in_order(&self.map.lengths, strides) {
                        let slot = self.direct();
                        self.map.leaves.push(Direct { at, slot });
                        Value::Direct(slot)
                    } else if total > 0 && strides.iter().all(|s| *s == 0) {
                        self.scalar(Scalar::At(at))
                    } else {
                        let slot = self.register();
                        self.pinned.push(slot);
                        self.map.gathered.push(Strided { at, strides: strides.clone(), slot, begun: false });
                        Value::Register(slot)
                    }
                }
                Expr::Op(..) => Value::Unknown,
            };
        }
    }

    /// The results that lie in order, with the expression that each shows.
    fn results(&mut self, strides: &[Vec<usize>]) -> Vec<(u8, usize)> {
        let mut results = Vec::new();
        for (member, strides) in self.cluster.members.iter().zip(strides) {
            if in_order(&self.map.lengths, strides) {
                let slot = self.direct();
                let at = Address { base: member.buffer as u32, offset: member.view.offset };
                self.map.results.push(Direct { at, slot });
                results.push((slot, member.expr));
            }
        }
        results
    }

    fn scattered(&mut self, strides: &[Vec<usize>]) {
        for (member, strides) in self.cluster.members.iter().zip(strides) {
            if in_order(&self.map.lengths, strides) {
                continue;
            }
            let slot = match self.tile(member.expr) {
                Arg::Tile(slot) => slot,
                Arg::Scalar(_) => unreachable!("tile() returns a tile"),
            };
            let at = Address { base: member.buffer as u32, offset: member.view.offset };
            let result = Strided { at, strides: strides.clone(), slot, begun: false };
            self.map.scattered.push((result, member.meet));
        }
    }

    /// Products that an addition or subtraction takes in: those with no other reader.
    fn contractions(&self) -> Vec<bool> {
        let exprs = &self.cluster.exprs;
        let mut contracted = vec![false; exprs.len()];
        for (at, expr) in exprs.iter().enumerate() {
            if let (true, Expr::Op(Op::Add | Op::Sub, args)) = (self.uses[at] > 0, expr)
                && let Some(product) = args.iter().rev().find(|i| self.alone(**i))
            {
                contracted[*product] = true;
            }
        }
        contracted
    }

    fn alone(&self, at: usize) -> bool {
        let tile = |i: usize| !matches!(self.values[i], Value::Scalar(_));
        match &self.cluster.exprs[at] {
            Expr::Op(Op::Mul, args) => self.uses[at] == 1 && args.iter().any(|i| tile(*i)),
            _ => false,
        }
    }

    fn emit(&mut self, at: usize, result: Option<u8>, contracted: &[bool]) {
        let Expr::Op(op, args) = &self.cluster.exprs[at] else { return };
        let product = args.iter().rposition(|i| contracted[*i]);
        let (code, inputs) = match (op, product) {
            (Op::Add | Op::Sub, Some(which)) => {
                let code = match (op, which) {
                    (Op::Add, _) => Code::MulAdd,
                    (_, 0) => Code::MulSub,
                    _ => Code::SubMul,
                };
                let Expr::Op(_, factors) = &self.cluster.exprs[args[which]] else { return };
                (code, vec![factors[0], factors[1], args[1 - which]])
            }
            _ => (code_of(op), args.clone()),
        };
        let mut values: Vec<Arg> = inputs.iter().map(|i| self.arg(*i)).collect();
        // Of two factors the first is a tile; so are the argument of a function and the mask of a selection.
        let commutes = matches!(code, Code::Mul | Code::Add | Code::MulAdd | Code::MulSub | Code::SubMul);
        if commutes && matches!(values[0], Arg::Scalar(_)) {
            values.swap(0, 1);
        }
        let others = &values[1..];
        let needs_tile = code.arguments() != 2 || others.iter().all(|a| matches!(a, Arg::Scalar(_)));
        let mut spare = None;
        if let (true, Arg::Scalar(_)) = (needs_tile, values[0]) {
            let register = self.register();
            self.push(Code::Copy, Value::Register(register), &values[..1]);
            values[0] = Arg::Tile(register);
            spare = Some(register);
        }
        for input in &inputs {
            self.release(*input);
        }
        if let Some(product) = product {
            self.uses[args[product]] -= 1;
        }
        self.free.extend(spare);
        let to = match result {
            Some(direct) => Value::Direct(direct),
            None => Value::Register(self.register()),
        };
        self.values[at] = to;
        self.push(code, to, &values);
        if result.is_some() {
            self.uses[at] -= 1;
        }
    }

    /// One reader less; a register without readers is free again.
    fn release(&mut self, at: usize) {
        self.uses[at] -= 1;
        if let (0, Value::Register(register)) = (self.uses[at], self.values[at])
            && !self.pinned.contains(&register)
        {
            self.free.push(register);
        }
    }

    fn push(&mut self, code: Code, to: Value, args: &[Arg]) {
        let mut all = [Arg::Scalar(0); 3];
        all[..args.len()].copy_from_slice(args);
        let to = match to {
            Value::Direct(i) => DIRECT + i,
            Value::Register(i) => i,
            Value::Scalar(_) | Value::Unknown => unreachable!("instructions write tiles"),
        };
        self.map.code.push(Instr { code, to, args: all });
    }

    fn arg(&self, at: usize) -> Arg {
        match self.values[at] {
            Value::Scalar(i) => Arg::Scalar(i),
            Value::Register(i) => Arg::Tile(i),
            Value::Direct(i) => Arg::Tile(DIRECT + i),
            Value::Unknown => unreachable!("expressions are emitted in order"),
        }
    }

    fn tile(&mut self, at: usize) -> Arg {
        let arg = self.arg(at);
        if let Arg::Tile(_) = arg {
            return arg;
        }
        let register = self.register();
        self.push(Code::Copy, Value::Register(register), &[arg]);
        Arg::Tile(register)
    }

    /// Numbers the slots, registers first, and sizes the tile.
    fn finish(mut self) -> Option<Map> {
        let slots = usize::from(self.registers) + usize::from(self.directs);
        let strided = self.map.gathered.len() + self.map.scattered.len();
        let many = slots > MAX_SLOTS || self.map.scalars.len() > MAX_SCALARS || strided > MAX_STRIDED;
        if many || self.registers >= DIRECT {
            return None;
        }
        let registers = self.registers;
        let place = |slot: u8| if slot >= DIRECT { slot - DIRECT + registers } else { slot };
        for instr in &mut self.map.code {
            instr.to = place(instr.to);
            for arg in &mut instr.args {
                if let Arg::Tile(slot) = arg {
                    *slot = place(*slot);
                }
            }
        }
        self.map.leaves.iter_mut().chain(&mut self.map.results).for_each(|d| d.slot += registers);
        self.map.scattered.iter_mut().for_each(|(s, _)| s.slot = place(s.slot));
        self.map.registers = registers;
        self.map.tile = tile(&self.map, slots);
        Some(self.map)
    }
}

/// Leaves and results in order are numbered from here until the number of registers is known.
const DIRECT: u8 = 64;

fn tile(map: &Map, slots: usize) -> usize {
    let total = map.total();
    let room = (TILE_FLOATS / slots.max(1)).min(MAX_TILE) / 16 * 16;
    if total <= room {
        return total.max(1);
    }
    let inner = map.lengths.last().copied().unwrap_or(1);
    let strided = !map.gathered.is_empty() || !map.scattered.is_empty();
    if !strided || inner > room {
        return room;
    }
    // Whole rows, and where possible whole cache lines of them.
    let lines = (1..=16).map(|rows| rows * inner).find(|floats| floats % 16 == 0).unwrap_or(inner);
    if lines <= room { room / lines * lines } else { room / inner * inner }
}

fn code_of(op: &Op) -> Code {
    match op {
        Op::Neg => Code::Neg,
        Op::Recip => Code::Recip,
        Op::Sqrt => Code::Sqrt,
        Op::Exp => Code::Exp,
        Op::Log => Code::Log,
        Op::Sin => Code::Sin,
        Op::Tanh => Code::Tanh,
        Op::Relu => Code::Relu,
        Op::Add => Code::Add,
        Op::Sub => Code::Sub,
        Op::Mul => Code::Mul,
        Op::Div => Code::Div,
        Op::Max => Code::Max,
        Op::LessThan => Code::Less,
        Op::Select => Code::Select,
        _ => Code::Copy,
    }
}

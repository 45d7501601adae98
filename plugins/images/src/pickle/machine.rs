//! The stack machine of pickles, as far as data needs it.

use super::input::{Input, SHORT};
use super::object::{Array, Bytes, Dtype, Known, Object, Span, Value};
use crate::Result;
use std::collections::HashMap;
use std::rc::Rc;

/// Entries that the stack, the memo and all lists may have together. The largest known cache has 39,000 indices.
pub const MOST: usize = 4 << 20;

/// A pickle that has been read: its value, and the objects that values point to.
pub struct Loaded {
    pub objects: Vec<Object>,
    pub root: Value,
}

#[derive(Default)]
struct Machine {
    stack: Vec<Value>,
    /// Heights of the stack at the marks.
    marks: Vec<usize>,
    memo: HashMap<u64, Value>,
    objects: Vec<Object>,
    /// Everything that was ever put somewhere.
    work: usize,
}

/// Runs the machine to its STOP.
pub fn load(input: &mut Input) -> Result<Loaded> {
    if input.number(1)? != 0x80 {
        return Err("it is not a pickle of protocol 2 or later".into());
    }
    let protocol = input.number(1)?;
    if !(2..=5).contains(&protocol) {
        return Err(format!("it is a pickle of protocol {protocol}; 2 to 5 can be read"));
    }
    let mut machine = Machine::default();
    loop {
        let at = input.at;
        let op = input.number(1)? as u8;
        if op == b'.' {
            let root = machine.pop().map_err(|why| format!("{why} at byte {at}"))?;
            return Ok(Loaded { objects: machine.objects, root });
        }
        machine.step(op, input).map_err(|why| format!("{why} (opcode {op:#04x} at byte {at})"))?;
    }
}

impl Machine {
    fn step(&mut self, op: u8, input: &mut Input) -> Result<()> {
        let value = match op {
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'J' => Value::Int(i64::from(input.number(4)? as u32 as i32)),
            b'K' => Value::Int(input.number(1)? as i64),
            b'M' => Value::Int(input.number(2)? as i64),
            0x8a => Value::Int(long(input)?),
            b'G' => {
                input.number(8)?;
                Value::Float
            }
            b'X' | 0x8c | 0x8d => text(input, width(op))?,
            b'T' | b'U' | b'B' | b'C' | 0x8e | 0x96 => Value::Bytes(bytes(input, width(op))?),
            b')' => Value::tuple_of(vec![])?,
            b't' => Value::tuple_of(self.marked()?)?,
            0x85..=0x87 => {
                let at = self.stack.len().checked_sub(usize::from(op - 0x84)).ok_or_else(short)?;
                Value::tuple_of(self.stack.split_off(at))?
            }
            b']' => self.object(Object::List(vec![])),
            b'}' => self.object(Object::Dict(vec![])),
            b'c' => global(&input.line()?, &input.line()?)?,
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                global(module.text().unwrap_or("?"), name.text().unwrap_or("?"))?
            }
            b'h' | b'j' => {
                let key = input.number(if op == b'h' { 1 } else { 4 })?;
                self.memo
                    .get(&key)
                    .cloned()
                    .ok_or_else(|| format!("it asks for entry {key} of an empty memo"))?
            }
            b'R' => {
                let (args, callable) = (self.pop()?, self.pop()?);
                self.call(&callable, &args)?
            }
            _ => return self.act(op, input),
        };
        self.push(value)
    }

    /// Opcodes that push nothing new.
    fn act(&mut self, op: u8, input: &mut Input) -> Result<()> {
        match op {
            // A frame's length helps readers that prefetch.
            0x95 => input.number(8).map(|_| ()),
            b'(' => {
                self.marks.push(self.stack.len());
                self.charge(1)
            }
            b'0' => self.pop().map(|_| ()),
            b'q' | b'r' | 0x94 => {
                let key = match op {
                    b'q' => input.number(1)?,
                    b'r' => input.number(4)?,
                    _ => self.memo.len() as u64,
                };
                let top = self.stack.last().ok_or_else(short)?.clone();
                self.memo.insert(key, top);
                self.charge(1)
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])
            }
            b'e' => {
                let items = self.marked()?;
                self.append(items)
            }
            b's' => {
                let at = self.stack.len().checked_sub(2).ok_or_else(short)?;
                let items = self.stack.split_off(at);
                self.set(items)
            }
            b'u' => {
                let items = self.marked()?;
                self.set(items)
            }
            b'b' => {
                let state = self.pop()?;
                self.build(&state)
            }
            0x97 | 0x98 => Err("it keeps its arrays outside the file".into()),
            _ => Err("it needs more than data".into()),
        }
    }

    fn push(&mut self, value: Value) -> Result<()> {
        self.stack.push(value);
        self.charge(1)
    }

    fn charge(&mut self, entries: usize) -> Result<()> {
        self.work += entries;
        if self.work <= 8 * MOST && self.stack.len() <= MOST {
            Ok(())
        } else {
            Err("it has too many parts".into())
        }
    }

    fn pop(&mut self) -> Result<Value> {
        self.stack.pop().ok_or_else(short)
    }

    /// Everything above the last mark.
    fn marked(&mut self) -> Result<Vec<Value>> {
        let at = self.marks.pop().filter(|at| *at <= self.stack.len()).ok_or_else(short)?;
        Ok(self.stack.split_off(at))
    }

    fn object(&mut self, object: Object) -> Value {
        self.objects.push(object);
        Value::Object(self.objects.len() - 1)
    }

    /// The object on top of the stack.
    fn top(&mut self) -> Result<&mut Object> {
        match self.stack.last() {
            Some(Value::Object(id)) => self.objects.get_mut(*id).ok_or_else(short),
            _ => Err("it changes what is not an object".into()),
        }
    }

    fn append(&mut self, items: Vec<Value>) -> Result<()> {
        match self.top()? {
            Object::List(list) => list.extend(items),
            _ => return Err("it appends to what is not a list".into()),
        }
        Ok(())
    }

    fn set(&mut self, items: Vec<Value>) -> Result<()> {
        let Object::Dict(entries) = self.top()? else {
            return Err("it sets an entry of what is not a dictionary".into());
        };
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            entries.push((key, value));
        }
        Ok(())
    }

    /// `callable(*args)`, for the few callables that stand for data.
    fn call(&mut self, callable: &Value, args: &Value) -> Result<Value> {
        let (Value::Global(known), Some(args)) = (callable, args.tuple()) else {
            return Err("it calls what is not a function".into());
        };
        let dtype = |at: usize| self.dtype(args.get(at)?);
        match (known, args) {
            (Known::Reconstruct, _) => {
                let dtype = Dtype { code: String::new(), big_endian: false };
                let data = Bytes::Here(Rc::new([]));
                Ok(self.object(Object::Array(Array { shape: vec![], dtype, data })))
            }
            (Known::FromBuffer, [Value::Bytes(data), _, shape, ..]) => {
                let dtype = dtype(1).ok_or("an array in it has no dtype")?;
                let in_order = args.get(3).and_then(Value::text) != Some("F");
                let shape =
                    shape_of(shape).filter(|_| in_order).ok_or("an array in it has no usable shape")?;
                Ok(self.object(Object::Array(Array { shape, dtype, data: data.clone() })))
            }
            (Known::Dtype, [code, ..]) => {
                let code = code.text().ok_or("a dtype in it has no name")?;
                let (big_endian, code) =
                    (code.starts_with('>'), code.trim_start_matches(['<', '>', '|', '=']));
                Ok(self.object(Object::Dtype(Dtype { code: code.into(), big_endian })))
            }
            (Known::Scalar, [_, Value::Bytes(bytes)]) => {
                let numbers = dtype(0).and_then(|dtype| dtype.integers(bytes.here()?));
                match numbers.as_deref() {
                    Some([number]) => Ok(Value::Int(*number)),
                    _ => Err("a NumPy number in it is not an integer".into()),
                }
            }
            (Known::Encode, [Value::LongText(span), ..]) => Ok(Value::Bytes(Bytes::Latin(*span))),
            (Known::Encode, [Value::Text(text), ..]) => {
                let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c).ok()).collect();
                let bytes = bytes.ok_or("a byte string in it has characters that are no bytes")?;
                Ok(Value::Bytes(Bytes::Here(bytes.into())))
            }
            (Known::Dict, _) => Ok(self.object(Object::Dict(vec![]))),
            _ => Err(format!("it calls {known:?} in a way that data does not need")),
        }
    }

    /// `__setstate__` of a dtype, (3, byte order, …), or of an array, (1, shape, dtype, Fortran order, bytes).
    fn build(&mut self, state: &Value) -> Result<()> {
        let state = state.tuple().ok_or("it sets the state of something that is not an array")?;
        let dtype = state.get(2).and_then(|dtype| self.dtype(dtype));
        match (self.top()?, state) {
            (Object::Dtype(own), [_, order, ..]) => {
                own.big_endian = order.text() == Some(">");
                Ok(())
            }
            (Object::Array(own), [_, shape, _, Value::Bool(false), Value::Bytes(data)]) => {
                own.shape = shape_of(shape).ok_or("an array in it has no usable shape")?;
                own.dtype = dtype.ok_or("an array in it has no dtype")?;
                own.data = data.clone();
                Ok(())
            }
            (Object::Array(_), [_, _, _, Value::Bool(true), _]) => {
                Err("an array in it is stored column by column; store it with order='C'".into())
            }
            _ => Err("it sets the state of something that is not an array".into()),
        }
    }

    fn dtype(&self, value: &Value) -> Option<Dtype> {
        match value {
            Value::Object(id) => match self.objects.get(*id)? {
                Object::Dtype(dtype) => Some(dtype.clone()),
                _ => None,
            },
            _ => None,
        }
    }
}

fn short() -> String {
    "its stack is empty where it must not be".to_owned()
}

fn shape_of(value: &Value) -> Option<Vec<u64>> {
    value.tuple()?.iter().map(|n| u64::try_from(n.int()?).ok()).collect()
}

fn global(module: &str, name: &str) -> Result<Value> {
    let shown = crate::names::shown(&format!("{module}.{name}"));
    let why = || format!("it asks for `{shown}`, which data does not need; nothing was executed");
    Known::of(module, name).map(Value::Global).ok_or_else(why)
}

/// Bytes of the length in front of a text or byte string.
fn width(op: u8) -> u64 {
    match op {
        0x8c | b'U' | b'C' => 1,
        0x8d | 0x8e | 0x96 => 8,
        _ => 4,
    }
}

/// LONG1: a signed integer of any width, of which 8 bytes are enough.
fn long(input: &mut Input) -> Result<i64> {
    let width = input.number(1)?;
    if width > 8 {
        return Err("it has an integer of more than 64 bits".into());
    }
    let number = input.number(width)? as i64;
    let shift = 64 - 8 * width as u32;
    Ok(if width == 0 { 0 } else { (number << shift) >> shift })
}

fn text(input: &mut Input, width: u64) -> Result<Value> {
    let length = input.number(width)?;
    if length > SHORT {
        return Ok(Value::LongText(input.skip(length)?));
    }
    // Lone surrogates, which Python writes and UTF-8 forbids, occur in no name.
    let text = String::from_utf8(input.bytes(length)?).map_err(|_| "a text in it is not UTF-8")?;
    Ok(Value::Text(text.into()))
}

fn bytes(input: &mut Input, width: u64) -> Result<Bytes> {
    let length = input.number(width)?;
    if length > SHORT {
        let span: Span = input.skip(length)?;
        return Ok(Bytes::There(span));
    }
    Ok(Bytes::Here(input.bytes(length)?.into()))
}

//! What a pickle's machine works on.

use std::rc::Rc;

/// An entry of the machine's stack.
#[derive(Clone, Debug)]
pub enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float,
    Text(Rc<str>),
    /// A text too long to be a name: the bytes of an array, one character each (Python 3, protocol 2).
    LongText(Span),
    Bytes(Bytes),
    /// With how deep tuples lie in it: dropping one runs as deep as that.
    Tuple(Rc<[Value]>, u8),
    /// A list, dictionary, dtype or array: one object, however many places name it.
    Object(usize),
    Global(Known),
}

/// A stretch of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub offset: u64,
    pub length: u64,
}

#[derive(Clone, Debug)]
pub enum Bytes {
    Here(Rc<[u8]>),
    There(Span),
    /// UTF-8 of characters below 256, each of which stands for one byte.
    Latin(Span),
}

#[derive(Debug)]
pub enum Object {
    List(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    Dtype(Dtype),
    Array(Array),
}

/// A NumPy element type, such as `u1` for bytes or `i8` for 64-bit integers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dtype {
    pub code: String,
    pub big_endian: bool,
}

#[derive(Clone, Debug)]
pub struct Array {
    pub shape: Vec<u64>,
    pub dtype: Dtype,
    pub data: Bytes,
}

/// The functions and types that arrays and dictionaries name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    Reconstruct,
    FromBuffer,
    Scalar,
    Ndarray,
    Dtype,
    Encode,
    /// `OrderedDict` and `defaultdict`: dictionaries here.
    Dict,
    /// What a `defaultdict` is made with.
    Type,
}

impl Known {
    /// NumPy moved its modules in version 2.
    pub fn of(module: &str, name: &str) -> Option<Known> {
        Some(match (module, name) {
            ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => Known::Reconstruct,
            ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => Known::Scalar,
            ("numpy.core.numeric" | "numpy._core.numeric", "_frombuffer") => Known::FromBuffer,
            ("numpy", "ndarray") => Known::Ndarray,
            ("numpy", "dtype") => Known::Dtype,
            ("_codecs", "encode") => Known::Encode,
            ("collections", "OrderedDict" | "defaultdict") => Known::Dict,
            ("builtins" | "__builtin__", "list" | "dict" | "int") => Known::Type,
            _ => return None,
        })
    }
}

impl Value {
    pub fn int(&self) -> Option<i64> {
        match self {
            Value::Int(n) => Some(*n),
            _ => None,
        }
    }

    /// A text; Python 2 has its texts as bytes.
    pub fn text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            Value::Bytes(Bytes::Here(bytes)) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    pub fn tuple(&self) -> Option<&[Value]> {
        match self {
            Value::Tuple(values, _) => Some(values),
            _ => None,
        }
    }

    /// A tuple; those of arrays lie in each other at most twice.
    pub fn tuple_of(values: Vec<Value>) -> Result<Value, String> {
        let depth = |value: &Value| if let Value::Tuple(_, depth) = value { depth + 1 } else { 0 };
        match values.iter().map(depth).max().unwrap_or(0) {
            depth @ 0..=8 => Ok(Value::Tuple(values.into(), depth)),
            _ => Err("it has tuples too deep in each other".into()),
        }
    }
}

impl Bytes {
    /// Short ones are at hand.
    pub fn here(&self) -> Option<&[u8]> {
        match self {
            Bytes::Here(bytes) => Some(bytes),
            Bytes::There(_) | Bytes::Latin(_) => None,
        }
    }
}

impl Dtype {
    /// Integers from bytes of this type.
    pub fn integers(&self, bytes: &[u8]) -> Option<Vec<i64>> {
        let width = match self.code.as_str() {
            "u1" | "i1" => 1,
            "u2" | "i2" => 2,
            "u4" | "i4" => 4,
            "u8" | "i8" => 8,
            _ => return None,
        };
        let signed = self.code.starts_with('i');
        let one = |bytes: &[u8]| {
            let mut wide = [0u8; 8];
            for (i, byte) in bytes.iter().enumerate() {
                wide[if self.big_endian { width - 1 - i } else { i }] = *byte;
            }
            let number = i64::from_le_bytes(wide);
            // The sign is in the highest bit that was read.
            let shift = 64 - 8 * width as u32;
            if signed { (number << shift) >> shift } else { number }
        };
        bytes.len().is_multiple_of(width).then(|| bytes.chunks_exact(width).map(one).collect())
    }
}

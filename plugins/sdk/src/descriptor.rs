//! What a plugin says about itself, turned into JSON text while the plugin compiles.

/// What `mamlx plugin list` and `info` show, without running the library.
#[derive(Clone, Copy, Debug)]
pub struct Descriptor {
    /// Name of the plugin, which is the library's too: `[a-z][a-z0-9_]*`.
    pub id: &'static str,
    /// Semantic version of the library; usually `env!("CARGO_PKG_VERSION")`.
    pub version: &'static str,
    /// Raise this whenever the same seed, task and actions may give other numbers. It lands in `run.json`.
    pub dynamics_version: u32,
    /// One or two sentences.
    pub doc: &'static str,
    /// What an experiment may set under `task.params`.
    pub parameters: &'static [Parameter],
}

/// One parameter that an experiment may set.
///
/// ```
/// # use mamlx_plugin::Parameter;
/// const MASS: Parameter = Parameter::float("mass", 1.0).range(0.1, 10.0).unit("kg").doc("Mass of the ball.");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// `[a-z][a-z0-9_]*`.
    pub name: &'static str,
    /// The default, whose type is the parameter's type.
    pub default: DefaultValue,
    /// Smallest value, included.
    pub min: Option<f64>,
    /// Largest value, included.
    pub max: Option<f64>,
    /// The texts that are allowed; empty: any.
    pub choices: &'static [&'static str],
    /// Such as `m` or `rad`; empty for a pure number.
    pub unit: &'static str,
    pub doc: &'static str,
}

/// A parameter's type and default value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DefaultValue {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'static str),
}

impl DefaultValue {
    /// `bool`, `int`, `float` or `text`.
    pub const fn type_name(&self) -> &'static str {
        match self {
            DefaultValue::Bool(_) => "bool",
            DefaultValue::Int(_) => "int",
            DefaultValue::Float(_) => "float",
            DefaultValue::Text(_) => "text",
        }
    }
}

impl Parameter {
    const fn new(name: &'static str, default: DefaultValue) -> Self {
        Parameter { name, default, min: None, max: None, choices: &[], unit: "", doc: "" }
    }
    pub const fn bool(name: &'static str, default: bool) -> Self {
        Self::new(name, DefaultValue::Bool(default))
    }
    pub const fn int(name: &'static str, default: i64) -> Self {
        Self::new(name, DefaultValue::Int(default))
    }
    pub const fn float(name: &'static str, default: f64) -> Self {
        Self::new(name, DefaultValue::Float(default))
    }
    pub const fn text(name: &'static str, default: &'static str) -> Self {
        Self::new(name, DefaultValue::Text(default))
    }
    /// Both ends are allowed.
    pub const fn range(mut self, min: f64, max: f64) -> Self {
        (self.min, self.max) = (Some(min), Some(max));
        self
    }
    pub const fn at_least(mut self, min: f64) -> Self {
        self.min = Some(min);
        self
    }
    pub const fn at_most(mut self, max: f64) -> Self {
        self.max = Some(max);
        self
    }
    pub const fn choices(mut self, choices: &'static [&'static str]) -> Self {
        self.choices = choices;
        self
    }
    pub const fn unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }
    pub const fn doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }

    /// A wrong declaration does not compile.
    const fn validate(&self) {
        assert!(is_name(self.name), "a parameter's name has the form [a-z][a-z0-9_]*");
        let number = match self.default {
            DefaultValue::Int(value) => Some(value as f64),
            DefaultValue::Float(value) => Some(value),
            DefaultValue::Bool(_) | DefaultValue::Text(_) => None,
        };
        match number {
            Some(value) => {
                assert!(self.choices.is_empty(), "only a text parameter has choices");
                if let Some(min) = self.min {
                    assert!(value >= min, "a parameter's default is below its minimum");
                }
                if let Some(max) = self.max {
                    assert!(value <= max, "a parameter's default is above its maximum");
                }
            }
            None => assert!(self.min.is_none() && self.max.is_none(), "only a number has a range"),
        }
        if let (DefaultValue::Text(text), false) = (self.default, self.choices.is_empty()) {
            let (mut i, mut found) = (0, false);
            while i < self.choices.len() {
                found |= same(self.choices[i], text);
                i += 1;
            }
            assert!(found, "a parameter's default is not among its choices");
        }
    }
}

const fn is_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    if bytes.is_empty() || !bytes[0].is_ascii_lowercase() {
        return false;
    }
    let mut i = 1;
    while i < bytes.len() {
        if !(bytes[i].is_ascii_lowercase() || bytes[i].is_ascii_digit() || bytes[i] == b'_') {
            return false;
        }
        i += 1;
    }
    true
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// Writes JSON at compile time. With N = 0 it only counts.
struct Writer<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Writer<N> {
    const fn push(&mut self, byte: u8) {
        if N > 0 {
            self.bytes[self.length] = byte;
        }
        self.length += 1;
    }

    const fn raw(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut i = 0;
        while i < bytes.len() {
            self.push(bytes[i]);
            i += 1;
        }
    }

    const fn string(&mut self, text: &str) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        self.push(b'"');
        let bytes = text.as_bytes();
        let mut i = 0;
        while i < bytes.len() {
            let byte = bytes[i];
            if byte == b'"' || byte == b'\\' {
                self.push(b'\\');
                self.push(byte);
            } else if byte < 0x20 {
                self.raw("\\u00");
                self.push(HEX[(byte >> 4) as usize]);
                self.push(HEX[(byte & 15) as usize]);
            } else {
                self.push(byte);
            }
            i += 1;
        }
        self.push(b'"');
    }

    const fn integer(&mut self, value: u64) {
        if value >= 10 {
            self.integer(value / 10);
        }
        self.push(b'0' + (value % 10) as u8);
    }

    /// Finds the fewest decimals whose number is exactly `value`: an integer below 2⁵³ divided by a power of ten up to
    /// 10²² is rounded correctly, so the text parses back to the same f64.
    const fn float(&mut self, value: f64) {
        if value < 0.0 {
            self.push(b'-');
        }
        let value = if value < 0.0 { -value } else { value };
        let (mut decimals, mut power) = (0u32, 1u64);
        loop {
            let scaled = (value * power as f64 + 0.5) as u64;
            assert!(scaled < 1 << 53, "a descriptor's numbers have at most 15 significant digits");
            if scaled as f64 / power as f64 == value {
                self.integer(scaled / power);
                self.push(b'.');
                self.decimals(scaled % power, power);
                return;
            }
            decimals += 1;
            assert!(decimals <= 18, "a descriptor's numbers have at most 18 decimals");
            power *= 10;
        }
    }

    const fn decimals(&mut self, mut rest: u64, mut power: u64) {
        if power == 1 {
            self.push(b'0');
        }
        while power > 1 {
            power /= 10;
            self.push(b'0' + (rest / power) as u8);
            rest %= power;
        }
    }

    const fn value(&mut self, value: DefaultValue) {
        match value {
            DefaultValue::Bool(value) => self.raw(if value { "true" } else { "false" }),
            DefaultValue::Int(value) => {
                if value < 0 {
                    self.push(b'-');
                }
                self.integer(value.unsigned_abs());
            }
            DefaultValue::Float(value) => self.float(value),
            DefaultValue::Text(value) => self.string(value),
        }
    }

    const fn bound(&mut self, key: &str, bound: Option<f64>) {
        self.raw(key);
        match bound {
            Some(value) => self.float(value),
            None => self.raw("null"),
        }
    }

    const fn parameter(&mut self, parameter: &Parameter) {
        parameter.validate();
        self.raw("{\"name\":");
        self.string(parameter.name);
        self.raw(",\"type\":");
        self.string(parameter.default.type_name());
        self.raw(",\"default\":");
        self.value(parameter.default);
        self.bound(",\"min\":", parameter.min);
        self.bound(",\"max\":", parameter.max);
        self.raw(",\"choices\":[");
        let mut i = 0;
        while i < parameter.choices.len() {
            if i > 0 {
                self.push(b',');
            }
            self.string(parameter.choices[i]);
            i += 1;
        }
        self.raw("],\"unit\":");
        self.string(parameter.unit);
        self.raw(",\"doc\":");
        self.string(parameter.doc);
        self.push(b'}');
    }

    const fn descriptor(&mut self, descriptor: &Descriptor, kind: &str) {
        assert!(is_name(descriptor.id), "a plugin's id has the form [a-z][a-z0-9_]*");
        self.raw("{\"id\":");
        self.string(descriptor.id);
        self.raw(",\"version\":");
        self.string(descriptor.version);
        self.raw(",\"dynamics_version\":");
        self.integer(descriptor.dynamics_version as u64);
        self.raw(",\"abi_major\":");
        self.integer(crate::abi::MAJOR as u64);
        self.raw(",\"abi_minor\":");
        self.integer(crate::abi::MINOR as u64);
        self.raw(",\"kind\":");
        self.string(kind);
        self.raw(",\"doc\":");
        self.string(descriptor.doc);
        self.raw(",\"parameters\":[");
        let mut i = 0;
        while i < descriptor.parameters.len() {
            if i > 0 {
                self.push(b',');
            }
            self.parameter(&descriptor.parameters[i]);
            i += 1;
        }
        self.raw("]}");
    }
}

/// Bytes of the descriptor's JSON text.
#[doc(hidden)]
pub const fn json_length(descriptor: &Descriptor, kind: &str) -> usize {
    let mut writer = Writer::<0> { bytes: [], length: 0 };
    writer.descriptor(descriptor, kind);
    writer.length
}

/// The descriptor's JSON text; N is `json_length` + 1, for the zero byte at the end.
#[doc(hidden)]
pub const fn json_bytes<const N: usize>(descriptor: &Descriptor, kind: &str) -> [u8; N] {
    let mut writer = Writer::<N> { bytes: [0; N], length: 0 };
    writer.descriptor(descriptor, kind);
    assert!(writer.length + 1 == N, "the array has room for the text and a zero byte");
    writer.bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const DESCRIPTOR: Descriptor = Descriptor {
        id: "a_1",
        version: "1.2.3",
        dynamics_version: 40,
        doc: "Quotes \" and \\, a tab\t and é.",
        parameters: &[
            Parameter::float("zero", 0.0),
            Parameter::float("tenth", 0.1).range(-1e-5, 123_456.789).unit("m/s²"),
            Parameter::float("pi", std::f64::consts::PI).at_least(-2.5),
            Parameter::float("small", 1e-12),
            Parameter::float("large", 9e15),
            Parameter::int("least", i64::MIN),
            Parameter::bool("flag", true).doc("Why."),
            Parameter::text("word", "b").choices(&["a", "b"]),
        ],
    };
    const LENGTH: usize = json_length(&DESCRIPTOR, "env") + 1;
    static BYTES: [u8; LENGTH] = json_bytes(&DESCRIPTOR, "env");

    #[test]
    fn what_is_declared_is_what_is_read() {
        let (zero, text) = BYTES.split_last().unwrap();
        assert_eq!(*zero, 0);
        let value: Value = serde_json::from_slice(text).unwrap();
        assert_eq!(value["doc"], DESCRIPTOR.doc);
        assert_eq!([&value["kind"], &value["id"], &value["version"]], ["env", "a_1", "1.2.3"]);
        assert_eq!(value["dynamics_version"], 40);
        for (read, declared) in value["parameters"].as_array().unwrap().iter().zip(DESCRIPTOR.parameters) {
            let same = match declared.default {
                DefaultValue::Bool(value) => read["default"].as_bool() == Some(value),
                DefaultValue::Int(value) => read["default"].as_i64() == Some(value),
                DefaultValue::Float(value) => read["default"].as_f64() == Some(value),
                DefaultValue::Text(value) => read["default"].as_str() == Some(value),
            };
            assert!(same, "{read} is not {declared:?}");
            assert_eq!((read["min"].as_f64(), read["max"].as_f64()), (declared.min, declared.max));
            assert_eq!((&read["unit"], &read["doc"]), (&declared.unit.into(), &declared.doc.into()));
            assert_eq!(read["choices"].as_array().unwrap(), declared.choices);
        }
    }
}

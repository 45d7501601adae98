//! The parameters that an experiment sets, as the plugin sees them.

use crate::{DefaultValue, Parameter, Places};
use serde_json::{Map, Value};

/// Every declared parameter with the experiment's value or its default, of the declared type and in range.
#[derive(Clone, Debug)]
pub struct Params {
    declared: &'static [Parameter],
    values: Map<String, Value>,
    places: Places,
}

impl Params {
    /// All defaults; for tests, together with [`Params::with`].
    pub fn defaults(declared: &'static [Parameter]) -> Self {
        let value = |default| match default {
            DefaultValue::Bool(value) => Value::from(value),
            DefaultValue::Int(value) => Value::from(value),
            DefaultValue::Float(value) => Value::from(value),
            DefaultValue::Text(value) => Value::from(value),
        };
        let values = declared.iter().map(|p| (p.name.to_owned(), value(p.default))).collect();
        Params { declared, values, places: Places::default() }
    }

    /// The same parameters with one of them set. Errors: not declared, wrong type, out of range.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Result<Self, String> {
        self.set(name, value.into())?;
        Ok(self)
    }

    /// The same parameters for a dataset whose files may be in these places.
    pub fn with_places(self, places: Places) -> Self {
        Params { places, ..self }
    }

    /// Datasets: where files may be.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// Reads the JSON object that the host sends. The host has checked the experiment already; a plugin does not rely
    /// on it, because not every host need be ours.
    pub fn parse(declared: &'static [Parameter], text: &str) -> Result<Self, String> {
        let mut params = Params::defaults(declared);
        match serde_json::from_str(text) {
            Ok(Value::Object(entries)) => {
                for (name, value) in entries {
                    params.set(&name, value)?;
                }
                Ok(params)
            }
            Ok(_) => Err("the parameters are not a JSON object".to_owned()),
            Err(error) => Err(format!("the parameters are not JSON: {error}")),
        }
    }

    fn set(&mut self, name: &str, value: Value) -> Result<(), String> {
        let Some(parameter) = self.declared.iter().find(|p| p.name == name) else {
            let names: Vec<_> = self.declared.iter().map(|p| p.name).collect();
            return Err(format!("there is no parameter `{name}`; there are: {}", names.join(", ")));
        };
        let right_type = match parameter.default {
            DefaultValue::Bool(_) => value.is_boolean(),
            DefaultValue::Int(_) => value.is_i64(),
            DefaultValue::Float(_) => value.is_number(),
            DefaultValue::Text(_) => value.is_string(),
        };
        if !right_type {
            return Err(format!(
                "parameter `{name}` is {value}, which is not of type {}",
                parameter.default.type_name()
            ));
        }
        if let Some(number) = value.as_f64() {
            let (min, max) =
                (parameter.min.unwrap_or(f64::NEG_INFINITY), parameter.max.unwrap_or(f64::INFINITY));
            if !(min..=max).contains(&number) {
                return Err(format!("parameter `{name}` is {value}, which is not between {min} and {max}"));
            }
        }
        if let Some(text) = value.as_str()
            && !parameter.choices.is_empty()
            && !parameter.choices.contains(&text)
        {
            return Err(format!(
                "parameter `{name}` is {value}, which is not one of {}",
                parameter.choices.join(", ")
            ));
        }
        self.values.insert(name.to_owned(), value);
        Ok(())
    }

    /// # Panics
    /// When the plugin asks for what its descriptor does not declare; the same holds for the other three.
    pub fn bool(&self, name: &str) -> bool {
        self.get(name, "bool", Value::as_bool)
    }

    pub fn int(&self, name: &str) -> i64 {
        self.get(name, "int", Value::as_i64)
    }

    pub fn float(&self, name: &str) -> f64 {
        self.get(name, "float", Value::as_f64)
    }

    pub fn text(&self, name: &str) -> &str {
        self.get(name, "text", Value::as_str)
    }

    fn get<'a, T>(&'a self, name: &str, wanted: &str, read: impl Fn(&'a Value) -> Option<T>) -> T {
        match self.declared.iter().find(|p| p.name == name) {
            Some(parameter) if parameter.default.type_name() == wanted => {}
            Some(parameter) => {
                panic!("parameter `{name}` is declared as {}, not {wanted}", parameter.default.type_name())
            }
            None => panic!("the descriptor declares no parameter `{name}`"),
        }
        self.values
            .get(name)
            .and_then(read)
            .unwrap_or_else(|| panic!("parameter `{name}` has no {wanted} value"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECLARED: &[Parameter] = &[
        Parameter::float("mass", 1.5).range(0.1, 10.0),
        Parameter::int("links", 3).at_least(1.0),
        Parameter::bool("slippery", false),
        Parameter::text("preset", "a").choices(&["a", "b"]),
    ];

    #[test]
    fn the_defaults_hold_until_the_host_says_otherwise() {
        let params = Params::parse(DECLARED, r#"{"mass": 2, "preset": "b"}"#).unwrap();
        assert_eq!(params.float("mass"), 2.0);
        assert_eq!(params.int("links"), 3);
        assert!(!params.bool("slippery"));
        assert_eq!(params.text("preset"), "b");
    }

    #[test]
    fn what_is_not_declared_is_refused() {
        for (text, expected) in [
            (r#"{"mas": 2}"#, "no parameter `mas`"),
            (r#"{"mass": "2"}"#, "not of type float"),
            (r#"{"links": 2.5}"#, "not of type int"),
            (r#"{"mass": 11}"#, "not between 0.1 and 10"),
            (r#"{"preset": "c"}"#, "not one of a, b"),
            ("[]", "not a JSON object"),
            ("{", "not JSON"),
        ] {
            let error = Params::parse(DECLARED, text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}

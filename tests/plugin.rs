//! Foreign code cannot damage a run: what does not fit is refused with a sentence, and what fails is named.

mod c_example;
mod check;
mod dataset;
mod handshake;
mod misbehaviour;
mod new;
mod shipped;

use crate::libraries;
use mamlx::plugin::{self, Plugin};
use mamlx::spec::ParamValue;
use std::collections::BTreeMap;

type Params = BTreeMap<String, ParamValue>;

fn load(package: &str) -> Plugin {
    plugin::load(&libraries::library(package)).unwrap()
}

fn with(name: &str, value: &str) -> Params {
    Params::from([(name.to_owned(), ParamValue::Text(value.to_owned()))])
}

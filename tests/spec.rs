//! Promise: a spec is read whole or refused whole, with every problem named at its place.

mod golden;
mod hostile;
mod overrides;
mod round_trip;
mod schema;
mod shipped;

use mamlx::spec::{self, Diagnostics, Param, ParamKind, ParamTable, ParamValue, PluginKind, Spec};

/// A parameter without range, unit or choices.
fn param(name: &str, kind: ParamKind, default: Option<ParamValue>) -> Param {
    let (min, max, choices) = (None, None, Vec::new());
    Param { name: name.into(), kind, default, min, max, choices, unit: String::new(), doc: String::new() }
}

/// A plugin's table with every kind of parameter.
fn table() -> ParamTable {
    let preset = Param {
        choices: vec!["rllab".into(), "gym".into()],
        ..param("preset", ParamKind::Text, Some(ParamValue::Text("rllab".into())))
    };
    let friction = Param {
        min: Some(0.0),
        max: Some(2.0),
        ..param("friction", ParamKind::Float, Some(ParamValue::Float(0.9)))
    };
    let speed = Param {
        min: Some(0.0),
        unit: "m/s".into(),
        ..param("speed", ParamKind::Float, Some(ParamValue::Float(3.0)))
    };
    let bodies = Param {
        min: Some(1.0),
        max: Some(10.0),
        ..param("bodies", ParamKind::Int, Some(ParamValue::Int(7)))
    };
    let noisy = param("noisy", ParamKind::Bool, Some(ParamValue::Bool(false)));
    let label = param("label", ParamKind::Text, Some(ParamValue::Text("none".into())));
    ParamTable { params: vec![preset, friction, speed, bodies, noisy, label] }
}

/// Reads with the table above.
fn resolve(text: impl AsRef<[u8]>, sets: &[&str], kind: PluginKind) -> Result<Spec, Diagnostics> {
    spec::read(text, "demo.yaml", sets)?.resolve(&table(), kind)
}

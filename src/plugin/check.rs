//! `mamlx plugin check`: the SDK's checks, on a library.

use super::info::PluginInfo;
use super::load::{Plugin, Tables};
use super::params::params_json;
use crate::error::Result;
use crate::spec::{ParamValue, PluginKind};
use mamlx_plugin::caller::{Data, Env, Failure, Tasks};
use mamlx_plugin::checks::{self, Finding, Outcome};
use std::collections::BTreeMap;
use std::ffi::CString;

/// Checks of the library as a whole, before those of its kind.
const LIBRARY: [&str; 3] = ["handshake", "features", "declarations"];
const RENDER: &str = "render";
/// A feature that nobody has.
const NO_FEATURE: &str = "mamlx.x-nothing/0";

/// Names of the checks for a kind of plugin, in the order in which they make sense.
pub fn checks(kind: PluginKind) -> Vec<&'static str> {
    let mut all = LIBRARY.to_vec();
    all.extend(match kind {
        PluginKind::Environment => checks::environment_checks(),
        PluginKind::Tasks => checks::distribution_checks(),
        PluginKind::Data => checks::dataset_checks(),
    });
    if kind == PluginKind::Environment {
        all.push(RENDER);
    }
    all
}

/// Runs one of [`checks`], in this process, where a crash or a hang of the plugin is one of the caller. `None`: there is no
/// such check, or it does not apply to this plugin.
///
/// # Errors
/// `Error::Input` for parameters that the plugin does not declare; everything else is a finding.
pub fn check_one(
    plugin: &Plugin,
    params: &BTreeMap<String, ParamValue>,
    name: &str,
) -> Result<Option<Finding>> {
    let params = params_json(&plugin.info, params)?;
    match name {
        "handshake" => return Ok(Some(handshake(&plugin.info))),
        "features" => return Ok(Some(features(plugin))),
        "declarations" => return Ok(Some(declarations(&plugin.info))),
        _ => {}
    }
    Ok(match plugin.tables {
        Tables::Env(_) if name == RENDER => {
            plugin.render.map(|_| checks::rendering(&|n| env(plugin, &params, n)))
        }
        Tables::Env(_) => checks::environment_check(&|n| env(plugin, &params, n), name),
        Tables::Tasks(_) => checks::distribution_check(&|| tasks(plugin, &params), name),
        Tables::Data(_) => checks::dataset_check(&|| data(plugin, &params), name),
    })
}

/// Runs every check that a plugin of this kind must pass, in this process. The plugin has shaken hands already, or
/// there would be no [`Plugin`].
///
/// # Errors
/// As for [`check_one`].
pub fn check(plugin: &Plugin, params: &BTreeMap<String, ParamValue>) -> Result<Vec<Finding>> {
    let params = params_json(&plugin.info, params)?;
    let mut findings = vec![handshake(&plugin.info), features(plugin), declarations(&plugin.info)];
    findings.extend(match plugin.tables {
        Tables::Env(_) => {
            let mut findings = checks::environment(&|n| env(plugin, &params, n));
            findings.extend(plugin.render.map(|_| checks::rendering(&|n| env(plugin, &params, n))));
            findings
        }
        Tables::Tasks(_) => checks::distribution(&|| tasks(plugin, &params)),
        Tables::Data(_) => checks::dataset(&|| data(plugin, &params)),
    });
    Ok(findings)
}

/// Every number of some episodes or draws, as bits: a change of it without another dynamics version would let an old run
/// go on in a new world. `None` for a dataset, whose items are files.
pub fn trace(
    plugin: &Plugin,
    params: &BTreeMap<String, ParamValue>,
) -> Result<Option<std::result::Result<Vec<u32>, String>>> {
    let params = params_json(&plugin.info, params)?;
    Ok(match plugin.tables {
        Tables::Env(_) => Some(checks::environment_trace(&|n| env(plugin, &params, n))),
        Tables::Tasks(_) => Some(checks::distribution_trace(&|| tasks(plugin, &params))),
        Tables::Data(_) => None,
    })
}

fn env(plugin: &Plugin, params: &str, n_slots: u32) -> std::result::Result<Env, Failure> {
    let Tables::Env(table) = plugin.tables else { return Err(of_another_kind()) };
    // SAFETY, here and below: `load` has checked the tables; that their functions keep the rules is what is checked.
    let env = unsafe { Env::new(table, params, n_slots) }?;
    Ok(match plugin.render {
        // SAFETY: both tables are of one library.
        Some(render) => unsafe { env.with_render(render) },
        None => env,
    })
}

fn tasks(plugin: &Plugin, params: &str) -> std::result::Result<Tasks, Failure> {
    let Tables::Tasks(table) = plugin.tables else { return Err(of_another_kind()) };
    // SAFETY: as in `env`.
    unsafe { Tasks::new(table, params) }
}

fn data(plugin: &Plugin, params: &str) -> std::result::Result<Data, Failure> {
    let Tables::Data(table) = plugin.tables else { return Err(of_another_kind()) };
    // SAFETY: as in `env`.
    unsafe { Data::new(table, params, &plugin.places) }
}

fn of_another_kind() -> Failure {
    Failure::about("create", "the plugin is of another kind".to_owned())
}

fn handshake(info: &PluginInfo) -> Finding {
    let detail = format!(
        "interface {}.{}, {}; the loaded descriptor is the one in the file",
        info.abi_major,
        info.abi_minor,
        info.feature()
    );
    Finding { check: "handshake", outcome: Outcome::Pass, detail }
}

/// A newer host asks for features that this plugin has never heard of.
fn features(plugin: &Plugin) -> Finding {
    let id = CString::new(NO_FEATURE).expect("feature ids contain no zero byte");
    // SAFETY: the header lets any thread call it, with a text that ends with a zero byte.
    let found = unsafe { (plugin.get_feature)(id.as_ptr()) };
    let (outcome, detail) = if found.is_null() {
        (Outcome::Pass, "a feature that it does not have is refused")
    } else {
        (
            Outcome::Fail,
            "it claims a feature that nobody has: `get_feature` must return null for unknown names",
        )
    };
    Finding { check: "features", outcome, detail: detail.to_owned() }
}

/// What a descriptor may lack without being broken.
fn declarations(info: &PluginInfo) -> Finding {
    let undocumented: Vec<&str> =
        info.params.params.iter().filter(|p| p.doc.is_empty()).map(|p| p.name.as_str()).collect();
    let reversed =
        info.params.params.iter().find(|p| matches!((p.min, p.max), (Some(min), Some(max)) if min > max));
    let (outcome, detail) = if let Some(parameter) = reversed {
        (Outcome::Fail, format!("parameter `{}` has its minimum above its maximum", parameter.name))
    } else if info.doc.is_empty() {
        (Outcome::Warn, "the plugin has no doc".to_owned())
    } else if !undocumented.is_empty() {
        (Outcome::Warn, format!("parameters without doc: {}", undocumented.join(", ")))
    } else {
        (Outcome::Pass, format!("{} parameters, all documented", info.params.params.len()))
    };
    Finding { check: "declarations", outcome, detail }
}

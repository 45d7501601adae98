//! `mamlx plugin check`: the SDK's checks, on a library.

use super::info::PluginInfo;
use super::load::{Plugin, Tables};
use super::params::params_json;
use crate::error::Result;
use crate::spec::ParamValue;
use mamlx_plugin::caller::{Data, Env, Tasks};
use mamlx_plugin::checks::{self, Finding, Outcome};
use std::collections::BTreeMap;

/// Runs every check that a plugin of this kind must pass, in this process. The plugin has shaken hands already, or
/// there would be no [`Plugin`].
///
/// # Errors
/// `Error::Input` for parameters that the plugin does not declare; everything else is a finding.
pub fn check(plugin: &Plugin, params: &BTreeMap<String, ParamValue>) -> Result<Vec<Finding>> {
    let params = params_json(&plugin.info, params)?;
    let mut findings = vec![handshake(&plugin.info), declarations(&plugin.info)];
    // SAFETY, for all three: `load` has checked the table; that its functions keep the rules is what is checked here.
    findings.extend(match plugin.tables {
        Tables::Env(table) => {
            let mut findings = checks::environment(&|n_slots| unsafe { Env::new(table, &params, n_slots) });
            findings.extend(plugin.render.map(|render| {
                checks::rendering(&|n_slots| unsafe {
                    Env::new(table, &params, n_slots).map(|env| env.with_render(render))
                })
            }));
            findings
        }
        Tables::Tasks(table) => checks::distribution(&|| unsafe { Tasks::new(table, &params) }),
        Tables::Data(table) => checks::dataset(&|| unsafe { Data::new(table, &params, &plugin.places) }),
    });
    Ok(findings)
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

//! `mamlx plugin check`: every check in a process of its own, so that a crash, a hang or an exit of the plugin is one failed
//! line and not the end.

use super::{SearchArgs, out};
use crate::data::info;
use crate::error::{Error, Result};
use crate::plugin::{self, Finding, Outcome, Plugin};
use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Before the line in which a child tells its parent what it found; a plugin may print what it likes.
const MARK: &str = "mamlx-finding ";
/// The check of `--record` and `--against`.
const TRACE: &str = "trace";

#[derive(Args, Debug)]
pub struct CheckPlugin {
    /// Name of the plugin.
    name: String,
    /// Set a parameter of the plugin, for example `--set preset=gym`; repeatable.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Only these checks, by name.
    #[arg(long, value_name = "CHECK", value_delimiter = ',')]
    only: Vec<String>,
    /// Seconds that a check may take.
    #[arg(long, value_name = "SECS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    time_limit: u32,
    /// All checks in this process, for debuggers.
    #[arg(long)]
    in_process: bool,
    /// Write the numbers of some episodes to a file, for a later `--against`.
    #[arg(long, value_name = "FILE", conflicts_with = "against")]
    record: Option<PathBuf>,
    /// Compare with the numbers that another version of the plugin has recorded.
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Run one check and tell the parent.
    #[arg(long, hide = true, value_name = "CHECK")]
    child: Option<String>,
    #[command(flatten)]
    search: SearchArgs,
}

impl CheckPlugin {
    pub fn call(&self) -> Result<()> {
        if let Some(name) = &self.child {
            return self.tell(name);
        }
        // Looked at, not loaded: its code runs in the children only.
        let search = self.search.search();
        let info = plugin::inspect(&search.find(&self.name)?)?;
        info::params(&info, &self.set)?;
        let mut names: Vec<&str> = plugin::checks(info.kind);
        if let Some(unknown) = self.only.iter().find(|name| !names.contains(&name.as_str())) {
            return Err(Error::Input(format!(
                "--only: there is no check `{unknown}`; there are {}",
                names.join(", ")
            )));
        }
        names.retain(|name| self.only.is_empty() || self.only.iter().any(|only| only == name));
        if self.record.is_some() || self.against.is_some() {
            names.push(TRACE);
        }
        let mut failed = 0;
        for name in names {
            let found =
                if self.in_process { self.one(&search.load(&self.name)?, name)? } else { self.ask(name)? };
            let Some(finding) = found else { continue };
            out::print(&format!("{finding}\n"))?;
            failed += usize::from(finding.outcome == Outcome::Fail);
            if name == "create" && finding.outcome == Outcome::Fail {
                eprintln!("mamlx: no instance, no further checks.");
                break;
            }
        }
        match failed {
            0 => Ok(()),
            failed => Err(Error::Run(format!(
                "plugin {} failed {failed} check{}",
                self.name,
                if failed == 1 { "" } else { "s" }
            ))),
        }
    }

    /// One check, in this process.
    fn one(&self, plugin: &Plugin, name: &str) -> Result<Option<Finding>> {
        let params = info::params(&plugin.info, &self.set)?;
        if name == TRACE {
            return self.trace(plugin, &params);
        }
        plugin::check_one(plugin, &params, name)
    }

    /// The child's side: what was found, as the last marked line.
    fn tell(&self, name: &str) -> Result<()> {
        let plugin = self.search.search().load(&self.name)?;
        let found = self.one(&plugin, name)?.map(|Finding { outcome, detail, .. }| {
            let outcome = match outcome {
                Outcome::Pass => "pass",
                Outcome::Warn => "warn",
                Outcome::Fail => "fail",
            };
            json!({ "outcome": outcome, "detail": detail })
        });
        out::print(&format!("\n{MARK}{}\n", found.unwrap_or(Value::Null)))
    }

    /// The parent's side. `None`: the check does not apply.
    fn ask(&self, name: &str) -> Result<Option<Finding>> {
        let program = std::env::current_exe().map_err(Error::io("find", "the running program"))?;
        let mut command = Command::new(&program);
        command.args(["plugin", "check", &self.name, "--child", name]);
        for set in &self.set {
            command.args(["--set", set]);
        }
        let files = [("--record", &self.record), ("--against", &self.against)];
        for (flag, file) in files.iter().filter_map(|(flag, file)| Some((flag, file.as_ref()?))) {
            command.arg(flag).arg(file);
        }
        for folder in &self.search.plugin_path {
            command.arg("--plugin-path").arg(folder);
        }
        for folder in &self.search.data_dir {
            command.arg("--data-dir").arg(folder);
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let ended =
            wait(child.map_err(Error::io("run", &program))?, Duration::from_secs(self.time_limit.into()))
                .map_err(Error::io("wait for", &program))?;
        let check = plugin_check_name(name);
        let fail = |detail: String| Ok(Some(Finding { check, outcome: Outcome::Fail, detail }));
        let last_words = || {
            let last = ended.stderr.lines().rev().find(|line| !line.trim().is_empty());
            last.map_or(String::new(), |line| format!("; its last words: {}", line.trim()))
        };
        let Some(status) = ended.status else {
            return fail(format!("no end after {} s{}", self.time_limit, last_words()));
        };
        let told = ended.stdout.lines().rev().find_map(|line| line.strip_prefix(MARK));
        match told.and_then(|text| serde_json::from_str::<Value>(text).ok()) {
            // A crash after the verdict, in the library's own endings, is a crash.
            Some(_) if !status.success() => {
                fail(format!("{} at the end of the process", plugin::ended(status)))
            }
            Some(Value::Null) => Ok(None),
            Some(value) => {
                let outcome = match value["outcome"].as_str() {
                    Some("pass") => Outcome::Pass,
                    Some("warn") => Outcome::Warn,
                    _ => Outcome::Fail,
                };
                Ok(Some(Finding {
                    check,
                    outcome,
                    detail: value["detail"].as_str().unwrap_or("").to_owned(),
                }))
            }
            None if status.success() => fail("it ended the process, with exit code 0".into()),
            // A library that does not fit, or a file that is not there, is told as it is.
            None => fail(format!("{}{}", plugin::ended(status), last_words())),
        }
    }

    fn trace(
        &self,
        plugin: &Plugin,
        params: &BTreeMap<String, crate::spec::ParamValue>,
    ) -> Result<Option<Finding>> {
        let Some(trace) = plugin::trace(plugin, params)? else { return Ok(None) };
        let finding = |outcome, detail: String| Ok(Some(Finding { check: TRACE, outcome, detail }));
        let trace = match trace {
            Ok(trace) => trace,
            Err(why) => return finding(Outcome::Fail, why),
        };
        let (info, set) = (&plugin.info, json!(self.set));
        if let Some(file) = &self.record {
            let value = json!({
                "plugin": info.id, "version": info.version, "dynamics_version": info.dynamics_version, "set": set,
                "trace": trace,
            });
            crate::record::disk::replace(file, format!("{value}\n").as_bytes())?;
            return finding(Outcome::Pass, format!("{} numbers are in {}", trace.len(), file.display()));
        }
        let file = self.against.as_deref().unwrap_or(Path::new(""));
        let text = std::fs::read(file).map_err(Error::io("read the recorded numbers", file))?;
        let refuse = |why: &str| Error::Input(format!("{}: {why}", file.display()));
        let recorded: Value =
            serde_json::from_slice(&text).map_err(|_| refuse("not what --record writes"))?;
        if recorded["plugin"] != info.id.as_str() || recorded["set"] != set {
            return Err(refuse("recorded with another plugin or other parameters"));
        }
        let then: Option<Vec<u32>> = serde_json::from_value(recorded["trace"].clone()).ok();
        let then = then.ok_or_else(|| refuse("not what --record writes"))?;
        let raised = recorded["dynamics_version"] != json!(info.dynamics_version);
        let at = trace.iter().zip(&then).position(|(now, then)| now != then);
        let at = at.or((trace.len() != then.len()).then_some(trace.len().min(then.len())));
        match (at, raised) {
            (None, false) => finding(Outcome::Pass, format!("the same {} numbers", trace.len())),
            (None, true) => finding(Outcome::Warn, "the same numbers under another dynamics_version".into()),
            (Some(_), true) => finding(Outcome::Pass, "other numbers, and another dynamics_version".into()),
            (Some(at), false) => finding(
                Outcome::Fail,
                format!(
                    "number {at} of {} is another, but dynamics_version still {}: raise it, or old runs go on in a new world",
                    then.len(),
                    info.dynamics_version
                ),
            ),
        }
    }
}

/// The static name that a finding carries.
fn plugin_check_name(name: &str) -> &'static str {
    let kinds =
        [crate::spec::PluginKind::Environment, crate::spec::PluginKind::Tasks, crate::spec::PluginKind::Data];
    kinds.into_iter().flat_map(plugin::checks).find(|known| *known == name).unwrap_or(TRACE)
}

/// How a child ended, and what it printed.
struct Ended {
    /// `None`: it had to be killed.
    status: Option<ExitStatus>,
    stdout: String,
    stderr: String,
}

/// Waits for a child, at most so long.
fn wait(mut child: Child, limit: Duration) -> std::io::Result<Ended> {
    fn drain(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
        std::thread::spawn(move || {
            let mut bytes = vec![];
            if let Some(mut pipe) = pipe {
                let _ = pipe.read_to_end(&mut bytes);
            }
            String::from_utf8_lossy(&bytes).into_owned()
        })
    }
    let (stdout, stderr) = (drain(child.stdout.take()), drain(child.stderr.take()));
    let began = Instant::now();
    let status = loop {
        match child.try_wait()? {
            Some(status) => break Some(status),
            None if began.elapsed() >= limit => {
                child.kill()?;
                child.wait()?;
                break None;
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let text = |thread: std::thread::JoinHandle<String>| thread.join().unwrap_or_default();
    Ok(Ended { status, stdout: text(stdout), stderr: text(stderr) })
}

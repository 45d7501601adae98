//! `mamlx explain`

use super::{SpecArgs, Threads, out};
use crate::error::{Error, Result};
use crate::graph::Plan;
use crate::lower::{PortInfo, Program, lower};
use crate::record::Table;
use crate::record::number::short_text;
use crate::record::progress::format_duration;
use crate::run::certificate::{Certificate, DIRECTIONS, certificates};
use crate::run::device;
use crate::run::experiment::Experiment;
use crate::run::forecast::{Forecast, MethodForecast, forecast};
use crate::spec::Word;
use clap::Args;
use serde_json::{Value, json};
use std::fmt::Write;

#[derive(Args, Debug)]
pub struct Explain {
    #[command(flatten)]
    spec: SpecArgs,
    /// Print every plan in ops of the table, instead of the summary.
    #[arg(long)]
    graph: bool,
    /// Print the kernels that each plan is lowered to.
    #[arg(long)]
    kernels: bool,
    /// Hold the programs' gradients against differences of the whole outer loss; exit code 1 if they are off.
    #[arg(long)]
    gradients: bool,
    /// The resolved spec, the programs with their ports and the forecast as JSON; with --gradients, those.
    #[arg(long, conflicts_with_all = ["graph", "kernels"])]
    json: bool,
    #[command(flatten)]
    threads: Threads,
}

impl Explain {
    pub fn call(&self) -> Result<()> {
        let experiment = Experiment::open(
            &self.spec.spec,
            &self.spec.changes.overrides(),
            &self.spec.changes.search.search(),
        )?;
        if self.gradients {
            let found = certificates(&experiment, &device(&experiment.spec)?)?;
            let text = if self.json { certificate_json(&found) } else { certificate_text(&found) };
            out::print(&text)?;
            let off: Vec<&str> = found.iter().filter(|c| !c.holds()).map(|c| &c.of[..]).collect();
            return match off[..] {
                [] => Ok(()),
                _ => Err(Error::Run(format!("the gradients of {} are off", off.join(", ")))),
            };
        }
        let plans = || experiment.plans();
        if self.graph {
            return out::print(&plans()?.iter().map(Plan::dump).collect::<Vec<_>>().join("\n"));
        }
        if self.kernels {
            let kernels = plans()?.into_iter().map(|plan| lower(plan).describe());
            return out::print(&kernels.collect::<String>());
        }
        // First of all: what it measures of this process should be what a run would take.
        let forecast = forecast(&experiment, self.threads.count())?;
        if self.json {
            let value = json!({
                "run": experiment.spec.run_name(),
                "spec_hash": experiment.spec.hash(),
                "spec": experiment.spec,
                "programs": plans()?.into_iter().map(|plan| program_json(&lower(plan))).collect::<Vec<_>>(),
                "forecast": forecast_json(&forecast),
            });
            return out::print(&format!("{value:#}\n"));
        }
        let (name, run) = (&experiment.spec.name, experiment.spec.run_name());
        out::print(&format!(
            "# {name} ({run})\n{}\n{}\n",
            experiment.spec.to_yaml(),
            programs_text(plans()?)
        ))?;
        out::print(&forecast_text(&forecast))
    }
}

/// Each program with its work, memory and ports.
fn programs_text(plans: Vec<Plan>) -> String {
    let mut text = String::new();
    for program in plans.into_iter().map(lower) {
        let mflop = program.flops() as f64 / 1e6;
        let kib = program.scratch_bytes() as f64 / 1024.0;
        let _ = writeln!(
            text,
            "program {}: {mflop:.3} MFLOP in products, {kib:.1} KiB of memory a thread",
            program.name()
        );
        for (kind, ports) in [("in ", program.inputs()), ("out", program.outputs())] {
            for port in ports {
                let shapes: Vec<String> =
                    port.parts.iter().map(|(name, shape)| format!("{name} {shape:?}")).collect();
                let _ = writeln!(text, "  {kind} {}: {}", port.name, shapes.join(", "));
            }
        }
    }
    text
}

/// Sizes, work and time, method by method and in all.
fn forecast_text(forecast: &Forecast) -> String {
    let mut table =
        Table::new(["method", "parameters", "meta-iterations", "each", "evaluations", "each", "in all"]);
    for method in &forecast.methods {
        table.row([
            method.method.word().to_string(),
            method.parameters.to_string(),
            method.iterations.to_string(),
            if method.iterations == 0 { String::new() } else { seconds(method.train_secs) },
            method.evaluations.to_string(),
            seconds(method.eval_secs),
            format_duration(method.secs()),
        ]);
    }
    let total = format_duration(forecast.methods.iter().map(|method| method.secs()).sum());
    let memory = match forecast.peak_bytes {
        Some(bytes) => format!("about {:.0} MiB of memory at most", bytes as f64 / (1024.0 * 1024.0)),
        None => "memory unknown on this system".into(),
    };
    format!(
        "{table}\nwork: {} MFLOP in products a meta-iteration\nmemory: {memory}\ntime: about {total} on this machine with {} thread{} (measured on a few tasks)\n",
        short_text(forecast.flops as f64 / 1e6),
        forecast.threads,
        if forecast.threads == 1 { "" } else { "s" }
    )
}

fn program_json(program: &Program) -> Value {
    let ports = |ports: &[PortInfo]| -> Value {
        let port = |port: &PortInfo| {
            let parts =
                port.parts.iter().map(|(name, shape)| json!({ "name": name, "shape": shape.to_vec() }));
            json!({ "name": port.name, "parts": parts.collect::<Vec<_>>() })
        };
        ports.iter().map(port).collect()
    };
    json!({
        "name": program.name(),
        "flops": program.flops(),
        "bytes": program.scratch_bytes(),
        "inputs": ports(program.inputs()),
        "outputs": ports(program.outputs()),
    })
}

fn forecast_json(forecast: &Forecast) -> Value {
    let method = |method: &MethodForecast| {
        json!({
            "method": method.method.word(),
            "parameters": method.parameters,
            "iterations": method.iterations,
            "train_secs": method.train_secs,
            "evaluations": method.evaluations,
            "eval_secs": method.eval_secs,
            "secs": method.secs(),
        })
    };
    json!({
        "methods": forecast.methods.iter().map(method).collect::<Vec<_>>(),
        "flops": forecast.flops,
        "peak_bytes": forecast.peak_bytes,
        "threads": forecast.threads,
        "secs": forecast.methods.iter().map(MethodForecast::secs).sum::<f64>(),
    })
}

fn certificate_json(found: &[Certificate]) -> String {
    let one = |certificate: &Certificate| {
        json!({
            "of": certificate.of,
            "order": certificate.order,
            "error_f32": certificate.error_f32,
            "error_f64": certificate.error_f64,
            "other_order": certificate.other_order,
            "holds": certificate.holds(),
        })
    };
    format!("{:#}\n", Value::Array(found.iter().map(one).collect()))
}

fn seconds(secs: f64) -> String {
    if secs < 1.0 { format!("{} ms", short_text(1e3 * secs)) } else { format!("{} s", short_text(secs)) }
}

fn certificate_text(found: &[Certificate]) -> String {
    let mut table = Table::new(["gradient of", "order", "error f32", "error f64", "other order", "holds"]);
    for certificate in found {
        table.row([
            certificate.of.clone(),
            certificate.order.to_string(),
            format!("{:.1e}", certificate.error_f32),
            format!("{:.1e}", certificate.error_f64),
            certificate.other_order.map_or("no inner step".into(), |distance| format!("{distance:.1e} away")),
            if certificate.holds() { "yes".into() } else { "NO".to_string() },
        ]);
    }
    format!(
        "{table}\nRelative errors against central differences of the whole outer loss in f64, along {DIRECTIONS} random \
         directions,\non synthetic points. \"other order\": how far the gradient is from that of the other derivative order.\n"
    )
}

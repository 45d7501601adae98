//! `mamlx explain`

use super::{SpecArgs, out};
use crate::error::Result;
use crate::graph::Plan;
use crate::lower::lower;
use crate::run::experiment::Experiment;
use clap::Args;
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
}

impl Explain {
    pub fn call(&self) -> Result<()> {
        let experiment =
            Experiment::open(&self.spec.spec, &self.spec.changes.set, &self.spec.changes.search.search())?;
        let plans = experiment.plans()?;
        if self.graph {
            return out::print(&plans.iter().map(Plan::dump).collect::<Vec<_>>().join("\n"));
        }
        let mut text = String::new();
        if !self.kernels {
            let _ = writeln!(
                text,
                "# {} ({})\n{}",
                experiment.spec.name,
                experiment.spec.run_name(),
                experiment.spec.to_yaml()
            );
        }
        for plan in plans {
            let program = lower(plan);
            if self.kernels {
                text.push_str(&program.describe());
                continue;
            }
            let mflop = program.flops() as f64 / 1e6;
            let kib = (program.scratch_bytes() + program.kept_bytes()) as f64 / 1024.0;
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
        out::print(&text)
    }
}

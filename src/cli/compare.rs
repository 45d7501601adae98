//! `mamlx compare`

use super::{out, runs};
use crate::error::{Error, Result};
use crate::record::compare::{Difference, Unpaired, compare, methods};
use crate::record::folder::EVAL_FILE;
use crate::record::number::short_text;
use crate::record::row::{EvalRow, TEST};
use crate::record::{Table, read};
use crate::spec::nearest;
use crate::spec::settings::differing;
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub struct Compare {
    /// Folder of a run.
    a: PathBuf,
    /// Folder of another run that was evaluated on the same tasks.
    b: PathBuf,
    /// Method of the first run [default: every method that both have].
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,
    /// Method of the second run [default: the same].
    #[arg(long, value_name = "METHOD", requires = "method")]
    versus: Option<String>,
}

impl Compare {
    pub fn call(&self) -> Result<()> {
        let rows = |folder: &Path| read::read_eval(&folder.join(EVAL_FILE)).map(|table| table.rows);
        let (a, b): (Vec<EvalRow>, Vec<EvalRow>) = (rows(&self.a)?, rows(&self.b)?);
        let pairs: Vec<(String, String)> = match (&self.method, &self.versus) {
            (Some(method), versus) => vec![(method.clone(), versus.as_ref().unwrap_or(method).clone())],
            (None, _) => {
                let theirs = methods(&b);
                methods(&a).into_iter().filter(|m| theirs.contains(m)).map(|m| (m.clone(), m)).collect()
            }
        };
        if pairs.is_empty() {
            let list = |rows: &[EvalRow]| methods(rows).join(", ");
            return Err(Error::Input(format!(
                "the runs share no method: {} has {}, {} has {}; name one of each with --method and --versus",
                self.a.display(),
                list(&a),
                self.b.display(),
                list(&b)
            )));
        }
        let specs = [runs::settings(&self.a)?, runs::settings(&self.b)?];
        let mut text = format!("a: {}\nb: {}\n", self.a.display(), self.b.display());
        for (path, values) in differing(&specs) {
            text += &format!("   {path}: {} in a, {} in b\n", values[0], values[1]);
        }
        for (first, second) in pairs {
            let found =
                compare((&a, &first), (&b, &second)).map_err(|why| self.unpaired(why, &first, &second))?;
            text += &format!("\n{}", table(&first, &second, &found));
        }
        out::print(&text)
    }

    fn unpaired(&self, why: Unpaired, first: &str, second: &str) -> Error {
        Error::Input(match why {
            Unpaired::NoMethod { first: is_first, has } => {
                let (run, method) = if is_first { (&self.a, first) } else { (&self.b, second) };
                let near = nearest(method, has.iter().map(String::as_str));
                let meant = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
                format!("{} has no method `{method}`, only {}{meant}", run.display(), has.join(", "))
            }
            Unpaired::OtherTask(task) => format!(
                "test task {task} is another one in {} than in {}: only runs that were evaluated on the same tasks \
                 (the same seed, or the same eval.task_file) can be compared task by task; `mamlx report` compares means",
                self.a.display(),
                self.b.display()
            ),
            Unpaired::NothingShared => format!(
                "{first} in {} and {second} in {} share no support size; set the same eval.support in both",
                self.a.display(),
                self.b.display()
            ),
        })
    }
}

fn table(first: &str, second: &str, found: &[Difference]) -> Table {
    let title = format!("{first} in a, {second} in b");
    let mut table = Table::new([&title[..], "support", "steps", "a", "b", "a - b", "95 %", "tasks"]);
    for row in found {
        let ends = row.difference.low().zip(row.difference.high());
        table.row([
            match &row.split[..] {
                TEST => row.metric.name().to_string(),
                split => format!("{}, {split}", row.metric.name()),
            },
            row.support.to_string(),
            row.inner_step.to_string(),
            short_text(row.a),
            short_text(row.b),
            short_text(row.difference.mean),
            ends.map_or(String::new(), |(l, h)| format!("[{}, {}]", short_text(l), short_text(h))),
            row.difference.tasks.to_string(),
        ]);
    }
    table
}

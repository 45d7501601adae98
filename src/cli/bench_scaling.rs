//! `mamlx bench --scaling`: how time grows with the sizes of a workload, and what a second thread does.

use super::bench::{Bench, Line};
use super::out;
use crate::bench::Workload;
use crate::error::Result;
use crate::record::Table;

impl Bench {
    /// Times every workload at 1, 2, 4, … `times` its tasks, then its steps, and with one thread and two.
    pub(super) fn scale(&self, workloads: &[Workload], times: usize) -> Result<()> {
        let factors: Vec<usize> =
            (0..).map(|power| 1 << power).take_while(|factor| *factor <= times).collect();
        let sizes = factors.iter().map(|factor| format!("x{factor}, ms"));
        let headings: Vec<String> = ["workload", "more"]
            .map(String::from)
            .into_iter()
            .chain(sizes)
            .chain(["off a line".into()])
            .collect();
        let mut growth = Table::new(headings);
        let mut threads = Table::new(["workload", "1 thread, ms", "2 threads, ms", "faster"]);
        for workload in workloads {
            // Environments have no size; their rows for one and two threads are `mamlx bench --threads`.
            let Some([tasks, steps]) = workload.size() else { continue };
            eprintln!("{}: {}", workload.name, workload.about);
            let ms = |tasks: usize, steps: usize, threads: usize| -> Result<f64> {
                let line = Line::read(&self.alone(&workload.sized([tasks, steps]), threads)?)?;
                Ok(line.ms_per_meta_step)
            };
            let count = self.threads.count();
            let more_tasks = factors.iter().map(|factor| ms(factor * tasks, steps, count));
            let more_tasks = more_tasks.collect::<Result<Vec<f64>>>()?;
            let more_steps = factors[1..].iter().map(|factor| ms(tasks, factor * steps, count));
            let more_steps =
                std::iter::once(Ok(more_tasks[0])).chain(more_steps).collect::<Result<Vec<f64>>>()?;
            for (what, times) in [("tasks", more_tasks), ("steps", more_steps)] {
                let shown = times.iter().map(|ms| format!("{ms:.3}"));
                let off = format!("{:.0} %", 100.0 * off_a_line(&factors, &times));
                let name = [workload.name.to_string(), what.to_string()].into_iter();
                growth.row(name.chain(shown).chain([off]).collect::<Vec<String>>());
            }
            let (one, two) = (ms(tasks, steps, 1)?, ms(tasks, steps, 2)?);
            let cells = [one, two].map(|ms| format!("{ms:.3}"));
            threads.row([
                workload.name.into(),
                cells[0].clone(),
                cells[1].clone(),
                format!("{:.2}x", one / two),
            ]);
        }
        out::print(&format!("{growth}\n{threads}"))
    }
}

/// How far the times are from the line that fits them best, at most, each relative to itself: least squares of the
/// relative distances.
fn off_a_line(sizes: &[usize], times: &[f64]) -> f64 {
    // Minimises Σ ((a + b x − t) / t)²: two linear equations for a and b.
    let mut sums = [0.0; 5];
    for (x, t) in sizes.iter().map(|x| *x as f64).zip(times) {
        let weight = 1.0 / (t * t);
        let terms = [weight, weight * x, weight * x * x, weight * t, weight * x * t];
        sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
    }
    let [w, wx, wxx, wt, wxt] = sums;
    let determinant = w * wxx - wx * wx;
    let (a, b) = ((wxx * wt - wx * wxt) / determinant, (w * wxt - wx * wt) / determinant);
    let distance = |(x, t): (&usize, &f64)| ((a + b * *x as f64 - t) / t).abs();
    sizes.iter().zip(times).map(distance).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::off_a_line;

    #[test]
    fn a_line_is_a_line_and_a_square_is_not() {
        let sizes = [1, 2, 4, 8, 16];
        assert!(off_a_line(&sizes, &sizes.map(|x| 3.0 + 0.5 * x as f64)) < 1e-12);
        assert!(off_a_line(&sizes, &sizes.map(|x| (x * x) as f64)) > 0.3);
    }
}

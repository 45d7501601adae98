//! One evaluation in a line or two, for the person who watches.

use super::number::short_text;
use super::row::{SummaryRow, TEST};

/// `maml after 25 iterations, 20 per update: return -150.2, -120.1, … after 0, 1, … steps`, one line a set of tasks, support size
/// and metric, and below it the paired difference from each other method after one step.
pub fn evaluation(rows: &[SummaryRow]) -> String {
    let mut lines: Vec<String> = vec![];
    let mut seen = vec![];
    for row in rows.iter().filter(|row| row.versus.is_none()) {
        let key = (&row.split, row.support, row.metric);
        if seen.contains(&key) {
            continue;
        }
        seen.push(key);
        let mine = |other: &&SummaryRow| (&other.split, other.support, other.metric) == key;
        let curve = rows.iter().filter(mine).filter(|r| r.versus.is_none());
        let values: Vec<String> = curve.clone().map(|r| short_text(f64::from(r.mean))).collect();
        let steps = curve.count() - 1;
        let span =
            if steps == 0 { "unadapted".to_string() } else { format!("after 0..{steps} gradient steps") };
        lines.push(format!(
            "{} at {}, {}support {}: {} {} {span}",
            row.method,
            row.iteration,
            if row.split == TEST { String::new() } else { format!("{}, ", row.split) },
            row.support,
            row.metric.name(),
            values.join(" → ")
        ));
        for versus in rows.iter().filter(mine).filter(|r| r.versus.is_some() && r.inner_step == 1) {
            let ends = [versus.ci95_low, versus.ci95_high]
                .map(|end| end.map_or("?".into(), |x| short_text(f64::from(x))));
            lines.push(format!(
                "    after 1 step {} {} by {} [{}, {}]",
                if versus.mean >= 0.0 { "above" } else { "below" },
                versus.versus.as_deref().unwrap_or(""),
                short_text(f64::from(versus.mean.abs())),
                ends[0],
                ends[1]
            ));
        }
    }
    lines.join("\n")
}

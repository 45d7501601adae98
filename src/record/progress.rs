//! Where a run stands, on stderr: one live line on a terminal, a plain line now and then everywhere else.
//!
//! No colour is ever written, so NO_COLOR needs no case of its own.

use super::number::short_text;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Where stderr is not a terminal, one line at most this often.
pub const PLAIN_EVERY_SECS: f64 = 30.0;

/// The spinner moves this often, so that a long meta-iteration does not look like a hang.
const SPIN_EVERY: Duration = Duration::from_millis(200);

/// Speed and time left of one stretch of work, from the moment this process began it.
#[derive(Clone, Debug, PartialEq)]
pub struct Pace {
    label: String,
    total: u64,
    /// Iterations that were done before this process began: a resumed run must not count them into its speed.
    before: u64,
}

impl Pace {
    pub fn new(label: &str, before: u64, total: u64) -> Pace {
        Pace { label: label.to_string(), total, before }
    }

    /// `maml 12/500, 3.1 s/it, 25m13s left, return_post -80.21`
    pub fn line(&self, done: u64, elapsed_secs: f64, metrics: &[(&str, f32)]) -> String {
        let mut line = format!("{} {done}/{}", self.label, self.total);
        let fresh = done.saturating_sub(self.before);
        if fresh > 0 && elapsed_secs > 0.0 {
            let rate = fresh as f64 / elapsed_secs;
            line += &format!(", {}", format_rate(rate));
            if done < self.total {
                line += &format!(", {} left", format_duration((self.total - done) as f64 / rate));
            }
        }
        for (name, value) in metrics {
            line += &format!(", {name} {}", short_text(f64::from(*value)));
        }
        line
    }
}

/// When a plain line is due: at once, then after [`PLAIN_EVERY_SECS`].
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainClock {
    last_secs: Option<f64>,
}

impl PlainClock {
    /// Asks at a time since the start; a yes starts the next wait.
    pub fn due(&mut self, elapsed_secs: f64) -> bool {
        let due = self.last_secs.is_none_or(|last| elapsed_secs - last >= PLAIN_EVERY_SECS);
        if due {
            self.last_secs = Some(elapsed_secs);
        }
        due
    }
}

/// The progress of one stretch of work on stderr.
#[derive(Debug)]
pub struct Progress {
    pace: Pace,
    started: Instant,
    clock: PlainClock,
    /// Present on a terminal that can redraw a line.
    live: Option<ProgressBar>,
    latest: String,
}

impl Progress {
    /// Begins at iteration `before` of `total` and says so.
    ///
    /// `run` names the run where several share the terminal: then every line carries the name, and none is live.
    pub fn start(run: Option<&str>, label: &str, before: u64, total: u64) -> Progress {
        let label = run.map_or(label.to_string(), |run| format!("{run} {label}"));
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let live = (run.is_none() && std::io::stderr().is_terminal() && !dumb).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(SPIN_EVERY);
            bar
        });
        let mut progress = Progress {
            pace: Pace::new(&label, before, total),
            started: Instant::now(),
            clock: PlainClock::default(),
            live,
            latest: String::new(),
        };
        progress.update(before, &[]);
        progress
    }

    /// Shows that `done` iterations are finished, with one or two numbers beside it.
    pub fn update(&mut self, done: u64, metrics: &[(&str, f32)]) {
        let elapsed_secs = self.started.elapsed().as_secs_f64();
        self.latest = self.pace.line(done, elapsed_secs, metrics);
        match &self.live {
            Some(bar) => bar.set_message(self.latest.clone()),
            None if self.clock.due(elapsed_secs) => say(&self.latest),
            None => {}
        }
    }

    /// A line that stays on the screen, above the live line.
    pub fn note(&self, text: &str) {
        match &self.live {
            Some(bar) => bar.suspend(|| say(text)),
            None => say(text),
        }
    }

    /// Ends with the latest line and the time that the stretch took.
    pub fn finish(self) {
        if let Some(bar) = &self.live {
            bar.finish_and_clear();
        }
        say(&format!("{}, took {}", self.latest, format_duration(self.started.elapsed().as_secs_f64())));
    }
}

/// `0.4s`, `12s`, `3m05s`, `2h07m`, `4d03h`; `?` for what is no time at all.
pub fn format_duration(secs: f64) -> String {
    if !secs.is_finite() || secs < 0.0 {
        return "?".to_string();
    }
    if secs < 9.95 {
        return format!("{secs:.1}s");
    }
    let whole = secs.round() as u64;
    let (days, hours, minutes, seconds) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{seconds:02}s"),
        (0, _, _) => format!("{hours}h{minutes:02}m"),
        _ => format!("{days}d{hours:02}h"),
    }
}

/// Iterations per second, or seconds per iteration when there are fewer than one a second.
pub fn format_rate(per_sec: f64) -> String {
    match per_sec {
        fast if fast >= 100.0 => format!("{fast:.0} it/s"),
        fast if fast >= 1.0 => format!("{fast:.1} it/s"),
        slow => format!("{:.1} s/it", 1.0 / slow),
    }
}

/// A closed or full stderr must not end a run.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

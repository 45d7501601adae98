//! The host's side of a worker process: questions, answers, and how it ended.

use super::wire::{self, Cursor, DONE, Payload};
use mamlx_plugin::caller::Failure;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A plugin may read files while it is created.
const CREATE_LIMIT: Duration = Duration::from_secs(60);
/// A process whose pipe is closed gets so long to be gone.
const ENDING: Duration = Duration::from_secs(1);
/// Names of the callbacks, as a [`Failure`] has them.
const CALLBACKS: [&str; 6] = ["create", "describe", "sample_task", "reset", "step", "destroy"];

/// How a worker is started.
pub struct Launch {
    pub library: PathBuf,
    pub params: String,
    pub n_slots: u32,
    /// Longest time of a call.
    pub limit: Duration,
}

/// Why a call brought nothing.
pub enum Trouble {
    /// The plugin reported an error, as it would in this process.
    Said(Failure),
    /// The process is no more; how it ended.
    Gone(String),
}

pub struct Worker {
    child: Child,
    input: Option<ChildStdin>,
    output: ChildStdout,
    limit: Duration,
}

impl Worker {
    /// Starts a worker, which says what its instance's vectors are.
    pub fn start(launch: &Launch) -> Result<(Worker, String), Trouble> {
        let gone = |what: &str, error: std::io::Error| Trouble::Gone(format!("{what}: {error}"));
        let program = std::env::current_exe().map_err(|e| gone("cannot be started", e))?;
        let mut command = Command::new(program);
        command.arg("worker").arg(&launch.library).arg(launch.n_slots.to_string()).arg(&launch.params);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        // Ctrl-C is for the host, which ends its workers when it is ready.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().map_err(|e| gone("cannot be started", e))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Trouble::Gone("has no pipes".into()));
        };
        let mut worker = Worker { child, input: Some(input), output, limit: launch.limit.max(CREATE_LIMIT) };
        let answer = worker.answer()?;
        let text = Cursor(&answer).text().map(str::to_owned);
        worker.limit = launch.limit;
        let text = text.ok_or_else(|| Trouble::Gone("said something unintelligible".into()))?;
        Ok((worker, text))
    }

    /// Asks and waits for the answer, which follows its first byte.
    pub fn ask(&mut self, question: Payload) -> Result<Vec<u8>, Trouble> {
        let sent = self.input.as_mut().map(|input| wire::send(input, &question.0));
        if !matches!(sent, Some(Ok(()))) {
            return Err(self.gone());
        }
        self.answer()
    }

    fn answer(&mut self) -> Result<Vec<u8>, Trouble> {
        let deadline = Instant::now() + self.limit;
        let mut head = [0; 4];
        self.read(&mut head, deadline)?;
        let Ok(length) = wire::length(head) else { return Err(self.gone()) };
        let mut payload = vec![0; length];
        self.read(&mut payload, deadline)?;
        let mut cursor = Cursor(&payload);
        if cursor.byte() == Some(DONE) {
            payload.remove(0);
            return Ok(payload);
        }
        let mut failure = || {
            let name = cursor.text()?;
            let callback = CALLBACKS.into_iter().find(|known| *known == name)?;
            let (status, position) = (cursor.u32()? as i32, cursor.u32()?);
            let position = (position != u32::MAX).then_some(position as usize);
            Some(Failure { callback, status, position, message: cursor.text()?.to_owned() })
        };
        match failure() {
            Some(failure) => Err(Trouble::Said(failure)),
            None => Err(self.gone()),
        }
    }

    fn read(&mut self, mut into: &mut [u8], deadline: Instant) -> Result<(), Trouble> {
        while !into.is_empty() {
            if !readable(&self.output, deadline) {
                let limit = self.limit.as_secs_f64();
                let _ = self.child.kill();
                return Err(Trouble::Gone(format!("gave no answer within {limit} s")));
            }
            match self.output.read(into) {
                Ok(0) => return Err(self.gone()),
                Ok(count) => into = &mut into[count..],
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return Err(self.gone()),
            }
        }
        Ok(())
    }

    /// What became of a process that has stopped to answer.
    fn gone(&mut self) -> Trouble {
        let began = Instant::now();
        while began.elapsed() < ENDING {
            match self.child.try_wait() {
                Ok(Some(status)) => return Trouble::Gone(ended(status)),
                Ok(None) => std::thread::sleep(Duration::from_millis(1)),
                Err(_) => break,
            }
        }
        let _ = self.child.kill();
        Trouble::Gone("closed its pipe".into())
    }
}

impl Drop for Worker {
    /// A worker holds nothing that would have to be saved.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until there is something to read, at most to the deadline.
#[cfg(unix)]
fn readable(pipe: &ChildStdout, deadline: Instant) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ok(timeout) = Timespec::try_from(left) else { return false };
        match poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => return false,
            Err(rustix::io::Errno::INTR) => {}
            // An error shows again when the pipe is read.
            Ok(_) | Err(_) => return true,
        }
    }
}

#[cfg(not(unix))]
fn readable(_: &ChildStdout, _: Instant) -> bool {
    true
}

/// `crashed with signal 11 (segmentation fault)`, or `ended with exit code 0`.
pub fn ended(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        let name = match signal {
            4 => " (illegal instruction)",
            6 => " (abort)",
            7 => " (bus error)",
            8 => " (arithmetic error)",
            9 => " (killed)",
            11 => " (segmentation fault)",
            _ => "",
        };
        return format!("crashed with signal {signal}{name}");
    }
    status.code().map_or("ended".into(), |code| format!("ended with exit code {code}"))
}

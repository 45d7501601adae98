//! Requests to stop: Ctrl-C, SIGTERM (schedulers), SIGUSR1 (a scheduler's early warning).

use crate::error::{Error, Result};
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, OnceLock};

/// Exit code after Ctrl-C, as shells have it (128 + SIGINT).
pub const INTERRUPTED: u8 = 130;
/// Exit code for "stopped, everything saved, start me again" (EX_TEMPFAIL of sysexits.h).
pub const RESUMABLE: u8 = 75;

/// Watches for signals from the moment it is made until the process ends.
#[derive(Clone)]
pub struct StopRequest(Arc<AtomicI32>);

impl StopRequest {
    /// Starts to listen. The first signal is answered at once with a line on stderr and honoured at the end of the
    /// meta-iteration; a second one ends the process there and then (everything committed stays good).
    ///
    /// All runs of a process share one listener, so that several of them answer a signal once.
    pub fn listen() -> Result<StopRequest> {
        static LISTENER: OnceLock<std::result::Result<StopRequest, String>> = OnceLock::new();
        LISTENER.get_or_init(|| StopRequest::start().map_err(|e| e.to_string())).clone().map_err(Error::Run)
    }

    fn start() -> Result<StopRequest> {
        let seen = Arc::new(AtomicI32::new(0));
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGUSR1])
            .map_err(|e| Error::Run(format!("cannot listen for signals: {e}")))?;
        let flag = seen.clone();
        std::thread::spawn(move || {
            for signal in signals.forever() {
                if flag.swap(signal, Ordering::SeqCst) != 0 {
                    eprintln!("mamlx: stopped at once; the last checkpoint is whole.");
                    std::process::exit(i32::from(code(signal)));
                }
                eprintln!("mamlx: stopping after this meta-iteration; once more stops at once.");
            }
        });
        Ok(StopRequest(seen))
    }

    /// Exit code of the stop that was asked for, if one was.
    pub fn asked(&self) -> Option<u8> {
        match self.0.load(Ordering::SeqCst) {
            0 => None,
            signal => Some(code(signal)),
        }
    }
}

fn code(signal: i32) -> u8 {
    if signal == SIGINT { INTERRUPTED } else { RESUMABLE }
}

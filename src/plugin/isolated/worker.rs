//! The worker's side: one instance of an environment, called as the host asks, until the host ends.

use super::super::load::{Tables, load};
use super::wire::{self, Ask, Cursor, DONE, FAILED, Payload};
use crate::error::{Error, Result};
use mamlx_plugin::caller::{Env, Failure};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// Serves one instance over standard input and output until the host closes them.
///
/// Errors: [`Error::Io`] when the pipes break, which nobody is left to read.
pub fn serve(library: &Path, params: &str, n_slots: u32) -> Result<()> {
    let broken = |source| Error::Io { path: "the host's pipe".into(), action: "use", source };
    let mut out = answers().map_err(broken)?;
    let mut input = BufReader::new(std::io::stdin().lock());
    let mut env = match open(library, params, n_slots) {
        Ok(env) => {
            wire::send(&mut out, &Payload::default().byte(DONE).text(&env.spaces().json()).0)
                .map_err(broken)?;
            Some(env)
        }
        Err(failure) => return wire::send(&mut out, &told(&failure)).map_err(broken),
    };
    while let Some(asked) = wire::receive(&mut input).map_err(broken)? {
        let mut cursor = Cursor(&asked);
        let ask = cursor.byte().and_then(Ask::of);
        let answer = match (ask, &mut env) {
            (Some(Ask::Destroy), env) => {
                let ended = env.take().map_or(Ok(()), Env::destroy);
                ended.map(|()| Payload::default().byte(DONE))
            }
            (Some(ask), Some(env)) => match call(env, ask, cursor) {
                Some(answer) => answer,
                None => break,
            },
            _ => break,
        };
        let payload = answer.map_or_else(|failure| told(&failure), |payload| payload.0);
        wire::send(&mut out, &payload).map_err(broken)?;
    }
    Ok(())
}

/// Where answers go. A plugin that prints must not be taken for one: its standard output is the standard error.
fn answers() -> std::io::Result<File> {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        let out = std::io::stdout().as_fd().try_clone_to_owned()?;
        rustix::stdio::dup2_stdout(std::io::stderr())?;
        Ok(File::from(out))
    }
    #[cfg(not(unix))]
    Err(std::io::Error::new(std::io::ErrorKind::Unsupported, "workers need Unix"))
}

fn open(library: &Path, params: &str, n_slots: u32) -> std::result::Result<Env, Failure> {
    let about = |why: String| Failure::about("create", why);
    let plugin = load(library).map_err(|error| about(error.to_string()))?;
    let Tables::Env(table) = plugin.tables else { return Err(about("it is no environment".into())) };
    // SAFETY: `load` has checked the table; that its functions keep the rules is the plugin's promise.
    unsafe { Env::new(table, params, n_slots) }
}

/// Answers one question; `None` for one that makes no sense.
fn call(env: &mut Env, ask: Ask, mut asked: Cursor) -> Option<std::result::Result<Payload, Failure>> {
    let spaces = env.spaces();
    let (n_obs, n_act, n_task) = (spaces.observation.len(), spaces.action.len(), spaces.task.len());
    if ask == Ask::SampleTask {
        let mut task = vec![0.0; n_task];
        let drawn = env.sample_task(asked.u64()?, &mut task);
        return Some(drawn.map(|()| Payload::default().byte(DONE).f32s(&task)));
    }
    let n = asked.u32()? as usize;
    let slots = asked.u32s(n)?;
    let mut obs = vec![0.0; n.checked_mul(n_obs)?];
    if ask == Ask::Reset {
        let (seeds, tasks) = (asked.u64s(n)?, asked.f32s(n * n_task)?);
        let begun = env.reset(&slots, &seeds, &tasks, &mut obs);
        return Some(begun.map(|()| Payload::default().byte(DONE).f32s(&obs)));
    }
    let (actions, mut rewards, mut terminated) = (asked.f32s(n * n_act)?, vec![0.0; n], vec![0; n]);
    let moved = env.step(&slots, &actions, &mut obs, &mut rewards, &mut terminated);
    Some(moved.map(|()| Payload::default().byte(DONE).f32s(&obs).f32s(&rewards).bytes(&terminated)))
}

fn told(failure: &Failure) -> Vec<u8> {
    let position = failure.position.map_or(u32::MAX, |position| position as u32);
    let head =
        Payload::default().byte(FAILED).text(failure.callback).u32(failure.status as u32).u32(position);
    head.text(&failure.message).0
}

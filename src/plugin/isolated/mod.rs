//! An environment in a process of its own, which may crash, hang or exit without hurting the run.
//!
//! | file | what |
//! |---|---|
//! | here | an instance that outlives its processes: what happened in each slot, and how it is repeated |
//! | `host` | one worker process, from outside |
//! | `worker` | the same from inside |
//! | `wire` | what they say to each other |
//!
//! An episode is a function of its seed, its task and its actions, and slots do not disturb each other; so a slot of a new
//! process is brought to where the old one was by its reset and its actions so far, and the run's numbers are those of a
//! process that never broke. A whole batch is one question and one answer.

mod host;
mod wire;
pub mod worker;

pub use host::ended;

use host::{Launch, Trouble, Worker};
use mamlx_plugin::EnvSpaces;
use mamlx_plugin::abi;
use mamlx_plugin::caller::Failure;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;
use wire::{Ask, Cursor, Payload};

/// A call is tried so many times more after its process broke.
const REPEATS: usize = 2;

/// What has happened in a slot since its reset.
#[derive(Clone, Default)]
struct Episode {
    seed: u64,
    task: Vec<f32>,
    /// Every action so far, [steps, action fields].
    actions: Vec<f32>,
    /// The process that knew the slot's state is gone.
    lost: bool,
}

/// One instance, whatever becomes of its processes.
pub struct Isolated {
    id: String,
    launch: Launch,
    spaces: EnvSpaces,
    worker: Option<Worker>,
    episodes: Vec<Episode>,
}

impl Isolated {
    /// Starts a worker with an instance of so many slots. `limit`: the longest time of a call.
    pub fn new(
        id: &str,
        library: PathBuf,
        params: String,
        n_slots: u32,
        limit: Duration,
    ) -> Result<Isolated, Failure> {
        let launch = Launch { library, params, n_slots, limit };
        let (worker, text) = Worker::start(&launch).map_err(|trouble| match trouble {
            Trouble::Said(failure) => failure,
            Trouble::Gone(how) => broken("create", format!("its process {how}")),
        })?;
        let spaces = EnvSpaces::parse(&text).map_err(|why| Failure::about("describe", why))?;
        let episodes = vec![Episode::default(); n_slots as usize];
        Ok(Isolated { id: id.to_owned(), launch, spaces, worker: Some(worker), episodes })
    }

    pub fn spaces(&self) -> &EnvSpaces {
        &self.spaces
    }

    pub fn n_slots(&self) -> u32 {
        self.launch.n_slots
    }

    /// As [`mamlx_plugin::caller::Env::sample_task`].
    pub fn sample_task(&mut self, seed: u64, task: &mut [f32]) -> Result<(), Failure> {
        self.persist("sample_task", 1, |this, _| {
            let answer = this.ask(Payload::default().byte(Ask::SampleTask as u8).u64(seed))?;
            understood(Cursor(&answer).f32s_into(task))
        })
    }

    /// As [`mamlx_plugin::caller::Env::reset`].
    pub fn reset(
        &mut self,
        slots: &[u32],
        seeds: &[u64],
        tasks: &[f32],
        obs: &mut [f32],
    ) -> Result<(), Failure> {
        let (n_obs, n_task) = (self.spaces.observation.len(), self.spaces.task.len());
        self.persist("reset", slots.len(), |this, rows| {
            let (slots, seeds) = (&slots[rows.clone()], &seeds[rows.clone()]);
            let tasks = &tasks[rows.start * n_task..rows.end * n_task];
            this.ask_reset(slots, seeds, tasks, &mut obs[rows.start * n_obs..rows.end * n_obs])?;
            for (row, &slot) in slots.iter().enumerate() {
                let task = tasks[row * n_task..][..n_task].to_vec();
                this.episodes[slot as usize] =
                    Episode { seed: seeds[row], task, actions: vec![], lost: false };
            }
            Ok(())
        })
    }

    /// As [`mamlx_plugin::caller::Env::step`].
    pub fn step(
        &mut self,
        slots: &[u32],
        actions: &[f32],
        obs: &mut [f32],
        rewards: &mut [f32],
        terminated: &mut [u8],
    ) -> Result<(), Failure> {
        let (n_obs, n_act) = (self.spaces.observation.len(), self.spaces.action.len());
        self.persist("step", slots.len(), |this, rows| {
            let slots = &slots[rows.clone()];
            slots.iter().try_for_each(|slot| this.bring_back(*slot))?;
            let actions = &actions[rows.start * n_act..rows.end * n_act];
            let obs = &mut obs[rows.start * n_obs..rows.end * n_obs];
            this.ask_step(slots, actions, obs, &mut rewards[rows.clone()], &mut terminated[rows])?;
            for (row, &slot) in slots.iter().enumerate() {
                this.episodes[slot as usize].actions.extend(&actions[row * n_act..][..n_act]);
            }
            Ok(())
        })
    }

    /// Ends the instance and says how that went.
    pub fn destroy(mut self) -> Result<(), Failure> {
        let Some(worker) = &mut self.worker else { return Ok(()) };
        match worker.ask(Payload::default().byte(Ask::Destroy as u8)) {
            Ok(_) => Ok(()),
            Err(Trouble::Said(failure)) => Err(failure),
            Err(Trouble::Gone(how)) => Err(broken("destroy", format!("its process {how}"))),
        }
    }

    /// Does something with all rows at once, and where the process breaks over it, row by row in new ones: then the row
    /// that breaks them is known. Rows that are done are not done again.
    fn persist(
        &mut self,
        callback: &'static str,
        rows: usize,
        mut what: impl FnMut(&mut Isolated, Range<usize>) -> Result<(), Trouble>,
    ) -> Result<(), Failure> {
        let mut how = match what(self, 0..rows) {
            Ok(()) => return Ok(()),
            Err(Trouble::Said(failure)) => return Err(failure),
            Err(Trouble::Gone(how)) => how,
        };
        let (mut row, mut repeats) = (0, 0);
        while row < rows {
            if repeats == REPEATS {
                let times = REPEATS + 1;
                let message = format!("its process {how}; tried {times} times, so it is no accident");
                return Err(Failure { position: Some(row), ..broken(callback, message) });
            }
            repeats += 1;
            self.lose(callback, &how);
            while row < rows {
                match what(self, row..row + 1) {
                    Ok(()) => row += 1,
                    Err(Trouble::Said(failure)) => return Err(Failure { position: Some(row), ..failure }),
                    Err(Trouble::Gone(again)) => {
                        how = again;
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// The process is gone, and with it the state of every slot.
    fn lose(&mut self, callback: &str, how: &str) {
        eprintln!(
            "mamlx: plugin `{}`: its process {how} in `{callback}`; a new one repeats what it was at.",
            self.id
        );
        self.worker = None;
        self.episodes.iter_mut().for_each(|episode| episode.lost = true);
    }

    /// Repeats a slot's episode up to where it was, if its process is gone.
    fn bring_back(&mut self, slot: u32) -> Result<(), Trouble> {
        if !self.episodes[slot as usize].lost {
            return Ok(());
        }
        let Episode { seed, task, actions, .. } = self.episodes[slot as usize].clone();
        let mut obs = vec![0.0; self.spaces.observation.len()];
        self.ask_reset(&[slot], &[seed], &task, &mut obs)?;
        for action in actions.chunks_exact(self.spaces.action.len()) {
            self.ask_step(&[slot], action, &mut obs, &mut [0.0], &mut [0])?;
        }
        self.episodes[slot as usize].lost = false;
        Ok(())
    }

    fn ask_reset(
        &mut self,
        slots: &[u32],
        seeds: &[u64],
        tasks: &[f32],
        obs: &mut [f32],
    ) -> Result<(), Trouble> {
        let head = Payload::default().byte(Ask::Reset as u8).u32(slots.len() as u32).u32s(slots);
        let answer = self.ask(head.u64s(seeds).f32s(tasks))?;
        understood(Cursor(&answer).f32s_into(obs))
    }

    fn ask_step(
        &mut self,
        slots: &[u32],
        actions: &[f32],
        obs: &mut [f32],
        rewards: &mut [f32],
        terminated: &mut [u8],
    ) -> Result<(), Trouble> {
        let head = Payload::default().byte(Ask::Step as u8).u32(slots.len() as u32).u32s(slots);
        let answer = self.ask(head.f32s(actions))?;
        let mut cursor = Cursor(&answer);
        understood(cursor.f32s_into(obs))?;
        understood(cursor.f32s_into(rewards))?;
        understood(cursor.bytes(terminated.len()).map(|bytes| terminated.copy_from_slice(bytes)))
    }

    /// Asks the worker, or a new one where the old one is gone.
    fn ask(&mut self, question: Payload) -> Result<Vec<u8>, Trouble> {
        let worker = match &mut self.worker {
            Some(worker) => worker,
            gone => gone.insert(Worker::start(&self.launch)?.0),
        };
        worker.ask(question)
    }
}

/// An answer that is too short is as good as none.
fn understood(read: Option<()>) -> Result<(), Trouble> {
    read.ok_or_else(|| Trouble::Gone("said something unintelligible".into()))
}

/// A process that broke is told like a panic: the run has failed, not its input.
fn broken(callback: &'static str, message: String) -> Failure {
    Failure { callback, status: abi::PANIC, position: None, message }
}

//! Safe calls into `mamlx.tasks/1`.

use super::{Door, Failure};
use crate::{TaskSpaces, abi};

/// One instance of a task-distribution plugin.
pub struct Tasks {
    table: &'static abi::Tasks,
    door: Door,
    spaces: TaskSpaces,
}

// SAFETY: the header lets any thread call an instance, one call at a time, and every method takes `&mut self`.
unsafe impl Send for Tasks {}

impl Tasks {
    /// Creates an instance and reads its description.
    ///
    /// # Safety
    /// The table's functions keep the rules of `mamlx_plugin.h`, and its library stays loaded.
    pub unsafe fn new(table: &'static abi::Tasks, params: &str) -> Result<Self, Failure> {
        let door = Door::create(params, table.destroy, |params, out, error| {
            // SAFETY: the caller vouches for the table; the pointers are valid during the call.
            unsafe { (table.create)(params, out, error) }
        })?;
        let mut tasks = Tasks { table, door, spaces: TaskSpaces { x: vec![], y: vec![], task: vec![] } };
        let text = tasks.door.describe(table.describe)?;
        tasks.spaces = TaskSpaces::parse(&text).map_err(|why| Failure::about("describe", why))?;
        Ok(tasks)
    }

    /// Names, units and bounds of the vectors.
    pub fn spaces(&self) -> &TaskSpaces {
        &self.spaces
    }

    /// Draws a task; `task` is [task fields].
    pub fn sample_task(&mut self, seed: u64, task: &mut [f32]) -> Result<(), Failure> {
        assert_eq!(task.len(), self.spaces.task.len(), "task");
        let sample_task = self.table.sample_task;
        // SAFETY: by the contract of `new`, and the length is checked.
        self.door.call("sample_task", |instance, error| unsafe {
            sample_task(instance, seed, task.as_mut_ptr(), error)
        })
    }

    /// Draws n points of a task. task: [task fields]; x: [n, x fields]; y: [n, y fields].
    pub fn sample(&mut self, task: &[f32], seed: u64, x: &mut [f32], y: &mut [f32]) -> Result<(), Failure> {
        let n = x.len() / self.spaces.x.len();
        assert_eq!(task.len(), self.spaces.task.len(), "task");
        assert_eq!(x.len(), n * self.spaces.x.len(), "x");
        assert_eq!(y.len(), n * self.spaces.y.len(), "y");
        let n = u32::try_from(n).expect("fewer than 2^32 points in one call");
        let sample = self.table.sample;
        // SAFETY: by the contract of `new`, and every length is checked.
        self.door.call("sample", |instance, error| unsafe {
            sample(instance, task.as_ptr(), seed, n, x.as_mut_ptr(), y.as_mut_ptr(), error)
        })
    }

    /// Ends the instance and says how that went; dropping it ends it silently.
    pub fn destroy(mut self) -> Result<(), Failure> {
        self.door.end()
    }
}

//! Safe calls into `mamlx.env/1`.

use super::{Door, Failure};
use crate::{EnvSpaces, Role, Shape, View, abi};

/// Most shapes that are taken of one state: a plugin that wants more is wrong.
const MAX_SHAPES: usize = 1 << 16;

/// One instance of an environment plugin.
pub struct Env {
    table: &'static abi::Env,
    door: Door,
    spaces: EnvSpaces,
    n_slots: u32,
    render: Option<&'static abi::Render>,
}

// SAFETY: the header lets any thread call an instance, one call at a time, and every method takes `&mut self`.
unsafe impl Send for Env {}

impl Env {
    /// Creates an instance and reads its description.
    ///
    /// # Safety
    /// The table's functions keep the rules of `mamlx_plugin.h`, and its library stays loaded.
    pub unsafe fn new(table: &'static abi::Env, params: &str, n_slots: u32) -> Result<Self, Failure> {
        let door = Door::create(params, table.destroy, |params, out, error| {
            // SAFETY: the caller vouches for the table; the pointers are valid during the call.
            unsafe { (table.create)(params, n_slots, out, error) }
        })?;
        let spaces = EnvSpaces { observation: vec![], action: vec![], task: vec![] };
        let mut env = Env { table, door, spaces, n_slots, render: None };
        let text = env.door.describe(table.describe)?;
        env.spaces = EnvSpaces::parse(&text).map_err(|why| Failure::about("describe", why))?;
        Ok(env)
    }

    /// The same instance, which can also be drawn.
    ///
    /// # Safety
    /// The table is of the library that made the instance, and its functions keep the rules of `mamlx_plugin.h`.
    pub unsafe fn with_render(self, render: &'static abi::Render) -> Self {
        Env { render: Some(render), ..self }
    }

    /// From where the environment is drawn; `None` when it cannot be drawn.
    pub fn view(&mut self) -> Result<Option<View>, Failure> {
        let Some(render) = self.render else { return Ok(None) };
        let text = self.door.describe(render.describe)?;
        View::parse(&text).map(Some).map_err(|why| Failure::about("describe", why))
    }

    /// The shapes of a slot's present state; none when it cannot be drawn. The slot has been reset before.
    pub fn shapes(&mut self, slot: u32) -> Result<Vec<Shape>, Failure> {
        let Some(render) = self.render else { return Ok(vec![]) };
        self.count(&[slot]);
        let nothing = abi::Shape { x1: 0.0, y1: 0.0, x2: 0.0, y2: 0.0, radius: 0.0, role: u32::MAX };
        let mut room = vec![nothing; 64];
        let mut ask = |room: &mut [abi::Shape], count: &mut usize| {
            self.door.call("shapes", |instance, error| {
                // SAFETY: by the contract of `with_render`; the buffer has the length that is passed.
                unsafe { (render.shapes)(instance, slot, room.as_mut_ptr(), room.len(), count, error) }
            })
        };
        let mut count = 0;
        let mut result = ask(&mut room, &mut count);
        if result.as_ref().is_err_and(|failure| failure.status == abi::TOO_SMALL) && count <= MAX_SHAPES {
            room.resize(count, nothing);
            result = ask(&mut room, &mut count);
        }
        result?;
        let wrong = |why: String| Failure::about("shapes", why);
        let drawn = room.get(..count).ok_or_else(|| wrong(format!("it claims {count} shapes")))?;
        let read = |(i, shape): (usize, &abi::Shape)| {
            let abi::Shape { x1, y1, x2, y2, radius, role } = *shape;
            let finite = [x1, y1, x2, y2, radius].iter().all(|x| x.is_finite()) && radius >= 0.0;
            match Role::of(role) {
                Some(role) if finite => Ok(Shape { from: [x1, y1], to: [x2, y2], radius, role }),
                Some(_) => Err(wrong(format!("shape {i} is not finite: {shape:?}"))),
                None => Err(wrong(format!("shape {i} has the unknown role {role}"))),
            }
        };
        drawn.iter().enumerate().map(read).collect()
    }

    /// Names, units and bounds of the vectors.
    pub fn spaces(&self) -> &EnvSpaces {
        &self.spaces
    }

    pub fn n_slots(&self) -> u32 {
        self.n_slots
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

    /// Begins an episode in each of the slots. seeds: `[slots]`; tasks: [slots, task fields]; obs: [slots, observation
    /// fields].
    pub fn reset(
        &mut self,
        slots: &[u32],
        seeds: &[u64],
        tasks: &[f32],
        obs: &mut [f32],
    ) -> Result<(), Failure> {
        let count = self.count(slots);
        assert_eq!(seeds.len(), slots.len(), "seeds");
        assert_eq!(tasks.len(), slots.len() * self.spaces.task.len(), "tasks");
        assert_eq!(obs.len(), slots.len() * self.spaces.observation.len(), "obs");
        let reset = self.table.reset;
        // SAFETY: by the contract of `new`, and every length is checked.
        self.door.call("reset", |instance, error| unsafe {
            reset(instance, slots.as_ptr(), count, seeds.as_ptr(), tasks.as_ptr(), obs.as_mut_ptr(), error)
        })
    }

    /// Moves each of the slots one step. actions: [slots, action fields]; obs: [slots, observation fields]; rewards and
    /// terminated: `[slots]`.
    pub fn step(
        &mut self,
        slots: &[u32],
        actions: &[f32],
        obs: &mut [f32],
        rewards: &mut [f32],
        terminated: &mut [u8],
    ) -> Result<(), Failure> {
        let count = self.count(slots);
        assert_eq!(actions.len(), slots.len() * self.spaces.action.len(), "actions");
        assert_eq!(obs.len(), slots.len() * self.spaces.observation.len(), "obs");
        assert_eq!(rewards.len(), slots.len(), "rewards");
        assert_eq!(terminated.len(), slots.len(), "terminated");
        let step = self.table.step;
        // SAFETY: by the contract of `new`, and every length is checked.
        self.door.call("step", |instance, error| unsafe {
            let (obs, rewards) = (obs.as_mut_ptr(), rewards.as_mut_ptr());
            step(
                instance,
                slots.as_ptr(),
                count,
                actions.as_ptr(),
                obs,
                rewards,
                terminated.as_mut_ptr(),
                error,
            )
        })
    }

    /// Ends the instance and says how that went; dropping it ends it silently.
    pub fn destroy(mut self) -> Result<(), Failure> {
        self.door.end()
    }

    fn count(&self, slots: &[u32]) -> u32 {
        assert!(slots.iter().all(|&slot| slot < self.n_slots), "slots");
        slots.len() as u32
    }
}

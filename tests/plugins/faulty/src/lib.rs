//! An environment that misbehaves in one way at a time, as its parameter `fault` says.

use mamlx_plugin::{Descriptor, EnvSpaces, Environment, Field, Parameter, Params, Step, rng, uniform};
use std::sync::atomic::{AtomicU32, Ordering};

struct Faulty {
    fault: String,
    marker: String,
    /// `step` behaves in the first so many calls after a reset.
    after: u32,
    scale: f32,
    noisy: bool,
    /// Calls of `step` since the reset.
    age: u32,
    noise: f32,
}

/// What a plugin must not have: state that all its instances share.
static SHARED: AtomicU32 = AtomicU32::new(0);

impl Faulty {
    fn is(&self, fault: &str) -> bool {
        self.fault == fault
    }

    fn maybe_panic(&self, callback: &str) {
        if self.fault.strip_prefix("panic_") == Some(callback) {
            panic!("faulty was told to panic in {callback}");
        }
    }

    fn maybe_fail(&self, callback: &str) -> Result<(), String> {
        if self.fault.strip_prefix("error_") == Some(callback) {
            return Err(format!("faulty was told to fail in {callback}"));
        }
        Ok(())
    }

    /// What no caller in the same process survives.
    fn maybe_end(&self) {
        let deadly = ["segfault", "abort", "exit", "hang"].contains(&self.fault.as_str());
        if !deadly || (!self.marker.is_empty() && std::fs::File::create_new(&self.marker).is_err()) {
            return;
        }
        match self.fault.as_str() {
            // SAFETY: none. This is the offence.
            "segfault" => unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) },
            "abort" => std::process::abort(),
            "exit" => std::process::exit(0),
            _ => loop {
                std::thread::park();
            },
        }
    }
}

impl Environment for Faulty {
    const DESCRIPTOR: Descriptor = Descriptor {
        id: "faulty",
        version: env!("CARGO_PKG_VERSION"),
        dynamics_version: 3,
        doc: "Misbehaves on request; for tests.",
        parameters: &[
            Parameter::text("fault", "none")
                .choices(&[
                    "none",
                    "panic_create",
                    "panic_describe",
                    "panic_sample_task",
                    "panic_reset",
                    "panic_step",
                    "panic_destroy",
                    "error_create",
                    "error_reset",
                    "error_step",
                    "nan_task",
                    "nan_reset",
                    "nan_step",
                    "infinite_reward",
                    "no_observation",
                    "no_action",
                    "too_many_fields",
                    "same_names",
                    "odd_name",
                    "no_bounds",
                    "reversed_bounds",
                    "writes_outside",
                    "shared_state",
                    "keeps_state",
                    "ignores_task",
                    "leaks",
                    "ends",
                    "segfault",
                    "abort",
                    "exit",
                    "hang",
                ])
                .doc("What goes wrong."),
            Parameter::int("after", 2)
                .range(0.0, 1000.0)
                .unit("steps")
                .doc("When `step` starts to misbehave."),
            Parameter::text("marker", "")
                .doc("A file: what ends or stops the process happens only as long as it is not there, and makes it."),
            Parameter::float("scale", 0.25).at_least(1e-3).doc("Factor on the reward."),
            Parameter::bool("noisy", true).doc("Whether an episode depends on its seed."),
        ],
    };

    fn create(params: &Params) -> Result<Self, String> {
        let faulty = Faulty {
            fault: params.text("fault").to_owned(),
            marker: params.text("marker").to_owned(),
            after: params.int("after") as u32,
            scale: params.float("scale") as f32,
            noisy: params.bool("noisy"),
            age: 0,
            noise: 0.0,
        };
        faulty.maybe_panic("create");
        faulty.maybe_fail("create")?;
        if faulty.is("leaks") {
            std::mem::forget(std::hint::black_box(vec![1u8; 1 << 16]));
        }
        Ok(faulty)
    }

    fn describe(&self) -> EnvSpaces {
        self.maybe_panic("describe");
        let mut spaces = EnvSpaces {
            observation: vec![Field::new("age", "steps"), Field::new("noise", "")],
            action: vec![Field::new("push", "N").bounds(-1.0, 1.0)],
            task: vec![Field::new("goal", "m").bounds(-1.0, 1.0)],
        };
        match self.fault.as_str() {
            "no_observation" => spaces.observation.clear(),
            "no_action" => spaces.action.clear(),
            "too_many_fields" => {
                spaces.observation = (0..70_000).map(|i| Field::new(format!("f{i}"), "")).collect()
            }
            "same_names" => spaces.observation[1].name = "age".to_owned(),
            "odd_name" => spaces.task[0].name = "goal,x\n".to_owned(),
            "no_bounds" => spaces.action[0] = Field::new("push", "N"),
            "reversed_bounds" => spaces.action[0] = Field::new("push", "N").bounds(1.0, -1.0),
            _ => {}
        }
        spaces
    }

    fn sample_task(&self, seed: u64, task: &mut [f32]) {
        self.maybe_panic("sample_task");
        task[0] = if self.is("nan_task") { f32::NAN } else { uniform(&mut rng(seed), -1.0, 1.0) };
    }

    fn reset(&mut self, seed: u64, task: &[f32], obs: &mut [f32]) -> Result<(), String> {
        self.maybe_panic("reset");
        self.maybe_fail("reset")?;
        if !self.is("keeps_state") {
            self.age = 0;
        }
        let seed = if self.noisy { seed } else { 0 };
        self.noise = uniform(&mut rng(seed), 0.0, 1.0) + if self.is("ignores_task") { 0.0 } else { task[0] };
        obs.copy_from_slice(&[self.age as f32, if self.is("nan_reset") { f32::NAN } else { self.noise }]);
        Ok(())
    }

    fn step(&mut self, action: &[f32], obs: &mut [f32]) -> Result<Step, String> {
        self.age += 1;
        let mut reward = self.scale * (action[0] - self.noise);
        let now = self.age > self.after;
        if now {
            self.maybe_end();
            self.maybe_panic("step");
            self.maybe_fail("step")?;
        }
        if self.is("shared_state") {
            self.age = SHARED.fetch_add(1, Ordering::Relaxed);
        }
        obs.copy_from_slice(&[self.age as f32, self.noise]);
        match self.fault.as_str() {
            "nan_step" if now => obs[1] = f32::NAN,
            "infinite_reward" if now => reward = f32::INFINITY,
            "writes_outside" => {
                // SAFETY: none. This is the offence that `plugin check` must see; its buffers have a margin there.
                unsafe { obs.as_mut_ptr().sub(1).write(1.0) };
            }
            _ => {}
        }
        // Not a fault: an episode that ends by itself.
        Ok(Step { reward, terminated: now && self.is("ends") })
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.maybe_panic("destroy");
    }
}

mamlx_plugin::export_env!(Faulty);

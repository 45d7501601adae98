//! The checks of an environment.

use super::{
    Finding, Guard, Seen, bits, create_and_destroy, finding, in_order, no_growth, not_finite, out_of_bounds,
    pass, warn,
};
use crate::caller::{Env, Failure};
use crate::{Rng, rng, uniform};
use std::time::Instant;

/// Makes an instance with so many slots.
type Make<'a> = &'a (dyn Fn(u32) -> Result<Env, Failure> + Sync);

/// Steps of the comparison that everything rests on …
const MANY_STEPS: usize = 1000;
/// … and of the others.
const STEPS: usize = 300;
/// Steps that an episode gets to end by itself.
const LONGEST: usize = 2000;
/// An episode of a check is cut after so many steps, as a host's horizon would.
const HORIZON: usize = 100;

/// A check and its name.
type Check = (&'static str, for<'a> fn(Make<'a>) -> Seen);

/// In this order. The first two must pass, or the others would say nothing new, or crash.
const CHECKS: [Check; 14] = [
    ("create", create),
    ("buffers", buffers),
    ("description", description),
    ("tasks", tasks),
    ("reset", reset),
    ("steps", steps),
    ("batch", batch),
    ("bounds", bounds),
    ("tasks differ", tasks_differ),
    ("bad actions", bad_actions),
    ("step before reset", step_before_reset),
    ("after the end", after_the_end),
    ("threads", threads),
    ("speed", speed),
];
/// Only in a process of its own: whatever else a process does would be counted.
const ALONE: Check = ("memory", |make| no_growth(|| make(2)?.destroy()));

/// Runs every check of an environment, in this process.
pub fn environment(make: Make) -> Vec<Finding> {
    in_order(CHECKS.iter().map(|(name, body)| finding(name, || body(make))))
}

/// Names of the checks that [`environment_check`] knows.
pub fn environment_checks() -> Vec<&'static str> {
    CHECKS.iter().chain([&ALONE]).map(|(name, _)| *name).collect()
}

/// Runs one check of an environment, best in a process of its own; `None`: there is no such check.
pub fn environment_check(make: Make, name: &str) -> Option<Finding> {
    let (name, body) = CHECKS.iter().chain([&ALONE]).find(|(known, _)| *known == name)?;
    Some(finding(name, || body(make)))
}

/// Every number of some episodes, as bits: the same for equal plugins, another for another dynamics version.
pub fn environment_trace(make: Make) -> Result<Vec<u32>, String> {
    Walker::new(make(1)?, 0, 1)?.walk(STEPS)
}

fn create(make: Make) -> Seen {
    create_and_destroy(|| {
        let env = make(2)?;
        Ok((format!("{:?}", env.spaces()), Box::new(move || env.destroy())))
    })
}

/// One instance, stepped slot by slot with random actions; remembers everything that came out.
struct Walker {
    env: Env,
    slot: u32,
    seed: u64,
    actions: Rng,
    task: Vec<f32>,
    obs: Vec<f32>,
    age: usize,
    trace: Vec<u32>,
}

impl Walker {
    fn new(env: Env, slot: u32, seed: u64) -> Result<Self, String> {
        let (n_task, n_obs) = (env.spaces().task.len(), env.spaces().observation.len());
        let mut walker = Walker {
            env,
            slot,
            seed,
            actions: rng(seed ^ 0xAC71),
            task: vec![0.0; n_task],
            obs: vec![0.0; n_obs],
            age: 0,
            trace: vec![],
        };
        walker.env.sample_task(seed, &mut walker.task)?;
        walker.reset()?;
        Ok(walker)
    }

    fn reset(&mut self) -> Result<(), String> {
        self.env.reset(&[self.slot], &[self.seed], &self.task, &mut self.obs)?;
        if let Some(what) = not_finite(&self.obs, &self.env.spaces().observation) {
            return Err(format!("`reset` with seed {}: observation {what}", self.seed));
        }
        self.age = 0;
        self.trace.extend(bits(&self.obs));
        Ok(())
    }

    fn step(&mut self) -> Result<(), String> {
        let action = random_action(&self.env, &mut self.actions);
        let (mut reward, mut terminated) = ([0.0], [0]);
        self.env.step(&[self.slot], &action, &mut self.obs, &mut reward, &mut terminated)?;
        if let Some(what) = not_finite(&self.obs, &self.env.spaces().observation) {
            return Err(format!("`step` after a reset with seed {}: observation {what}", self.seed));
        }
        if !reward[0].is_finite() {
            return Err(format!("`step` after a reset with seed {}: the reward is {}", self.seed, reward[0]));
        }
        if terminated[0] > 1 {
            return Err(format!("`step` wrote {} for `terminated`, which is 0 or 1", terminated[0]));
        }
        self.trace.extend(bits(&self.obs));
        self.trace.extend([reward[0].to_bits(), terminated[0] as u32]);
        self.age += 1;
        if terminated[0] == 1 || self.age == HORIZON {
            self.seed += 1;
            self.reset()?;
        }
        Ok(())
    }

    fn walk(mut self, steps: usize) -> Result<Vec<u32>, String> {
        for _ in 0..steps {
            self.step()?;
        }
        Ok(self.trace)
    }
}

fn random_action(env: &Env, rng: &mut Rng) -> Vec<f32> {
    env.spaces().action.iter().map(|field| uniform(rng, field.low, field.high)).collect()
}

fn description(make: Make) -> Seen {
    let env = make(1)?;
    let spaces = env.spaces();
    let (n_obs, n_act, n_task) = (spaces.observation.len(), spaces.action.len(), spaces.task.len());
    pass(format!("{n_obs} observation, {n_act} action and {n_task} task fields"))
}

fn tasks(make: Make) -> Seen {
    let mut env = make(1)?;
    let fields = env.spaces().task.clone();
    if fields.is_empty() {
        return warn("there is only one task: no task fields");
    }
    let (mut task, mut again) = (vec![0.0; fields.len()], vec![0.0; fields.len()]);
    let mut seen = std::collections::HashSet::new();
    for seed in 0..200 {
        env.sample_task(seed, &mut task)?;
        env.sample_task(seed, &mut again)?;
        if bits(&task) != bits(&again) {
            return Err(format!("`sample_task` gave two tasks for the seed {seed}"));
        }
        if let Some(what) = not_finite(&task, &fields).or_else(|| out_of_bounds(&task, &fields)) {
            return Err(format!("`sample_task` with seed {seed}: {what}"));
        }
        seen.insert(bits(&task));
    }
    if seen.len() == 1 {
        return warn("200 seeds gave the same task");
    }
    pass(format!("200 seeds gave {} different tasks, all within bounds", seen.len()))
}

fn reset(make: Make) -> Seen {
    let mut walker = Walker::new(make(1)?, 0, 7)?;
    let fresh = bits(&walker.obs);
    for _ in 0..30 {
        walker.step()?;
    }
    walker.seed = 7;
    walker.reset()?;
    if bits(&walker.obs) != fresh {
        return Err("a reset after an episode differs from the same reset of a new instance".to_owned());
    }
    walker.seed = 8;
    walker.reset()?;
    let other = bits(&walker.obs) != fresh;
    pass(if other {
        "the same seed gives the same bits; another seed differs"
    } else {
        "does not depend on the seed"
    })
}

fn steps(make: Make) -> Seen {
    let alone = Walker::new(make(1)?, 0, 1)?.walk(MANY_STEPS)?;
    let (mut one, mut two) = (Walker::new(make(1)?, 0, 1)?, Walker::new(make(1)?, 0, 2)?);
    for _ in 0..MANY_STEPS {
        one.step()?;
        two.step()?;
    }
    match alone.iter().zip(&one.trace).position(|(a, b)| a != b) {
        Some(_) => Err("another instance that runs at the same time changes the numbers".to_owned()),
        None => pass(format!(
            "{MANY_STEPS} random steps, alone and interleaved with another instance: the same bits"
        )),
    }
}

/// Three slots in one call must give what three calls give, and leaving slots out must not matter.
fn batch(make: Make) -> Seen {
    let singles = (0..3)
        .map(|slot| Walker::new(make(3)?, slot, 40 + slot as u64))
        .collect::<Result<Vec<_>, String>>()?;
    let mut env = make(3)?;
    let (n_obs, n_act) = (env.spaces().observation.len(), env.spaces().action.len());
    let slots = [2u32, 0, 1];
    let tasks: Vec<f32> = slots.iter().flat_map(|&slot| singles[slot as usize].task.clone()).collect();
    let mut obs = vec![0.0; 3 * n_obs];
    env.reset(&slots, &slots.map(|slot| 40 + slot as u64), &tasks, &mut obs)?;
    for (row, &slot) in slots.iter().enumerate() {
        if bits(&obs[row * n_obs..][..n_obs]) != singles[slot as usize].trace {
            return Err(format!("slot {slot} resets differently in a batch"));
        }
    }
    let mut singles = singles;
    let mut alive = [true; 3];
    for age in 0..HORIZON - 1 {
        // Slot 1 sits out every third step, as a slot whose episode is over would.
        let now: Vec<u32> =
            slots.into_iter().filter(|&s| alive[s as usize] && !(s == 1 && age % 3 == 0)).collect();
        let mut actions = vec![];
        for &slot in &now {
            let single = &mut singles[slot as usize];
            actions.extend(random_action(&single.env, &mut single.actions.clone()));
        }
        let (mut obs, mut rewards) = (vec![0.0; now.len() * n_obs], vec![0.0; now.len()]);
        let mut terminated = vec![0; now.len()];
        debug_assert_eq!(actions.len(), now.len() * n_act);
        env.step(&now, &actions, &mut obs, &mut rewards, &mut terminated)?;
        for (row, &slot) in now.iter().enumerate() {
            let single = &mut singles[slot as usize];
            let before = single.trace.len();
            single.step()?;
            let mut expected = bits(&obs[row * n_obs..][..n_obs]);
            expected.extend([rewards[row].to_bits(), terminated[row] as u32]);
            if single.trace[before..before + expected.len()] != expected {
                return Err(format!(
                    "step {age} of slot {slot} differs between a batch and a call of its own"
                ));
            }
            alive[slot as usize] = terminated[row] == 0;
        }
    }
    pass("3 slots in one call, in any order and with some left out, give what single calls give")
}

fn bounds(make: Make) -> Seen {
    let mut walker = Walker::new(make(1)?, 0, 11)?;
    let fields = walker.env.spaces().observation.clone();
    for _ in 0..STEPS {
        if let Some(what) = out_of_bounds(&walker.obs, &fields) {
            return warn(format!("observation {what}"));
        }
        walker.step()?;
    }
    pass(format!(
        "{STEPS} random steps: observations and rewards finite, observations within declared bounds"
    ))
}

fn buffers(make: Make) -> Seen {
    let mut env = make(2)?;
    let spaces = env.spaces().clone();
    let (n_obs, n_task) = (spaces.observation.len(), spaces.task.len());
    let mut task = Guard::new(n_task, -7.5e30f32);
    env.sample_task(3, task.inside())?;
    task.check("task")?;
    let tasks = [task.inside().to_vec(), task.inside().to_vec()].concat();
    let mut obs = Guard::new(2 * n_obs, -7.5e30f32);
    env.reset(&[0, 1], &[1, 2], &tasks, obs.inside())?;
    obs.check("obs")?;
    if obs.inside().contains(&-7.5e30) {
        return Err("`reset` left entries of `obs` unwritten".to_owned());
    }
    let mut actions = rng(9);
    let action = [random_action(&env, &mut actions), random_action(&env, &mut actions)].concat();
    let (mut obs, mut rewards) = (Guard::new(2 * n_obs, -7.5e30f32), Guard::new(2, -7.5e30f32));
    let mut terminated = Guard::new(2, 0xA5u8);
    env.step(&[0, 1], &action, obs.inside(), rewards.inside(), terminated.inside())?;
    obs.check("obs")?;
    rewards.check("rewards")?;
    terminated.check("terminated")?;
    let unwritten = obs.inside().contains(&-7.5e30) || rewards.inside().contains(&-7.5e30);
    if unwritten || terminated.inside().contains(&0xA5) {
        return Err("`step` left entries of its outputs unwritten".to_owned());
    }
    pass("outputs written in full, and nothing around them")
}

/// The same seed and actions under two tasks should not give the same numbers.
fn tasks_differ(make: Make) -> Seen {
    let (mut one, mut two) = (Walker::new(make(1)?, 0, 5)?, Walker::new(make(1)?, 0, 5)?);
    if one.task.is_empty() {
        return pass("there is only one task");
    }
    for seed in 6..100 {
        two.env.sample_task(seed, &mut two.task)?;
        if two.task != one.task {
            break;
        }
    }
    one.reset()?;
    two.reset()?;
    for _ in 0..20 {
        one.step()?;
        two.step()?;
    }
    if one.trace != two.trace {
        pass("another task gives other rewards or observations")
    } else {
        warn("two tasks gave the same 20 steps")
    }
}

/// Numbers that are none must be refused or replaced; numbers beyond the bounds, which the host never sends, should be.
fn bad_actions(make: Make) -> Seen {
    type Value = fn(f32, f32) -> f32;
    let bad: [(&str, Value); 5] = [
        ("NaN", |_, _| f32::NAN),
        ("infinity", |_, _| f32::INFINITY),
        ("minus infinity", |_, _| f32::NEG_INFINITY),
        ("100 times the upper bounds", |_, high| 100.0 * high),
        ("100 times the lower bounds", |low, _| 100.0 * low),
    ];
    let mut refused = 0;
    for (name, value) in bad {
        let mut walker = Walker::new(make(1)?, 0, 21)?;
        let action: Vec<f32> =
            walker.env.spaces().action.iter().map(|field| value(field.low, field.high)).collect();
        let (mut reward, mut terminated) = ([0.0], [0]);
        match walker.env.step(&[0], &action, &mut walker.obs, &mut reward, &mut terminated) {
            Err(failure) if failure.status == crate::abi::PANIC => return Err(failure.to_string()),
            Err(_) => refused += 1,
            Ok(()) => {
                let seen = not_finite(&walker.obs, &walker.env.spaces().observation);
                let seen =
                    seen.or_else(|| (!reward[0].is_finite()).then(|| format!("the reward is {}", reward[0])));
                if let Some(what) = seen {
                    let text = format!("an action of {name} is accepted, and then {what}");
                    return if action[0].is_finite() { warn(text) } else { Err(text) };
                }
            }
        }
    }
    pass(format!("{refused} of {} refused, the others gave finite numbers", bad.len()))
}

fn step_before_reset(make: Make) -> Seen {
    let mut env = make(1)?;
    let action = random_action(&env, &mut rng(1));
    let mut obs = vec![0.0; env.spaces().observation.len()];
    match env.step(&[0], &action, &mut obs, &mut [0.0], &mut [0]) {
        Err(failure) if failure.status == crate::abi::PANIC => Err(failure.to_string()),
        Err(_) => pass("refused"),
        Ok(()) => warn("accepted; a host never does it"),
    }
}

/// A host resets a slot whose episode is over; until then a step may be refused, but it must not do harm.
fn after_the_end(make: Make) -> Seen {
    let mut walker = Walker::new(make(1)?, 0, 61)?;
    let fresh = bits(&walker.obs);
    let (mut reward, mut terminated) = ([0.0], [0]);
    let mut steps = 0;
    while terminated[0] == 0 {
        if steps == LONGEST {
            return pass(format!("no episode ended within {LONGEST} random steps"));
        }
        let action = random_action(&walker.env, &mut walker.actions);
        walker.env.step(&[0], &action, &mut walker.obs, &mut reward, &mut terminated)?;
        steps += 1;
    }
    let action = random_action(&walker.env, &mut walker.actions);
    let said = match walker.env.step(&[0], &action, &mut walker.obs, &mut reward, &mut terminated) {
        Err(failure) if failure.status == crate::abi::PANIC => return Err(failure.to_string()),
        Err(_) => "refused",
        Ok(())
            if not_finite(&walker.obs, &walker.env.spaces().observation).is_some()
                || !reward[0].is_finite() =>
        {
            return Err("a step after the end of an episode gives numbers that are not finite".to_owned());
        }
        Ok(()) => "finite",
    };
    walker.reset()?;
    if bits(&walker.obs) != fresh {
        return Err(
            "a reset after the end of an episode differs from the same reset of a new instance".to_owned()
        );
    }
    pass(format!("a step after the end is {said}, and a reset begins anew"))
}

fn threads(make: Make) -> Seen {
    let run = |seed| Walker::new(make(1)?, 0, seed)?.walk(STEPS);
    let (one, two) = (run(31)?, run(32)?);
    let (at_once_one, at_once_two) = std::thread::scope(|scope| {
        let other = scope.spawn(|| run(32));
        (run(31), other.join().unwrap_or_else(|_| Err("the other thread panicked".to_owned())))
    });
    if at_once_one? == one && at_once_two? == two {
        return pass("two instances on two threads give what they give alone");
    }
    Err("an instance gives other numbers while another thread uses another instance".to_owned())
}

/// Measured over a fifth of a second each.
fn speed(make: Make) -> Seen {
    let mut rates = vec![];
    for n in [1u32, 32] {
        let mut env = make(n)?;
        let spaces = env.spaces().clone();
        let slots: Vec<u32> = (0..n).collect();
        let seeds: Vec<u64> = (0..n as u64).collect();
        let mut task = vec![0.0; spaces.task.len()];
        env.sample_task(1, &mut task)?;
        let tasks = task.repeat(n as usize);
        let mut actions_rng = rng(77);
        let actions: Vec<f32> = slots.iter().flat_map(|_| random_action(&env, &mut actions_rng)).collect();
        let mut obs = vec![0.0; n as usize * spaces.observation.len()];
        let (mut rewards, mut terminated) = (vec![0.0; n as usize], vec![0; n as usize]);
        let (start, mut steps) = (Instant::now(), 0u64);
        while start.elapsed().as_secs_f64() < 0.2 {
            env.reset(&slots, &seeds, &tasks, &mut obs)?;
            for _ in 0..HORIZON {
                env.step(&slots, &actions, &mut obs, &mut rewards, &mut terminated)?;
                steps += n as u64;
                if terminated.contains(&1) {
                    break;
                }
            }
        }
        rates.push(steps as f64 / start.elapsed().as_secs_f64());
    }
    pass(format!(
        "{:.0} steps/s one at a time, {:.0} steps/s in batches of 32, on one core",
        rates[0], rates[1]
    ))
}

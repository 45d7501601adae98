//! The checks of a task distribution.

use super::{
    Finding, Guard, Seen, bits, create_and_destroy, finding, in_order, no_growth, not_finite, out_of_bounds,
    pass, warn,
};
use crate::caller::{Failure, Tasks};
use std::time::Instant;

/// Makes an instance.
type Make<'a> = &'a (dyn Fn() -> Result<Tasks, Failure> + Sync);

/// A check and its name.
type Check = (&'static str, for<'a> fn(Make<'a>) -> Seen);

/// In this order. The first two must pass, or the others would say nothing new, or crash.
const CHECKS: [Check; 8] = [
    ("create", create),
    ("buffers", buffers),
    ("description", description),
    ("tasks", draws_of_tasks),
    ("points", points),
    ("nested", nested),
    ("threads", threads),
    ("speed", speed),
];
/// Only in a process of its own: whatever else a process does would be counted.
const ALONE: Check = ("memory", |make| no_growth(|| make()?.destroy()));

/// Runs every check of a task distribution, in this process.
pub fn distribution(make: Make) -> Vec<Finding> {
    in_order(CHECKS.iter().map(|(name, body)| finding(name, || body(make))))
}

/// Names of the checks that [`distribution_check`] knows.
pub fn distribution_checks() -> Vec<&'static str> {
    CHECKS.iter().chain([&ALONE]).map(|(name, _)| *name).collect()
}

/// Runs one check of a task distribution, best in a process of its own; `None`: there is no such check.
pub fn distribution_check(make: Make, name: &str) -> Option<Finding> {
    let (name, body) = CHECKS.iter().chain([&ALONE]).find(|(known, _)| *known == name)?;
    Some(finding(name, || body(make)))
}

/// Every number of some tasks, as bits; see [`super::environment_trace`].
pub fn distribution_trace(make: Make) -> Result<Vec<u32>, String> {
    let mut tasks = make()?;
    let mut trace = vec![];
    for seed in 0..50 {
        trace.extend(draw(&mut tasks, seed, 10)?.iter().flat_map(|numbers| bits(numbers)));
    }
    Ok(trace)
}

fn create(make: Make) -> Seen {
    create_and_destroy(|| {
        let tasks = make()?;
        Ok((format!("{:?}", tasks.spaces()), Box::new(move || tasks.destroy())))
    })
}

fn description(make: Make) -> Seen {
    let tasks = make()?;
    let (n_x, n_y, n_task) = (tasks.spaces().x.len(), tasks.spaces().y.len(), tasks.spaces().task.len());
    pass(format!("{n_x} input, {n_y} target and {n_task} task fields"))
}

/// The points of one seed: the task's, then n of x and y.
fn draw(tasks: &mut Tasks, seed: u64, n: usize) -> Result<[Vec<f32>; 3], String> {
    let spaces = tasks.spaces();
    let (mut task, mut x, mut y) =
        (vec![0.0; spaces.task.len()], vec![0.0; n * spaces.x.len()], vec![0.0; n * spaces.y.len()]);
    tasks.sample_task(seed, &mut task)?;
    tasks.sample(&task, seed + 1, &mut x, &mut y)?;
    Ok([task, x, y])
}

fn draws_of_tasks(make: Make) -> Seen {
    let mut tasks = make()?;
    let fields = tasks.spaces().task.clone();
    let mut seen = std::collections::HashSet::new();
    for seed in 0..200 {
        let [task, ..] = draw(&mut tasks, seed, 1)?;
        if bits(&task) != bits(&draw(&mut tasks, seed, 1)?[0]) {
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

fn points(make: Make) -> Seen {
    let (mut one, mut two) = (make()?, make()?);
    let spaces = one.spaces().clone();
    let mut outside = None;
    for seed in 0..200 {
        let [task, x, y] = draw(&mut one, seed, 25)?;
        // The second instance has a history of its own.
        draw(&mut two, seed + 1000, 3)?;
        if [task, x.clone(), y.clone()].map(|v| bits(&v)) != draw(&mut two, seed, 25)?.map(|v| bits(&v)) {
            return Err(format!("two instances give different points for the seed {seed}"));
        }
        if let Some(what) = not_finite(&x, &spaces.x).or_else(|| not_finite(&y, &spaces.y)) {
            return Err(format!("`sample` with seed {}: {what}", seed + 1));
        }
        outside = outside.or(out_of_bounds(&x, &spaces.x)).or_else(|| out_of_bounds(&y, &spaces.y));
    }
    match outside {
        Some(what) => warn(what),
        None => pass("200 tasks of 25 points: the same bits from two instances, finite, within bounds"),
    }
}

fn nested(make: Make) -> Seen {
    let mut tasks = make()?;
    let [_, few_x, few_y] = draw(&mut tasks, 5, 5)?;
    let [_, many_x, many_y] = draw(&mut tasks, 5, 20)?;
    draw(&mut tasks, 5, 0)?;
    if many_x.starts_with(&few_x) && many_y.starts_with(&few_y) {
        return pass("the first 5 of 20 points are the 5 points of the same seed");
    }
    warn("the points of a seed depend on how many are drawn, so support sets of several sizes are not nested")
}

fn buffers(make: Make) -> Seen {
    const MARK: f32 = -7.5e30;
    let mut tasks = make()?;
    let spaces = tasks.spaces().clone();
    let mut task = Guard::new(spaces.task.len(), MARK);
    tasks.sample_task(3, task.inside())?;
    task.check("task")?;
    let (mut x, mut y) = (Guard::new(7 * spaces.x.len(), MARK), Guard::new(7 * spaces.y.len(), MARK));
    tasks.sample(task.inside(), 4, x.inside(), y.inside())?;
    x.check("x")?;
    y.check("y")?;
    if x.inside().contains(&MARK) || y.inside().contains(&MARK) {
        return Err("`sample` left entries of its outputs unwritten".to_owned());
    }
    pass("outputs written in full, and nothing around them")
}

fn threads(make: Make) -> Seen {
    let run = |from: u64| {
        let mut tasks = make()?;
        (from..from + 200)
            .map(|seed| Ok(draw(&mut tasks, seed, 10)?.map(|v| bits(&v))))
            .collect::<Result<Vec<_>, String>>()
    };
    let (one, two) = (run(0)?, run(500)?);
    let (at_once_one, at_once_two) = std::thread::scope(|scope| {
        let other = scope.spawn(|| run(500));
        (run(0), other.join().unwrap_or_else(|_| Err("the other thread panicked".to_owned())))
    });
    if at_once_one? == one && at_once_two? == two {
        return pass("two instances on two threads give what they give alone");
    }
    Err("an instance gives other numbers while another thread uses another instance".to_owned())
}

fn speed(make: Make) -> Seen {
    let mut tasks = make()?;
    let [task, mut x, mut y] = draw(&mut tasks, 0, 20)?;
    let (start, mut seed) = (Instant::now(), 0);
    while start.elapsed().as_secs_f64() < 0.1 {
        seed += 1;
        tasks.sample(&task, seed, &mut x, &mut y)?;
    }
    pass(format!(
        "{:.0} points/s in sets of 20, on one core",
        seed as f64 * 20.0 / start.elapsed().as_secs_f64()
    ))
}

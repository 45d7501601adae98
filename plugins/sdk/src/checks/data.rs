//! The checks of a dataset.

use super::{Finding, Guard, Seen, bits, create_and_destroy, finding, in_order, no_growth, pass};
use crate::caller::{Data, Failure};
use crate::rng;
use rand::Rng as _;
use std::time::Instant;

/// Makes an instance.
type Make<'a> = &'a (dyn Fn() -> Result<Data, Failure> + Sync);

/// A check and its name.
type Check = (&'static str, for<'a> fn(Make<'a>) -> Seen);

/// In this order. The first two must pass, or the others would say nothing new, or crash.
const CHECKS: [Check; 7] = [
    ("create", create),
    ("buffers", buffers),
    ("description", description),
    ("classes", classes),
    ("items", items),
    ("threads", threads),
    ("speed", speed),
];
/// Only in a process of its own: whatever else a process does would be counted.
const ALONE: Check = ("memory", |make| no_growth(|| make()?.destroy()));

/// Runs every check of a dataset, in this process.
pub fn dataset(make: Make) -> Vec<Finding> {
    in_order(CHECKS.iter().map(|(name, body)| finding(name, || body(make))))
}

/// Names of the checks that [`dataset_check`] knows.
pub fn dataset_checks() -> Vec<&'static str> {
    CHECKS.iter().chain([&ALONE]).map(|(name, _)| *name).collect()
}

/// Runs one check of a dataset, best in a process of its own; `None`: there is no such check.
pub fn dataset_check(make: Make, name: &str) -> Option<Finding> {
    let (name, body) = CHECKS.iter().chain([&ALONE]).find(|(known, _)| *known == name)?;
    Some(finding(name, || body(make)))
}

fn create(make: Make) -> Seen {
    create_and_destroy(|| {
        let data = make()?;
        Ok((format!("{:?}", data.spaces()), Box::new(move || data.destroy())))
    })
}

fn description(make: Make) -> Seen {
    let data = make()?;
    let split = |split: &crate::Split| {
        let n: u64 = split.classes.iter().map(|class| class.items as u64).sum();
        format!("{}: {} classes, {n} items", split.name, split.classes.len())
    };
    let splits: Vec<String> = data.spaces().splits.iter().map(split).collect();
    pass(format!("items of shape {:?}; {}", data.spaces().item_shape, splits.join("; ")))
}

/// A class in two splits would let a test see what was trained on.
fn classes(make: Make) -> Seen {
    let data = make()?;
    let mut owner = std::collections::HashMap::new();
    for split in &data.spaces().splits {
        for class in &split.classes {
            if let Some(other) = owner.insert(&class.name, &split.name) {
                return Err(format!(
                    "class `{}` is listed twice: in `{other}` and in `{}`",
                    class.name, split.name
                ));
            }
        }
    }
    pass("every class is in one split, once")
}

/// The k-th random choice of (split, class, item).
fn choice(data: &Data, k: u64) -> (usize, usize, u32) {
    let rng = &mut rng(k);
    let splits = &data.spaces().splits;
    let split = rng.next_u32() as usize % splits.len();
    let class = rng.next_u32() as usize % splits[split].classes.len();
    (split, class, rng.next_u32() % splits[split].classes[class].items)
}

fn read(data: &mut Data, k: u64) -> Result<Vec<f32>, String> {
    let (split, class, item) = choice(data, k);
    let mut out = vec![0.0; data.spaces().item_length()];
    data.read(split, class, &[item], &mut out)?;
    match out.iter().find(|number| !number.is_finite()) {
        Some(number) => Err(format!("item {item} of class {class} in split {split} contains {number}")),
        None => Ok(out),
    }
}

fn items(make: Make) -> Seen {
    let (mut one, mut two) = (make()?, make()?);
    for k in 0..100 {
        let expected = bits(&read(&mut one, k)?);
        let (split, class, item) = choice(&two, k);
        let last = two.spaces().splits[split].classes[class].items - 1;
        let length = two.spaces().item_length();
        let mut out = vec![0.0; 2 * length];
        two.read(split, class, &[last, item], &mut out)?;
        if bits(&out[length..]) != expected {
            return Err(format!(
                "item {item} of class {class} in split {split} is not the same when read with another"
            ));
        }
    }
    pass("100 random items: finite, and the same alone and together with another")
}

fn buffers(make: Make) -> Seen {
    const MARK: f32 = -7.5e30;
    let mut data = make()?;
    let mut out = Guard::new(data.spaces().item_length(), MARK);
    data.read(0, 0, &[0], out.inside())?;
    out.check("out")?;
    if out.inside().contains(&MARK) {
        return Err("`read` left entries of `out` unwritten".to_owned());
    }
    pass("outputs written in full, and nothing around them")
}

fn threads(make: Make) -> Seen {
    let run = |from: u64| {
        let mut data = make()?;
        (from..from + 50).map(|k| Ok(bits(&read(&mut data, k)?))).collect::<Result<Vec<_>, String>>()
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
    let mut data = make()?;
    let (start, mut k) = (Instant::now(), 0);
    while start.elapsed().as_secs_f64() < 0.1 {
        read(&mut data, k)?;
        k += 1;
    }
    pass(format!("{:.0} items/s in random order, on one core", k as f64 / start.elapsed().as_secs_f64()))
}

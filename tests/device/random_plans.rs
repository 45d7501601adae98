//! Random plans of every op, through both stages.

use super::{Case, check};
use crate::lower::random_plans::random_plan;

pub fn cases(seeds: std::ops::Range<u64>) -> Vec<Case> {
    seeds.map(|seed| Case::new(move || random_plan(seed).0, &random_plan(seed).1, 1.0, 2e-5)).collect()
}

#[test]
fn random_plans_compute_what_they_say_on_every_device() {
    check(&cases(0..120));
}

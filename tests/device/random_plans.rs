//! Random plans of every op, through both stages.

use super::{compare, machines};
use crate::lower::random_plans::random_plan;

#[test]
fn random_plans_compute_what_they_say_on_every_device() {
    let machines = machines();
    for seed in 0..200 {
        let inputs = random_plan(seed).1;
        compare(&machines, || random_plan(seed).0, &inputs, 1.0, 2e-5);
    }
}

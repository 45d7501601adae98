//! Removes what no port depends on. Inputs that a port names are roots and stay.

use super::Pass;
use crate::lower::draft::Draft;

pub struct DeadNodes;

impl Pass for DeadNodes {
    fn name(&self) -> &'static str {
        "dead nodes"
    }

    fn run(&self, draft: &Draft) -> Draft {
        let mut alive = vec![false; draft.steps.len()];
        draft.roots.iter().for_each(|root| alive[*root] = true);
        for at in (0..draft.steps.len()).rev() {
            if alive[at] {
                draft.steps[at].inputs.iter().for_each(|i| alive[*i] = true);
            }
        }
        let mut moved = vec![usize::MAX; draft.steps.len()];
        let mut steps = Vec::with_capacity(draft.steps.len());
        for (at, step) in draft.steps.iter().enumerate().filter(|(at, _)| alive[*at]) {
            moved[at] = steps.len();
            let mut step = step.clone();
            step.inputs.iter_mut().for_each(|i| *i = moved[*i]);
            steps.push(step);
        }
        Draft { steps, roots: draft.roots.iter().map(|root| moved[*root]).collect() }
    }
}

//! The baselines of the paper's table 1, which are those of Ravi and Larochelle (2017, section 5): one ordinary
//! classifier of all training classes, and two ways to use what it has learnt on a task of new classes.
//!
//! A meta-iteration of training sees as many images as one of MAML: for each task of the meta-batch, N (K + queries) of
//! them, drawn from all classes alike; each such batch is normalised by itself. The loss is the mean cross-entropy.

use super::learner::{counts, ways};
use super::sampler::Drawn;
use crate::error::{Error, Result};
use crate::lower::{Device, lower};
use crate::meta::supervised::Learner as Plans;
use crate::nn::{Layout, init};
use crate::random::{Purpose, stream};
use crate::run::programs::{Points, Programs};
use crate::run::supervised;
use crate::run::workers::Shared;
use crate::spec::{Method, Reduction, Spec, Word};

/// One of the two baselines.
pub struct Classifier {
    /// Trains; the parameters are those of the body, then of the last layer.
    pub training: Programs,
    pub test: Test,
    /// Points of a training batch.
    pub points: usize,
    /// Classes of the training split, and how many turns of each are classes of their own.
    pub classes: (usize, usize),
    /// Parameters of the body.
    body: usize,
}

/// What becomes of the body on a task of new classes.
pub enum Test {
    /// A new last layer, then gradient steps on all of it.
    Finetune { programs: Box<Programs>, head: Layout },
    /// Features, by evaluation support size.
    Neighbour(Vec<Shared>),
}

/// The plans that train it: the spec's network with an answer for each of so many classes.
pub fn plans(spec: &Spec, method: Method, item: &[usize], classes: usize) -> Result<Plans> {
    let plans = supervised::plans(spec, method, item, classes)?;
    Ok(Plans { reduction: Reduction::Mean, ..plans })
}

/// Points of one training batch: as many as a task of MAML has.
pub fn points(spec: &Spec) -> usize {
    ways(spec) * (spec.task.support + spec.task.query)
}

/// How many turns of a class are classes of their own.
pub fn turns(spec: &Spec) -> usize {
    if spec.task.rotate { 4 } else { 1 }
}

impl Classifier {
    /// Builds and lowers its programs for `classes` training classes of such items.
    ///
    /// # Errors
    /// `Error::Input` where the layers do not fit, or there is nothing below the last.
    pub fn new(
        spec: &Spec,
        method: Method,
        item: &[usize],
        classes: usize,
        threads: usize,
    ) -> Result<Classifier> {
        let classes = (classes, turns(spec));
        let trained = plans(spec, method, item, classes.0 * classes.1)?;
        let Some(body) = trained.model.body() else {
            let method = method.word();
            return Err(Error::Input(format!(
                "model: {method} needs layers to train below a last linear one"
            )));
        };
        let counts = counts(spec);
        let test = if method == Method::Finetune {
            let tested = supervised::plans(spec, method, item, ways(spec))?;
            let entries = tested.model.layout().entries.split_off(body.layout().entries.len());
            // The baselines stay on the processor.
            let on = (&Device::cpu(), threads);
            let programs = Programs::new(spec, method, &tested, &counts, on)?;
            Test::Finetune { programs: Box::new(programs), head: Layout { entries } }
        } else {
            let features = |support: &usize| Plans::features(&body, &[], *support, counts.query);
            Test::Neighbour(counts.eval.iter().map(|n| Shared::new(lower(features(n)), threads)).collect())
        };
        let points = points(spec);
        let training = Programs::ordinary(&trained, points, threads);
        Ok(Classifier { training, test, points, classes, body: body.layout().size() })
    }

    /// Working memory of its programs, of all threads.
    pub fn bytes(&self) -> u64 {
        self.training.other_bytes()
            + match &self.test {
                Test::Finetune { programs, .. } => programs.other_bytes(),
                Test::Neighbour(features) => features.iter().map(Shared::bytes).sum(),
            }
    }

    /// A training batch of this classifier.
    pub fn batch(&self, spec: &Spec, iteration: u64, number: usize, counts: &[u32]) -> Vec<Drawn> {
        super::sampler::batch(spec.seed, iteration, number as u32, counts, self.points, spec.task.rotate)
    }

    /// The trained body below a last layer that is drawn for this task, and is the same in every evaluation.
    pub fn with_new_head(&self, spec: &Spec, theta: &[f32], head: &Layout, task: usize) -> Vec<f32> {
        let mut draws = stream(spec.seed, Purpose::Head, 0, task as u32, 0);
        let head = init::initial(head, spec.model.init.into(), &mut draws);
        [&theta[..self.body], &head].concat()
    }

    /// For each query the one-hot label of its nearest support point.
    pub fn neighbours(
        &self,
        thread: usize,
        program: &Shared,
        theta: &[f32],
        [support, query]: [&Points; 2],
        ways: usize,
    ) -> Result<Vec<f32>> {
        let size = |port: usize| program.program.outputs()[port].size();
        let (mut shown, mut asked) = (vec![0.0; size(0)], vec![0.0; size(1)]);
        let outputs: &mut [&mut [f32]] = &mut [&mut shown, &mut asked];
        program.run(thread, &[&theta[..self.body], &support.x, &query.x], outputs)?;
        Ok(nearest(&shown, &asked, &support.y, ways))
    }
}

/// For each query the one-hot label of the support point that is most alike: `[query, ways]` from `shown [support,
/// features]`, `asked [query, features]` and the support points' labels `[support, ways]`; of equals the first.
///
/// Features are compared by the cosine of their angle, as matching networks compare theirs (Vinyals et al. 2016); the paper
/// does not say how this baseline does. Where all features of a point are 0, its cosine is taken as 0.
pub fn nearest(shown: &[f32], asked: &[f32], labels: &[f32], ways: usize) -> Vec<f32> {
    let width = shown.len() * ways / labels.len();
    let unit = |point: &[f32]| -> Vec<f64> {
        let length = point.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        point.iter().map(|x| if length > 0.0 { f64::from(*x) / length } else { 0.0 }).collect()
    };
    let shown: Vec<Vec<f64>> = shown.chunks_exact(width).map(unit).collect();
    let label = |asked: &[f32]| {
        let asked = unit(asked);
        let alike = shown.iter().map(|point| point.iter().zip(&asked).map(|(a, b)| a * b).sum::<f64>());
        let best = alike.enumerate().reduce(|best, next| if next.1 > best.1 { next } else { best });
        let at = best.map_or(0, |(at, _)| at);
        labels[at * ways..(at + 1) * ways].to_vec()
    };
    asked.chunks_exact(width).flat_map(label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_support_point_is_the_one_at_the_smallest_angle() {
        let shown = [10.0, 0.1, 0.0, 1.0, -1.0, -1.0];
        let labels = [0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0];
        // The first is near the second point's place, and at the first point's angle.
        let asked = [0.5, 0.1, 0.1, 9.0, -3.0, -2.0, 0.0, 0.0];
        let found = nearest(&shown, &asked, &labels, 3);
        assert_eq!(found[..9], [0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
        assert_eq!(found[9..], labels[..3], "of equals the first");
    }
}

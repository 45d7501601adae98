//! The sinusoid tasks of Finn, Abbeel and Levine 2017, section 5.1, for networks that read sequences.
//!
//! A point is a walk: its input is the walk's steps d₁ … d_T in the order in which they are taken, its target
//! A sin(x − φ) at the place x = d₁ + … + d_T where the walk ends. So the network has to carry a sum along the sequence,
//! and A and φ, which vary between tasks, cannot be seen in any input: only adaptation finds them. The ranges of A, φ
//! and x are the paper's.

use mamlx_plugin::{Descriptor, Field, Parameter, Params, TaskDistribution, TaskSpaces, rng, uniform};

pub struct SinusoidSequence {
    length: usize,
    spread_rad: f32,
    amplitude: [f32; 2],
    phase_rad: [f32; 2],
    x_rad: [f32; 2],
}

impl TaskDistribution for SinusoidSequence {
    const DESCRIPTOR: Descriptor = Descriptor {
        id: "sinusoid_sequence",
        version: env!("CARGO_PKG_VERSION"),
        dynamics_version: 1,
        doc: "Sinusoid regression for recurrent networks: the input is a sequence of steps, the target A sin(x - phase) \
              at their sum x; amplitude and phase vary between tasks as in section 5.1 of the MAML paper.",
        parameters: &[
            Parameter::int("length", 8).range(1.0, 256.0).doc("Steps of a sequence."),
            Parameter::float("spread", 1.0).range(0.0, 100.0).unit("rad").doc(
                "How uneven the steps are: to each a number from U[-spread, spread] is added, less the mean of all.",
            ),
            Parameter::float("amplitude_min", 0.1).doc("Smallest amplitude (paper: 0.1)."),
            Parameter::float("amplitude_max", 5.0).doc("Largest amplitude (paper: 5)."),
            Parameter::float("phase_min", 0.0).unit("rad").doc("Smallest phase (paper: 0)."),
            Parameter::float("phase_max", std::f64::consts::PI).unit("rad").doc("Largest phase (paper: pi)."),
            Parameter::float("x_min", -5.0).unit("rad").doc("Smallest sum (paper: -5)."),
            Parameter::float("x_max", 5.0).unit("rad").doc("Largest sum (paper: 5)."),
        ],
    };

    fn create(params: &Params) -> Result<Self, String> {
        let range = |what: &str| {
            let ends = ["min", "max"].map(|end| params.float(&format!("{what}_{end}")) as f32);
            let [min, max] = ends;
            if min <= max && min.is_finite() && max.is_finite() {
                Ok(ends)
            } else {
                Err(format!(
                    "`{what}_min` is {min} and `{what}_max` is {max}: they must be finite and in this order"
                ))
            }
        };
        Ok(SinusoidSequence {
            length: params.int("length") as usize,
            spread_rad: params.float("spread") as f32,
            amplitude: range("amplitude")?,
            phase_rad: range("phase")?,
            x_rad: range("x")?,
        })
    }

    fn describe(&self) -> TaskSpaces {
        let largest = |ends: [f32; 2]| ends[0].abs().max(ends[1].abs());
        let peak = largest(self.amplitude);
        // An even share of the sum, and twice the spread: once for the number, once for the mean.
        let step = largest(self.x_rad) / self.length as f32 + 2.0 * self.spread_rad;
        TaskSpaces {
            x: (1..=self.length)
                .map(|t| Field::new(format!("step_{t}"), "rad").bounds(-step, step))
                .collect(),
            y: vec![Field::new("y", "").bounds(-peak, peak)],
            task: vec![
                Field::new("amplitude", "").bounds(self.amplitude[0], self.amplitude[1]),
                Field::new("phase", "rad").bounds(self.phase_rad[0], self.phase_rad[1]),
            ],
        }
    }

    fn sample_task(&self, seed: u64, task: &mut [f32]) {
        let rng = &mut rng(seed);
        task[0] = uniform(rng, self.amplitude[0], self.amplitude[1]);
        task[1] = uniform(rng, self.phase_rad[0], self.phase_rad[1]);
    }

    fn sample(&self, task: &[f32], seed: u64, x: &mut [f32], y: &mut [f32]) -> Result<(), String> {
        let rng = &mut rng(seed);
        let length = self.length as f32;
        for (steps, y) in x.chunks_exact_mut(self.length).zip(y) {
            let sum = uniform(rng, self.x_rad[0], self.x_rad[1]);
            steps.iter_mut().for_each(|step| *step = uniform(rng, -self.spread_rad, self.spread_rad));
            let excess = (steps.iter().sum::<f32>() - sum) / length;
            steps.iter_mut().for_each(|step| *step -= excess);
            // Of the steps as they were rounded.
            *y = task[0] * (steps.iter().sum::<f32>() - task[1]).sin();
        }
        Ok(())
    }
}

mamlx_plugin::export_tasks!(SinusoidSequence);

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, value: f64) -> Result<SinusoidSequence, String> {
        let params = Params::defaults(SinusoidSequence::DESCRIPTOR.parameters);
        SinusoidSequence::create(&params.with(name, value).unwrap())
    }

    #[test]
    fn it_keeps_the_rules() {
        mamlx_plugin::harness::check_tasks::<SinusoidSequence>();
    }

    /// The target is a function of the sum alone, sums are uniform, and steps keep within their bounds.
    #[test]
    fn the_sum_of_the_steps_decides() {
        let tasks = with("amplitude_min", 0.1).unwrap();
        let bound = 5.0 / 8.0 + 2.0;
        let (mut x, mut y, mut sums) = (vec![0.0; 8 * 20_000], vec![0.0; 20_000], vec![]);
        tasks.sample(&[2.0, 0.5], 3, &mut x, &mut y).unwrap();
        for (steps, y) in x.chunks_exact(8).zip(&y) {
            let sum: f32 = steps.iter().sum();
            assert_eq!(*y, 2.0 * (sum - 0.5).sin());
            assert!(steps.iter().all(|step| step.abs() <= bound) && sum.abs() < 5.001, "{steps:?}");
            sums.push(f64::from(sum));
        }
        let mean = sums.iter().sum::<f64>() / 20_000.0;
        let variance = sums.iter().map(|sum| (sum - mean).powi(2)).sum::<f64>() / 20_000.0;
        // U[-5, 5] has mean 0 and variance 100/12; four standard errors are 0.082 and 0.21.
        assert!(mean.abs() < 0.082 && (variance - 100.0 / 12.0).abs() < 0.21, "{mean} {variance}");
        let uneven = x.chunks_exact(8).filter(|steps| steps.windows(2).any(|w| (w[0] - w[1]).abs() > 0.1));
        assert!(uneven.count() > 19_000);
    }

    #[test]
    fn empty_ranges_are_refused() {
        assert!(with("x_min", 6.0).err().unwrap().contains("`x_max`"));
    }
}

//! Regression tasks y = A sin(x − φ): Finn, Abbeel and Levine 2017, section 5.1.
//!
//! Ranges as in the paper and its released code: A from U[0.1, 5], φ from U[0, π], x from U[−5, 5].

use mamlx_plugin::{Descriptor, Field, Parameter, Params, TaskDistribution, TaskSpaces, rng, uniform};

pub struct Sinusoid {
    amplitude: [f32; 2],
    phase_rad: [f32; 2],
    x: [f32; 2],
}

impl TaskDistribution for Sinusoid {
    const DESCRIPTOR: Descriptor = Descriptor {
        id: "sinusoid",
        version: env!("CARGO_PKG_VERSION"),
        dynamics_version: 1,
        doc: "Sinusoid regression y = A sin(x - phase), section 5.1 of the MAML paper: amplitude and phase vary \
              between tasks.",
        parameters: &[
            Parameter::float("amplitude_min", 0.1).doc("Smallest amplitude (paper: 0.1)."),
            Parameter::float("amplitude_max", 5.0).doc("Largest amplitude (paper: 5)."),
            Parameter::float("phase_min", 0.0).unit("rad").doc("Smallest phase (paper: 0)."),
            Parameter::float("phase_max", std::f64::consts::PI).unit("rad").doc("Largest phase (paper: pi)."),
            Parameter::float("x_min", -5.0).doc("Smallest input (paper: -5)."),
            Parameter::float("x_max", 5.0).doc("Largest input (paper: 5)."),
        ],
    };

    fn create(params: &Params) -> Result<Self, String> {
        let range = |what: &str| {
            let (min, max) =
                (params.float(&format!("{what}_min")) as f32, params.float(&format!("{what}_max")) as f32);
            if min <= max && min.is_finite() && max.is_finite() {
                Ok([min, max])
            } else {
                Err(format!(
                    "`{what}_min` is {min}, which is above `{what}_max` = {max}, or one of them is too large"
                ))
            }
        };
        Ok(Sinusoid { amplitude: range("amplitude")?, phase_rad: range("phase")?, x: range("x")? })
    }

    fn describe(&self) -> TaskSpaces {
        let peak = self.amplitude[0].abs().max(self.amplitude[1].abs());
        TaskSpaces {
            x: vec![Field::new("x", "rad").bounds(self.x[0], self.x[1])],
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
        for (x, y) in x.iter_mut().zip(y) {
            *x = uniform(rng, self.x[0], self.x[1]);
            *y = task[0] * (*x - task[1]).sin();
        }
        Ok(())
    }
}

mamlx_plugin::export_tasks!(Sinusoid);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_the_rules() {
        mamlx_plugin::harness::check_tasks::<Sinusoid>();
    }

    /// Protocol, section A.1: always predicting 0 has the mean squared error 4.252, which is E[A²] E[sin²(x − φ)].
    #[test]
    fn predicting_zero_costs_4_252() {
        let sinusoid = Sinusoid::create(&Params::defaults(Sinusoid::DESCRIPTOR.parameters)).unwrap();
        let (mut task, mut x, mut y) = ([0.0; 2], [0.0; 20], [0.0; 20]);
        let mut sum = 0.0;
        for seed in 0..200_000 {
            sinusoid.sample_task(seed, &mut task);
            sinusoid.sample(&task, seed + 1_000_000, &mut x, &mut y).unwrap();
            sum += y.iter().map(|&y| (y * y) as f64).sum::<f64>() / 20.0;
        }
        let mse = sum / 200_000.0;
        // One standard error is 0.009.
        assert!((mse - 4.252).abs() < 0.04, "{mse}");
    }

    #[test]
    fn empty_ranges_are_refused() {
        let params = Params::defaults(Sinusoid::DESCRIPTOR.parameters).with("x_min", 6.0).unwrap();
        assert!(Sinusoid::create(&params).err().unwrap().contains("`x_max`"));
    }
}

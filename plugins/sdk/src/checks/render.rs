//! The checks of an environment that can be drawn.

use super::{Finding, finding, pass};
use crate::caller::{Env, Failure};
use crate::{Role, rng, uniform};

/// Draws an episode, and plays it again without drawing.
pub fn rendering(make: &(dyn Fn(u32) -> Result<Env, Failure> + Sync)) -> Finding {
    finding("render", || {
        let play = |draw: bool| -> Result<(Vec<u32>, usize), String> {
            let mut env = make(1)?;
            let spaces = env.spaces().clone();
            let (mut task, mut obs) = (vec![0.0; spaces.task.len()], vec![0.0; spaces.observation.len()]);
            env.sample_task(5, &mut task)?;
            env.reset(&[0], &[5], &task, &mut obs)?;
            let (mut actions, mut trace, mut most) = (rng(5), vec![], 0);
            for _ in 0..50 {
                if draw {
                    let shapes = env.shapes(0)?;
                    if !shapes.iter().any(|shape| shape.role == Role::Body) {
                        return Err("no shape has the role of a body".to_owned());
                    }
                    most = most.max(shapes.len());
                }
                let action: Vec<f32> =
                    spaces.action.iter().map(|field| uniform(&mut actions, field.low, field.high)).collect();
                let (mut reward, mut terminated) = ([0.0], [0]);
                env.step(&[0], &action, &mut obs, &mut reward, &mut terminated)?;
                trace.extend(obs.iter().chain(&reward).map(|x| x.to_bits()));
                if terminated[0] == 1 {
                    break;
                }
            }
            Ok((trace, most))
        };
        let (drawn, most) = play(true)?;
        if drawn != play(false)?.0 {
            return Err("an episode that is drawn gives other numbers than one that is not".to_owned());
        }
        pass(format!("up to {most} shapes a frame; drawing changes nothing"))
    })
}

//! 2D navigation: Finn, Abbeel and Levine 2017, section 5.3, with the reward and the ending of the released results
//! (protocol, sections A.0 and A.5).

use mamlx_plugin::{
    Descriptor, EnvSpaces, Environment, Field, Parameter, Params, Render, Role, Shape, Side, Step, View, rng,
    uniform,
};

/// Farthest move along an axis in one step (paper: actions are clipped to [−0.1, 0.1]).
const MAX_MOVE: f32 = 0.1;
/// The episode ends when both distances along an axis are below this (protocol A.5: box 0.01).
const ARRIVED: f32 = 0.01;
/// Goals are drawn from the square of this half-width around the start (paper: the unit square).
const GOAL_LIMIT: f32 = 0.5;

pub struct Point {
    place: [f32; 2],
    goal: [f32; 2],
    squared: bool,
}

impl Environment for Point {
    const DESCRIPTOR: Descriptor = Descriptor {
        id: "point",
        version: env!("CARGO_PKG_VERSION"),
        dynamics_version: 1,
        doc: "2D navigation, section 5.3 of the MAML paper: walk from the origin to a goal that is not observed. The \
              episode ends within 0.01 of the goal along both axes.",
        parameters: &[Parameter::text("reward", "distance").choices(&["distance", "squared_distance"]).doc(
            "The reward is minus the Euclidean distance to the goal after the move, as in the paper's published \
             numbers, or minus its square, as in the paper's text.",
        )],
    };

    fn create(params: &Params) -> Result<Self, String> {
        Ok(Point { place: [0.0; 2], goal: [0.0; 2], squared: params.text("reward") == "squared_distance" })
    }

    fn describe(&self) -> EnvSpaces {
        EnvSpaces {
            observation: vec![Field::new("x", "m"), Field::new("y", "m")],
            action: vec![
                Field::new("move_x", "m").bounds(-MAX_MOVE, MAX_MOVE),
                Field::new("move_y", "m").bounds(-MAX_MOVE, MAX_MOVE),
            ],
            task: vec![
                Field::new("goal_x", "m").bounds(-GOAL_LIMIT, GOAL_LIMIT),
                Field::new("goal_y", "m").bounds(-GOAL_LIMIT, GOAL_LIMIT),
            ],
        }
    }

    fn sample_task(&self, seed: u64, task: &mut [f32]) {
        let rng = &mut rng(seed);
        task.fill_with(|| uniform(rng, -GOAL_LIMIT, GOAL_LIMIT));
    }

    /// The start is always the origin: the seed has nothing to decide.
    fn reset(&mut self, _seed: u64, task: &[f32], obs: &mut [f32]) -> Result<(), String> {
        (self.place, self.goal) = ([0.0; 2], [task[0], task[1]]);
        obs.copy_from_slice(&self.place);
        Ok(())
    }

    fn step(&mut self, action: &[f32], obs: &mut [f32]) -> Result<Step, String> {
        self.place = [self.place[0] + action[0], self.place[1] + action[1]];
        obs.copy_from_slice(&self.place);
        let [dx, dy] = [self.place[0] - self.goal[0], self.place[1] - self.goal[1]];
        let squared = dx * dx + dy * dy;
        Ok(Step {
            reward: if self.squared { -squared } else { -squared.sqrt() },
            terminated: dx.abs() < ARRIVED && dy.abs() < ARRIVED,
        })
    }
}

/// Radius of the walker and of the goal in pictures, m.
const DOT: f32 = 0.015;

impl Render for Point {
    /// The task has no clock; a twentieth of a second lets the eye follow.
    fn view(&self) -> View {
        View { side: Side::Top, step_secs: 0.05 }
    }

    fn shapes(&self, shapes: &mut Vec<Shape>) {
        shapes.push(Shape::circle(Role::Goal, self.goal, DOT));
        shapes.push(Shape::circle(Role::Body, self.place, DOT));
    }
}

mamlx_plugin::export_env!(Point, render);

#[cfg(test)]
mod tests {
    use super::*;

    fn point() -> Point {
        Point::create(&Params::defaults(Point::DESCRIPTOR.parameters)).unwrap()
    }

    /// The return of an episode of at most 100 steps under a policy of the position.
    fn episode(goal: [f32; 2], policy: impl Fn([f32; 2]) -> [f32; 2]) -> f64 {
        let (mut point, mut obs, mut sum) = (point(), [0.0; 2], 0.0);
        point.reset(0, &goal, &mut obs).unwrap();
        for _ in 0..100 {
            let step = point.step(&policy(obs), &mut obs).unwrap();
            sum += step.reward as f64;
            if step.terminated {
                break;
            }
        }
        sum
    }

    #[test]
    fn it_keeps_the_rules() {
        mamlx_plugin::harness::check_env::<Point>();
        mamlx_plugin::harness::check_render_with::<Point>("{}");
    }

    /// The mean distance from the centre of a unit square is (√2 + asinh 1) / 6 = 0.3826.
    #[test]
    fn standing_still_costs_the_mean_distance() {
        let point = point();
        let mut goal = [0.0; 2];
        let sum: f64 = (0..100_000)
            .map(|seed| {
                point.sample_task(seed, &mut goal);
                episode(goal, |_| [0.0; 2])
            })
            .sum();
        let expected = -100.0 * (2f64.sqrt() + 1f64.asinh()) / 6.0;
        // One standard error is 0.045.
        assert!((sum / 100_000.0 - expected).abs() < 0.2, "{} instead of {expected}", sum / 100_000.0);
    }

    /// Protocol, section A.0, row 2: never moving on the authors' 40 goals gives −40.08.
    #[test]
    fn standing_still_on_the_published_goals_costs_40_08() {
        let file = include_str!("../../../experiments/tasks/point_goal.csv");
        let goals: Vec<[f32; 2]> = file
            .lines()
            .skip(1)
            .map(|line| {
                let cells: Vec<&str> = line.split(',').collect();
                [cells[1].parse().unwrap(), cells[2].parse().unwrap()]
            })
            .collect();
        assert_eq!(goals.len(), 40);
        let mean = goals.iter().map(|&goal| episode(goal, |_| [0.0; 2])).sum::<f64>() / 40.0;
        assert!((mean - -40.08).abs() < 0.005, "{mean}");
    }

    /// Walking straight at full speed arrives, and the episode ends there.
    #[test]
    fn arriving_ends_the_episode() {
        let goal = [0.35, -0.2];
        let walk = |at: [f32; 2]| [0, 1].map(|k| (goal[k] - at[k]).clamp(-MAX_MOVE, MAX_MOVE));
        let expected: f64 =
            -[(0.25f64, 0.1), (0.15, 0.0), (0.05, 0.0)].map(|(x, y)| x.hypot(y)).iter().sum::<f64>();
        assert!((episode(goal, walk) - expected).abs() < 1e-5);
    }

    #[test]
    fn the_other_reward_is_the_square() {
        let params =
            Params::defaults(Point::DESCRIPTOR.parameters).with("reward", "squared_distance").unwrap();
        let (mut point, mut obs) = (Point::create(&params).unwrap(), [0.0; 2]);
        point.reset(0, &[0.3, 0.4], &mut obs).unwrap();
        let step = point.step(&[0.0, 0.0], &mut obs).unwrap();
        assert!((step.reward + 0.25).abs() < 1e-6);
    }
}

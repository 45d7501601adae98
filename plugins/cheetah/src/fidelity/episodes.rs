//! What the plugin promises to whoever trains on it.

use mamlx_plugin::{Environment, Params, normal, rng};

use crate::Cheetah;
use crate::model::HINGES;

const HORIZON: usize = 200;

/// An environment with the parameters of a JSON object.
fn cheetah(params: &str) -> Cheetah {
    let params = Params::parse(Cheetah::DESCRIPTOR.parameters, params).expect("declared parameters");
    Cheetah::create(&params).expect("valid parameters")
}

/// Every bit that an episode shows: observations and rewards.
fn episode(
    env: &mut Cheetah,
    seed: u64,
    goal: f32,
    mut policy: impl FnMut(usize) -> [f32; HINGES],
) -> Vec<u32> {
    let mut obs = [0.0; 20];
    env.reset(seed, &[goal], &mut obs).unwrap();
    let mut bits: Vec<u32> = obs.iter().map(|x| x.to_bits()).collect();
    for t in 0..HORIZON {
        let step = env.step(&policy(t), &mut obs).unwrap();
        assert!(!step.terminated);
        bits.extend(obs.iter().chain([&step.reward]).map(|x| x.to_bits()));
    }
    bits
}

/// The sum of the rewards in the bits of an episode.
fn total(bits: &[u32]) -> f64 {
    bits[20..].chunks_exact(21).map(|step| f32::from_bits(step[20]) as f64).sum()
}

fn noise(seed: u64) -> impl FnMut(usize) -> [f32; HINGES] {
    let mut random = rng(seed);
    move |_| std::array::from_fn(|_| normal(&mut random))
}

#[test]
fn it_keeps_the_rules() {
    mamlx_plugin::harness::check_env::<Cheetah>();
}

/// Eight capsules and the goal, in both tasks.
#[test]
fn it_can_be_drawn() {
    for task in ["velocity", "direction"] {
        mamlx_plugin::harness::check_render_with::<Cheetah>(&format!(r#"{{"task": "{task}"}}"#));
    }
}

/// Protocol A.5: goals are uniform on [0, 2], so never moving costs 200 on average.
#[test]
fn standing_still_costs_the_goal_at_every_step() {
    let mut env = cheetah("{}");
    let mut goal = [0.0];
    let returns = (0..400).map(|seed| {
        env.sample_task(seed, &mut goal);
        total(&episode(&mut env, seed, goal[0], |_| [0.0; HINGES]))
    });
    let mean = returns.sum::<f64>() / 400.0;
    // One standard error of the mean goal is 200 · 0.577 / √400 = 5.8.
    assert!((mean + 200.0).abs() < 15.0, "{mean}");
}

/// Never moving on the authors' 40 goals is worth −183.7.
#[test]
fn standing_still_on_the_published_goals_costs_183_7() {
    let goals = include_str!("../../../../experiments/tasks/cheetah_velocity.csv").lines().skip(1);
    let goals: Vec<f32> = goals.map(|line| line.split(',').nth(1).unwrap().parse().unwrap()).collect();
    assert_eq!(goals.len(), 40);
    let mut env = cheetah("{}");
    let returns =
        goals.iter().zip(0..).map(|(&goal, seed)| total(&episode(&mut env, seed, goal, |_| [0.0; HINGES])));
    let mean = returns.sum::<f64>() / 40.0;
    assert!((mean + 183.7).abs() < 2.0, "{mean}");
}

/// A clipped standard normal action costs 0.05 · 6 · 0.516 = 0.155 per step, and its direction knows nothing of the
/// task's: −31 per episode, and what the authors' untrained policies lose by leaning one way.
#[test]
fn an_untrained_policy_pays_for_its_noise() {
    let mut env = cheetah(r#"{"task": "direction"}"#);
    let returns: Vec<f64> = (0..200)
        .flat_map(|seed| [-1.0, 1.0].map(|goal| (seed, goal)))
        .map(|(seed, goal)| total(&episode(&mut env, seed, goal, noise(seed))))
        .collect();
    let mean = returns.iter().sum::<f64>() / returns.len() as f64;
    assert!((mean + 31.0).abs() < 0.5, "{mean}");
}

/// Both directions are drawn, about equally often, and nothing else.
#[test]
fn directions_are_a_fair_coin() {
    let env = cheetah(r#"{"task": "direction"}"#);
    let mut goal = [0.0];
    let draws = (0..1000).map(|seed| {
        env.sample_task(seed, &mut goal);
        assert!(goal[0].abs() == 1.0, "{goal:?}");
        goal[0]
    });
    assert!(draws.sum::<f32>().abs() < 130.0);
}

/// Episodes depend on seed, task and actions, and on nothing that happened before or happens beside them.
#[test]
fn the_same_seed_gives_the_same_bits() {
    for preset in ["rllab", "gym"] {
        let settings = format!(r#"{{"preset": "{preset}"}}"#);
        let mut first = cheetah(&settings);
        let expected = episode(&mut first, 7, 1.0, noise(7));
        assert_ne!(expected, episode(&mut first, 8, 1.0, noise(7)));
        assert_eq!(expected, episode(&mut first, 7, 1.0, noise(7)), "after other episodes");

        let mut second = cheetah(&settings);
        let (mut obs, mut other) = ([0.0; 20], [0.0; 20]);
        first.reset(7, &[1.0], &mut obs).unwrap();
        second.reset(9, &[0.3], &mut other).unwrap();
        let (mut actions, mut others) = (noise(7), noise(9));
        let mut bits: Vec<u32> = obs.iter().map(|x| x.to_bits()).collect();
        for t in 0..HORIZON {
            second.step(&others(t), &mut other).unwrap();
            let step = first.step(&actions(t), &mut obs).unwrap();
            bits.extend(obs.iter().chain([&step.reward]).map(|x| x.to_bits()));
        }
        assert_eq!(expected, bits, "beside another instance");
    }
}

/// The gym preset is five simulation steps of the rllab preset, and both see the same robot.
#[test]
fn the_presets_differ_where_the_literature_does() {
    let (mut rllab, mut gym) = (cheetah("{}"), cheetah(r#"{"preset": "gym"}"#));
    let start = crate::view::Coordinates::default();
    let (mut fast, mut slow) = ([0.0; 20], [0.0; 20]);
    rllab.reset(0, &[0.0], &mut fast).unwrap();
    gym.reset(0, &[0.0], &mut slow).unwrap();
    rllab.world = crate::world::World::new(rllab.physics, &start);
    gym.world = crate::world::World::new(gym.physics, &start);
    gym.seen = gym.world.view();
    let action = [0.5, -0.5, 1.0, 0.2, -1.0, 0.0];
    let reward = gym.step(&action, &mut slow).unwrap().reward;
    for _ in 0..5 {
        rllab.step(&action, &mut fast).unwrap();
    }
    assert_eq!(fast[..17], slow[..17]);
    assert_eq!(fast[17..], [rllab.seen.com[0], 0.0, rllab.seen.com[1]]);
    assert_eq!(slow[17..], [gym.seen.coordinates.position[0], 0.0, slow[0] + 0.7]);
    let cost = 0.05 * action.iter().map(|a| a * a).sum::<f32>();
    assert!((reward + (slow[17] / 0.05).abs() + cost).abs() < 1e-5, "{reward}");
}

#[test]
fn what_is_not_a_number_is_refused() {
    let (mut env, mut obs) = (cheetah("{}"), [0.0; 20]);
    env.reset(0, &[1.0], &mut obs).unwrap();
    for bad in [f32::NAN, f32::INFINITY] {
        let error = env.step(&[0.0, 0.0, bad, 0.0, 0.0, 0.0], &mut obs).unwrap_err();
        assert!(error.contains("`bfoot`") && error.contains("[-1, 1]"), "{error}");
    }
    assert!(env.step(&[0.0; HINGES], &mut obs).is_ok(), "a refused action leaves the robot as it was");
    assert!(env.reset(0, &[f32::NAN], &mut obs).is_err());
    assert!(cheetah(r#"{"task": "direction"}"#).reset(0, &[0.5], &mut obs).is_err());
}

/// Beyond ±1 an action is worth ±1, in torque and in cost.
#[test]
fn actions_are_clipped() {
    let mut env = cheetah("{}");
    let inside = episode(&mut env, 3, 1.0, |_| [1.0, -1.0, 0.0, 1.0, -1.0, 0.0]);
    assert_eq!(inside, episode(&mut env, 3, 1.0, |_| [9.0, -7.0, 0.0, 1.5, -2.0, 0.0]));
}

#[test]
fn an_empty_range_of_goals_is_refused() {
    let params = Params::defaults(Cheetah::DESCRIPTOR.parameters).with("goal_low", 3.0).unwrap();
    let error = Cheetah::create(&params).err().expect("3 is above 2");
    assert!(error.contains("goal_low") && error.contains("goal_high"), "{error}");
}

/// `cargo test --release -p cheetah -- --ignored --nocapture speed` prints steps per second on one core.
#[test]
#[ignore = "a measurement"]
fn speed() {
    for (preset, iterations) in
        [("rllab", 1), ("rllab", 2), ("rllab", 3), ("rllab", 4), ("gym", 2), ("gym", 3), ("gym", 4)]
    {
        let mut env = cheetah(&format!(r#"{{"preset": "{preset}", "solver_iterations": {iterations}}}"#));
        let clock = std::time::Instant::now();
        let steps: usize =
            (0..150).map(|seed| (episode(&mut env, seed, 1.0, noise(seed)).len() - 20) / 21).sum();
        let rate = steps as f64 / clock.elapsed().as_secs_f64();
        println!("{preset} with {iterations} solver iterations: {rate:.0} steps/s");
        assert!(rate > 1000.0);
    }
}

//! What the plugin promises to whoever trains on it.

use mamlx_plugin::{Environment, Params, normal, rng};

use crate::Ant;
use crate::model::HINGES;

const HORIZON: usize = 200;

/// An environment with the parameters of a JSON object, and the length of its observation.
fn ant(params: &str) -> (Ant, usize) {
    let params = Params::parse(Ant::DESCRIPTOR.parameters, params).expect("declared parameters");
    let env = Ant::create(&params).expect("valid parameters");
    let width = env.describe().observation.len();
    (env, width)
}

/// Every bit that an episode shows: observations, rewards, and whether it ended.
fn episode(
    (env, width): &mut (Ant, usize),
    seed: u64,
    task: &[f32],
    mut policy: impl FnMut(usize) -> [f32; HINGES],
) -> (Vec<u32>, f64) {
    let mut obs = vec![0.0; *width];
    env.reset(seed, task, &mut obs).unwrap();
    let mut bits: Vec<u32> = obs.iter().map(|x| x.to_bits()).collect();
    let mut total = 0.0;
    for t in 0..HORIZON {
        let step = env.step(&policy(t), &mut obs).unwrap();
        bits.extend(obs.iter().map(|x| x.to_bits()));
        bits.extend([step.reward.to_bits(), u32::from(step.terminated)]);
        total += f64::from(step.reward);
        if step.terminated {
            break;
        }
    }
    (bits, total)
}

fn noise(seed: u64) -> impl FnMut(usize) -> [f32; HINGES] {
    let mut random = rng(seed);
    move |_| std::array::from_fn(|_| normal(&mut random))
}

fn published(file: &str) -> Vec<f32> {
    let goals: Vec<f32> =
        file.lines().skip(1).map(|line| line.split(',').nth(1).unwrap().parse().unwrap()).collect();
    assert_eq!(goals.len(), 40);
    goals
}

#[test]
fn it_keeps_the_rules() {
    mamlx_plugin::harness::check_env::<Ant>();
    mamlx_plugin::harness::check_env_with::<Ant>(
        r#"{"task": "goal", "preset": "gym", "contacts": "measured", "contact_cost": true}"#,
    );
}

/// The pictures of every task: torso, twelve capsules and a goal.
#[test]
fn it_can_be_drawn() {
    for task in ["velocity", "direction", "goal"] {
        mamlx_plugin::harness::check_render_with::<Ant>(&format!(r#"{{"task": "{task}"}}"#));
    }
    let (mut env, width) = ant(r#"{"task": "goal"}"#);
    env.reset(0, &[1.0, -2.0], &mut vec![0.0; width]).unwrap();
    let mut shapes = vec![];
    mamlx_plugin::Render::shapes(&env, &mut shapes);
    assert_eq!((shapes.len(), shapes[0].from), (14, [1.0, -2.0]));
    let torso = env.seen.coordinates.torso();
    assert_eq!(shapes[13].from, [torso.x, torso.y]);
}

/// Protocol B.5: standing still and alive on the authors' 40 goals is worth −65.6, which is 200 · (1.05 − mean goal)
/// and what the start's own small velocities take away.
#[test]
fn standing_still_on_the_published_goals_is_worth_minus_65_6() {
    let goals = published(include_str!("../../../../experiments/tasks/ant_velocity.csv"));
    let exact = goals.iter().map(|&goal| 200.0 * (1.05 - f64::from(goal))).sum::<f64>() / 40.0;
    assert!((exact + 65.6).abs() < 0.05, "{exact}");
    let mut env = ant("{}");
    let returns =
        goals.iter().zip(0..).map(|(&goal, seed)| episode(&mut env, seed, &[goal], |_| [0.0; HINGES]).1);
    let mean = returns.sum::<f64>() / 40.0;
    assert!((mean - exact).abs() < 2.0, "{mean} instead of {exact}");
}

/// A clipped standard normal action costs 0.005 · 8 · 0.516 = 0.0206 per step, survival pays 0.05, and the direction of
/// the noise knows nothing of the task's.
#[test]
fn an_untrained_policy_earns_its_survival_less_its_noise() {
    let mut env = ant(r#"{"task": "direction"}"#);
    let (mut steps, mut sum) = (0, 0.0);
    for seed in 0..40 {
        for direction in [-1.0, 1.0] {
            let (bits, total) = episode(&mut env, seed, &[direction], noise(seed));
            steps += (bits.len() - env.1) / (env.1 + 2);
            sum += total;
        }
    }
    let per_step = sum / f64::from(steps as u32);
    assert!((per_step - (0.05 - 0.0206)).abs() < 0.002, "{per_step}");
}

/// Rewards and ends of the table, one by one, from a state that is known.
#[test]
fn the_rewards_are_those_of_the_table() {
    let mut controls = [0.0; HINGES];
    (controls[0], controls[3]) = (0.5, -2.0);
    let effort = 0.25 + 1.0;
    for (params, task) in [
        (r#"{"task": "velocity", "observation": "bare"}"#, vec![2.0]),
        (r#"{"task": "direction", "observation": "bare"}"#, vec![-1.0]),
        (r#"{"task": "goal", "observation": "bare"}"#, vec![1.0, -2.0]),
    ] {
        let (mut env, width) = ant(params);
        let mut obs = vec![0.0; width];
        env.reset(3, &task, &mut obs).unwrap();
        let step = env.step(&controls, &mut obs).unwrap();
        let (velocity, com) = (env.seen.com_velocity[0], env.seen.com);
        let gain = match task[..] {
            [x, y] => 4.0 - (com[0] - x).abs() - (com[1] - y).abs(),
            [v] if v > 0.0 => 1.0 - (velocity - v).abs(),
            _ => -velocity,
        };
        assert!((step.reward - (gain + 0.05 - 0.005 * effort)).abs() < 1e-6, "{params}: {}", step.reward);
        assert!(!step.terminated);
    }
}

/// A clipped force of 1 in every entry would cost 0.0005 for each.
#[test]
fn contacts_cost_and_show_only_where_asked() {
    let plain = episode(&mut ant("{}"), 5, &[1.0], noise(5));
    let mut charged = ant(r#"{"contact_cost": true}"#);
    let cost = plain.1 - episode(&mut charged, 5, &[1.0], noise(5)).1;
    assert!(cost > 0.0 && cost < 200.0 * 84.0 * 0.0005, "{cost}");
    let (mut env, width) = ant(r#"{"contacts": "measured"}"#);
    let (mut obs, mut unseen) = (vec![0.0; width], vec![0.0; width]);
    env.reset(5, &[1.0], &mut obs).unwrap();
    charged.0.reset(5, &[1.0], &mut unseen).unwrap();
    assert_eq!(obs, unseen, "nothing touches the floor before the first step");
    for _ in 0..20 {
        env.step(&[0.0; HINGES], &mut obs).unwrap();
        charged.0.step(&[0.0; HINGES], &mut unseen).unwrap();
    }
    let block = 29..29 + 84;
    assert!(unseen[block.clone()].iter().all(|&x| x == 0.0));
    assert!(obs[block.clone()].contains(&1.0), "a foot carries two newtons: {:?}", &obs[block]);
    assert_eq!((&obs[..29], &obs[113..]), (&unseen[..29], &unseen[113..]));
}

/// The layouts are parts of one another.
#[test]
fn every_layout_shows_the_same_robot() {
    let paper = r#"{"observation": "paper"}"#;
    let observe = |params: &str| {
        let (mut env, width) = ant(params);
        let mut obs = vec![0.0; width];
        env.reset(11, &[1.0], &mut obs).unwrap();
        env.step(&[0.3; HINGES], &mut obs).unwrap();
        obs
    };
    let full = observe(paper);
    assert_eq!(full.len(), 125);
    assert_eq!(observe(r#"{"observation": "bare"}"#), [&full[..29], &full[113..]].concat());
    assert_eq!(observe(r#"{"observation": "state"}"#), full[..29]);
    assert_eq!(observe(r#"{"observation": "local"}"#), full[2..29]);
}

/// Too high, too low: the episode is over, and its last step is paid as usual.
#[test]
fn leaving_the_heights_ends_the_episode() {
    let (mut env, width) = ant("{}");
    let mut obs = vec![0.0; width];
    for (height, over) in [(0.15, true), (0.6, false), (1.2, true)] {
        env.reset(0, &[0.0], &mut obs).unwrap();
        let mut start = env.preset.pose();
        start.position[2] = height;
        env.world = crate::world::World::new(env.physics, &start);
        assert_eq!(env.step(&[0.0; HINGES], &mut obs).unwrap().terminated, over, "height {height}");
    }
}

/// Both directions are drawn, about equally often, and nothing else; goals fill the square.
#[test]
fn tasks_are_drawn_as_the_paper_s() {
    let mut task = [0.0; 2];
    let (env, _) = ant(r#"{"task": "direction"}"#);
    let draws = (0..1000).map(|seed| {
        env.sample_task(seed, &mut task[..1]);
        assert!(task[0].abs() == 1.0, "{task:?}");
        task[0]
    });
    assert!(draws.sum::<f32>().abs() < 130.0);
    let (env, _) = ant(r#"{"task": "goal"}"#);
    let mut quadrants = [0; 4];
    for seed in 0..400 {
        env.sample_task(seed, &mut task);
        assert!(task.iter().all(|x| x.abs() <= 3.0), "{task:?}");
        quadrants[usize::from(task[0] > 0.0) + 2 * usize::from(task[1] > 0.0)] += 1;
    }
    assert!(quadrants.iter().all(|&n| n > 60), "{quadrants:?}");
}

/// Episodes depend on seed, task and actions, and on nothing that happened before or happens beside them.
#[test]
fn the_same_seed_gives_the_same_bits() {
    for preset in ["rllab", "gym"] {
        let settings = format!(r#"{{"preset": "{preset}", "contacts": "measured"}}"#);
        let mut first = ant(&settings);
        let expected = episode(&mut first, 7, &[1.0], noise(7)).0;
        assert_ne!(expected, episode(&mut first, 8, &[1.0], noise(7)).0);
        assert_eq!(expected, episode(&mut first, 7, &[1.0], noise(7)).0, "after other episodes");
        let beside = std::thread::scope(|scope| {
            let other = scope.spawn(|| episode(&mut ant(&settings), 9, &[0.3], noise(9)));
            let bits = episode(&mut ant(&settings), 7, &[1.0], noise(7)).0;
            other.join().expect("no step fails");
            bits
        });
        assert_eq!(expected, beside, "beside another instance");
    }
}

#[test]
fn what_is_not_a_number_is_refused() {
    let (mut env, width) = ant("{}");
    let mut obs = vec![0.0; width];
    env.reset(0, &[1.0], &mut obs).unwrap();
    for bad in [f32::NAN, f32::INFINITY] {
        let error = env.step(&[0.0, 0.0, bad, 0.0, 0.0, 0.0, 0.0, 0.0], &mut obs).unwrap_err();
        assert!(error.contains("`hip_1`") && error.contains("[-1, 1]"), "{error}");
    }
    assert!(env.step(&[0.0; HINGES], &mut obs).is_ok(), "a refused action leaves the robot as it was");
    assert!(env.reset(0, &[f32::NAN], &mut obs).is_err());
    assert!(ant(r#"{"task": "direction"}"#).0.reset(0, &[0.5], &mut obs).is_err());
    assert!(ant(r#"{"task": "goal"}"#).0.reset(0, &[0.5, f32::NAN], &mut obs).is_err());
}

/// Beyond ±1 an action is worth ±1, in torque and in cost.
#[test]
fn actions_are_clipped() {
    let mut env = ant("{}");
    let inside = [1.0, -1.0, 0.0, 1.0, -1.0, 0.0, 0.5, 0.0];
    let outside = [9.0, -7.0, 0.0, 1.5, -2.0, 0.0, 0.5, 0.0];
    assert_eq!(episode(&mut env, 3, &[1.0], |_| inside), episode(&mut env, 3, &[1.0], |_| outside));
}

#[test]
fn parameters_that_contradict_each_other_are_refused() {
    for (params, words) in [
        (r#"{"goal_low": 4.0}"#, ["goal_low", "goal_high"]),
        (r#"{"contacts": "measured", "observation": "state"}"#, ["contacts", "paper"]),
    ] {
        let params = Params::parse(Ant::DESCRIPTOR.parameters, params).unwrap();
        let error = Ant::create(&params).err().expect("a contradiction");
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    }
}

/// `cargo test --release -p ant -- --ignored --nocapture speed` prints steps per second on one core.
#[test]
#[ignore = "a measurement"]
fn speed() {
    for (preset, iterations) in
        [("rllab", 1), ("rllab", 2), ("rllab", 3), ("rllab", 4), ("gym", 2), ("gym", 4)]
    {
        let mut env = ant(&format!(r#"{{"preset": "{preset}", "solver_iterations": {iterations}}}"#));
        let clock = std::time::Instant::now();
        let mut steps = 0;
        for seed in 0..60 {
            steps += (episode(&mut env, seed, &[1.0], noise(seed)).0.len() - env.1) / (env.1 + 2);
        }
        let rate = f64::from(steps as u32) / clock.elapsed().as_secs_f64();
        println!("{preset} with {iterations} solver iterations: {rate:.0} steps/s");
        assert!(rate > 100.0);
    }
}

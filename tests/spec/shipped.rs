//! The shipped experiments have the settings of their paper or of the authors' stored results.

use super::param;
use mamlx::spec::*;

fn shipped(name: &str, sets: &[&str]) -> Spec {
    let path = format!("{}/experiments/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let draft = read(std::fs::read(&path).unwrap(), &path, sets).unwrap();
    let text = |name: &str, choices: [&str; 2]| Param {
        choices: choices.map(String::from).to_vec(),
        ..param(name, ParamKind::Text, None)
    };
    let cheetah = vec![text("preset", ["rllab", "gym"]), text("task", ["velocity", "direction"])];
    let ant = vec![
        text("preset", ["rllab", "gym"]),
        text("task", ["velocity", "direction"]),
        text("contacts", ["zero", "measured"]),
        param("contact_cost", ParamKind::Bool, None),
    ];
    let (params, kind) = match draft.plugin() {
        "sinusoid" => (vec![], PluginKind::Tasks),
        "miniimagenet" => (vec![], PluginKind::Data),
        "omniglot" => {
            let whole = |name: &str| param(name, ParamKind::Int, Some(ParamValue::Int(1)));
            let numbers = ["split_seed", "train_classes", "val_classes"].map(whole);
            let words = [text("images", ["full", "minimal"]), text("split", ["shuffled", "by_file"])];
            (words.into_iter().chain(numbers).collect(), PluginKind::Data)
        }
        "cheetah" => (cheetah, PluginKind::Environment),
        "ant" => (ant, PluginKind::Environment),
        _ => (vec![text("reward", ["distance", "squared_distance"])], PluginKind::Environment),
    };
    draft.resolve(&ParamTable { params }, kind).unwrap_or_else(|problems| panic!("{problems}"))
}

const TRPO: Optimizer = Optimizer::Trpo {
    kl: 0.01,
    cg_iterations: 10,
    cg_damping: 1e-5,
    backtrack_ratio: 0.8,
    max_backtracks: 15,
    products: Products::Exact,
};

#[test]
fn sinusoid_is_a1() {
    let spec = shipped("sinusoid", &[]);
    assert_eq!((spec.task.support, spec.task.query, spec.task.horizon), (10, 10, None));
    assert_eq!((spec.outer.iterations, spec.outer.tasks), (70_000, 25));
    assert_eq!((spec.inner.steps, spec.inner.rate, spec.inner.order), (1, 0.001, Order::Second));
    assert_eq!((spec.eval.tasks, spec.eval.steps), (600, 10));
    assert_eq!(spec.eval.support, [5, 10, 20]);
    assert_eq!(spec.eval.rate[&Method::Pretrained], [0.01, 0.02, 0.02]);
    let adam = Optimizer::Adam { rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, clip: None };
    assert_eq!(spec.outer.optimizer, adam);
    assert_eq!(shipped("sinusoid", &["methods=[fomaml]"]).methods, [Method::Fomaml]);
}

#[test]
fn point_nav_has_the_stored_settings() {
    let spec = shipped("point_nav", &[]);
    assert_eq!((spec.task.support, spec.outer.tasks, spec.task.horizon), (20, 20, Some(100)));
    assert_eq!((spec.inner.rate, spec.eval.later_rate_factor), (0.5, 0.5));
    assert_eq!((spec.task.sampling, spec.eval.sampling), (Sampling::Steps, Sampling::Completed));
    let Optimizer::Trpo { products, .. } = spec.outer.optimizer else { panic!("point_nav trains with trpo") };
    assert_eq!((spec.outer.iterations, products), (100, Products::FiniteDifference));
    assert_eq!((spec.eval.support.as_slice(), spec.eval.tasks, spec.eval.steps), ([40].as_slice(), 40, 3));
    assert_eq!(spec.model.hidden, [100, 100]);
    assert_eq!(spec.task.params["reward"], ParamValue::Text("distance".into()));
}

#[test]
fn cheetah_has_the_papers_settings() {
    for (name, task, pretrained, random, every) in
        [("cheetah_vel", "velocity", 0.02, 0.1, 20), ("cheetah_dir", "direction", 0.2, 1.0, 25)]
    {
        let spec = shipped(name, &[]);
        assert_eq!(spec.name, name);
        assert_eq!(spec.task.params["preset"], ParamValue::Text("rllab".into()));
        assert_eq!(spec.task.params["task"], ParamValue::Text(task.into()));
        assert_eq!((spec.task.support, spec.outer.tasks, spec.task.horizon), (20, 40, Some(200)));
        assert_eq!((spec.inner.rate, spec.eval.later_rate_factor), (0.1, 0.5));
        assert_eq!((spec.outer.iterations, spec.outer.optimizer), (500, TRPO));
        assert_eq!(spec.methods, [Method::Random, Method::Maml]);
        assert_eq!(spec.eval.rate[&Method::Pretrained], [pretrained]);
        assert_eq!(spec.eval.rate[&Method::Random], [random]);
        assert_eq!(
            (spec.eval.support.as_slice(), spec.eval.every, spec.eval.steps),
            ([20].as_slice(), every, 3)
        );
    }
}

#[test]
fn ant_has_the_papers_settings() {
    for (name, task, episodes, later) in
        [("ant_vel", "velocity", 20, 0.5), ("ant_dir", "direction", 40, 0.01)]
    {
        let spec = shipped(name, &[]);
        assert_eq!(spec.task.params["preset"], ParamValue::Text("rllab".into()));
        assert_eq!(spec.task.params["task"], ParamValue::Text(task.into()));
        assert_eq!((spec.task.support, spec.outer.tasks, spec.task.horizon), (episodes, 40, Some(200)));
        assert_eq!((spec.inner.rate, spec.eval.later_rate_factor), (0.1, later));
        assert_eq!((spec.outer.iterations, spec.outer.optimizer), (500, TRPO));
        assert_eq!(spec.eval.rate[&Method::Pretrained], [0.2]);
        assert_eq!(spec.eval.rate[&Method::Random], [1.0]);
        assert_eq!((spec.eval.support.as_slice(), spec.eval.steps), ([episodes].as_slice(), 3));
    }
}

#[test]
fn the_task_files_are_there_and_have_every_task() {
    for name in ["point_nav", "cheetah_vel", "cheetah_dir", "ant_vel", "ant_dir"] {
        let eval = shipped(name, &[]).eval;
        let path = format!("{}/experiments/{}", env!("CARGO_MANIFEST_DIR"), eval.task_file.unwrap());
        let rows = std::fs::read_to_string(path).unwrap().lines().count() - 1;
        assert_eq!(rows, eval.tasks);
    }
}

/// Protocol, sections A.2 and A.3: meta-batch, inner steps and rate, and the numbers of table 1.
#[test]
fn classification_has_the_settings_of_table_1() {
    let cases = [
        ("omniglot_5w1s", 5, 1, 1, (32, 1, 0.4), (3, 0.987)),
        ("omniglot_5w5s", 5, 5, 5, (32, 1, 0.4), (3, 0.999)),
        ("omniglot_20w1s", 20, 1, 1, (16, 5, 0.1), (5, 0.958)),
        ("omniglot_20w5s", 20, 5, 5, (16, 5, 0.1), (5, 0.989)),
        ("omniglot_noconv_5w1s", 5, 1, 1, (32, 1, 0.4), (3, 0.897)),
        ("omniglot_noconv_5w5s", 5, 5, 5, (32, 1, 0.4), (3, 0.975)),
        ("miniimagenet_5w1s", 5, 1, 15, (4, 5, 0.01), (10, 0.487)),
        ("miniimagenet_5w5s", 5, 5, 15, (2, 5, 0.01), (10, 0.6311)),
    ];
    for (name, ways, support, query, (batch, steps, rate), (at, accuracy)) in cases {
        let spec = shipped(name, &[]);
        assert_eq!(spec.name, name);
        assert_eq!(
            (spec.task.ways, spec.task.support, spec.task.query),
            (Some(ways), support, query),
            "{name}"
        );
        assert_eq!((spec.outer.tasks, spec.inner.steps, spec.inner.rate), (batch, steps, rate), "{name}");
        assert_eq!((spec.outer.iterations, spec.eval.tasks, spec.eval.steps), (60_000, 600, 10), "{name}");
        assert_eq!(spec.inner.reduction, Reduction::SumOverShot, "{name}");
        assert_eq!(spec.task.rotate, name.starts_with("omniglot"), "{name}");
        assert_eq!((spec.eval.every, spec.eval.select), (1000, Select::Best), "{name}");
        let published = &spec.published[0];
        assert_eq!((&published.steps[..], &published.values[..]), (&[at][..], &[accuracy][..]), "{name}");
        assert_eq!(published.metric, Metric::Accuracy);
    }
    let small = shipped("omniglot_small_5w1s", &[]);
    assert_eq!((small.outer.iterations, small.outer.tasks, small.inner.rate), (3000, 32, 0.4));
    assert_eq!(small.inner.reduction, Reduction::Mean);
}

//! The declared fields, block by block: name, range, default and the source of the default.
//!
//! "Paper" is Finn, Abbeel and Levine (ICML 2017) and "released" their code; "A.1" and "A.4" are the settings of
//! the sinusoid and of reinforcement learning there.

use super::block::{Block, Field};
use super::bounds::Bounds;
use super::bytes::Bytes;
use super::layers;
use super::params::{self, ParamTable, PluginKind};
use super::report::Report;
use super::schema::*;
use super::tree::Node;
use super::words::Word;
use std::collections::BTreeMap;

/// Step sizes. A larger one than 1000 is a slip of the keyboard.
const RATE: Bounds = Bounds::above(0.0).to(1000.0);
pub(super) const POSITIVE: Bounds = Bounds::above(0.0);
const UNIT: Bounds = Bounds::from(0.0).to(1.0);
const POINTS: std::ops::RangeInclusive<u64> = 1..=1_000_000;
const ITERATIONS: std::ops::RangeInclusive<u64> = 0..=1_000_000_000;

/// What the walk learns beside the Spec: whether the loss is known, so that rules about it may speak.
pub(super) struct Walked {
    pub spec: Spec,
    pub loss_is_known: bool,
}

/// Reads every field. Without a plugin (its name is wrong, or it could not be loaded) the parameters are not
/// checked and nothing is said about what depends on the plugin's kind.
pub(super) fn walk(root: &Node, report: &Report, plugin: Option<(&ParamTable, PluginKind)>) -> Walked {
    let kind = plugin.map(|(_, kind)| kind);
    let mut top = Field::root(report, root).block();
    let name = name(&top.field("name"));
    let seed = top.field("seed").whole(0..=u64::MAX, Some(0));
    let methods = methods(top.field("methods"));
    let task = task(top.field("task").block(), plugin.map(|(table, _)| table));
    let model_field = top.field("model");
    let inner_field = top.field("inner");
    let loss_is_known = kind.is_some() || inner_field.node.is_some_and(|node| node.get("loss").is_some());
    let inner = inner(inner_field.block(), kind);
    let model = model(model_field.block(), inner.loss, &methods);
    let outer = outer(top.field("outer").block(), inner.loss);
    let eval = eval(top.field("eval").block(), task.support, task.sampling);
    let averaged = averaged(top.field("averaged"), &methods);
    let published = published(top.field("published"));
    let device = top.field("device").word(Device::Cpu);
    let memory_budget = top.field("memory_budget").given().and_then(|field| bytes(&field));
    let isolation = isolation(top.field("isolation"));
    sweep(top.field("sweep").block());
    let spec = Spec {
        name,
        seed,
        methods,
        task,
        model,
        inner,
        outer,
        eval,
        averaged,
        published,
        device,
        memory_budget,
        isolation,
    };
    Walked { spec, loss_is_known }
}

/// Default: in the run's own process. A step of the shipped environments takes microseconds; ten seconds are a hang.
fn isolation(field: Field<'_>) -> Isolation {
    match field.tagged(&["none", "process"], "none") {
        ("process", mut block) => Isolation::Process {
            time_limit_secs: block.field("time_limit_secs").single(POSITIVE.to(86_400.0), 10.0),
        },
        _ => Isolation::None,
    }
}

fn bytes(field: &Field<'_>) -> Option<Bytes> {
    let text = field.text(Bytes::WHAT, |text| text.parse::<Bytes>().map(|_| ()))?;
    text.parse().ok()
}

fn name(field: &Field<'_>) -> String {
    if field.node.is_none() {
        field.missing("`name: WORD`, the experiment's name; it becomes the folder under results/");
    }
    let text = field.text("a name of at most 100 characters out of a-z 0-9 _ . -", |text| {
        let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.-".contains(c);
        let better: String = text.to_lowercase().chars().map(|c| if letter(c) { c } else { '_' }).collect();
        match text {
            "" => Err("it is empty".into()),
            _ if text.len() > 100 => Err(format!("it has {} bytes", text.len())),
            _ if text.starts_with('.') => Err("it must not start with a dot".into()),
            _ if better != text => Err(format!("write {}", super::source::quote(&better))),
            _ => Ok(()),
        }
    });
    text.unwrap_or_default()
}

/// Default: maml alone.
fn methods(field: Field<'_>) -> Vec<Method> {
    let at = field.at();
    let (report, path) = (field.report, field.path.clone());
    let Some(items) = field.items() else { return vec![Method::Maml] };
    let mut methods = Vec::new();
    // There are few methods; far beyond that every entry is one more repetition.
    for item in items.iter().take(100) {
        let method = item.word(Method::Maml);
        if report.clean(&[&item.path]) && methods.contains(&method) {
            item.error(format!("`{path}` names {} twice", method.word()), Some("remove one".into()));
        }
        methods.push(method);
    }
    if items.is_empty() {
        let words: Vec<&str> = Method::words().collect();
        report.error(
            at,
            &path,
            "`methods` is an empty list",
            Some(format!("name one of {}", words.join(", "))),
        );
    }
    methods
}

/// Defaults: no parameters, as many query points as support points, no turns, no horizon.
fn task(mut block: Block<'_>, table: Option<&ParamTable>) -> Task {
    let plugin = plugin_name(&block.field("plugin"));
    let params = block.field("params");
    let params = match table {
        Some(table) => params::check(params, table),
        None => {
            params.block().ignore_the_rest();
            BTreeMap::new()
        }
    };
    let ways = block.field("ways").given().map(|field| field.count(2..=10_000, Some(2)));
    let support = block.field("support").count(POINTS, None);
    let query = block.field("query").count(POINTS, Some(support));
    let rotate = block.field("rotate").flag(false);
    let horizon = block.field("horizon").given().map(|field| field.count(1..=1_000_000, Some(1)));
    let sampling = block.field("sampling").word(Sampling::Episodes);
    Task { plugin: plugin.unwrap_or_default(), params, ways, support, query, rotate, horizon, sampling }
}

/// The plugin's name, where it is one.
pub(super) fn plugin_name(field: &Field<'_>) -> Option<String> {
    if field.node.is_none() {
        field.missing("`plugin: NAME`, such as sinusoid; `mamlx plugin list` shows what there is");
    }
    field.text("the name of a plugin", |text| {
        let stem = text.rsplit('/').next().unwrap_or(text).trim_start_matches("lib");
        let stem = stem.split('.').next().unwrap_or(stem);
        let letter = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
        match text {
            "" => Err("it is empty".into()),
            _ if text.len() > 100 => Err(format!("it has {} bytes", text.len())),
            _ if text.starts_with('-') => Err("it must start with a letter or digit".into()),
            _ if text.chars().all(letter) => Ok(()),
            _ if !stem.is_empty() && stem.chars().all(letter) => {
                Err(format!("write `{stem}`; the folder to look in is given by --plugin-path"))
            }
            _ => Err("a name has letters, digits, `_` and `-`".into()),
        }
    })
}

/// Defaults by loss. Supervised: 40, 40, truncated normal 0.01 (A.1). Reinforcement learning: 100, 100, Xavier,
/// initial deviation 1, floor 1e-6 (A.4). ReLU in both. A context vector has 10 numbers.
fn model(mut block: Block<'_>, loss: Loss, methods: &[Method]) -> Model {
    let (width, init) = match loss {
        Loss::Reinforce => (100, Init::Xavier),
        Loss::SquaredError | Loss::CrossEntropy => (40, Init::TruncatedNormal { std: 0.01 }),
    };
    let layers = block.field("layers").given();
    let hidden = match block.field("hidden").items() {
        None if layers.is_some() => vec![],
        None => vec![width, width],
        Some(items) => {
            if let Some(item) = items.get(64) {
                item.error("`model.hidden` has more than 64 layers", None);
            }
            items.iter().take(64).map(|item| item.count(1..=65_536, Some(1))).collect()
        }
    };
    let activation = block.field("activation").word(Activation::Relu);
    let init = init_of(block.field("init"), init);
    let init_std = block.field("init_std").single(POSITIVE.to(1000.0), 1.0);
    let min_std = block.field("min_std").single(POSITIVE.to(1000.0), 1e-6);
    let layers = layers.map(|field| layers::layers(field, init));
    let context = block.field("context");
    let read = context.node.is_some() || methods.contains(&Method::Context);
    let context = read.then_some(context.count(1..=65_536, Some(10)));
    Model { hidden, activation, init, layers, context, init_std, min_std }
}

/// Defaults of the deviations: the released code's.
pub(super) fn init_of(field: Field<'_>, default: Init) -> Init {
    if field.node.is_none() && field.report.listener().is_none() {
        return default;
    }
    let word = match default {
        Init::TruncatedNormal { .. } => "truncated_normal",
        Init::Xavier => "xavier",
        Init::Normal { .. } => "normal",
    };
    match field.tagged(&["truncated_normal", "xavier", "normal"], word) {
        ("xavier", _) => Init::Xavier,
        ("normal", mut block) => Init::Normal { std: block.field("std").single(POSITIVE.to(1000.0), 1.0) },
        (_, mut block) => Init::TruncatedNormal { std: block.field("std").single(POSITIVE.to(1000.0), 0.01) },
    }
}

/// Defaults: one step of 0.01, second order, mean (A.1). The loss follows from the plugin: environments
/// `reinforce`, labelled data `cross_entropy`, everything else `squared_error`.
fn inner(mut block: Block<'_>, kind: Option<PluginKind>) -> Inner {
    let loss = match kind {
        Some(PluginKind::Environment) => Loss::Reinforce,
        Some(PluginKind::Data) => Loss::CrossEntropy,
        Some(PluginKind::Tasks) | None => Loss::SquaredError,
    };
    Inner {
        steps: block.field("steps").count(1..=1000, Some(1)),
        rate: block.field("rate").single(RATE, 0.01),
        order: block.field("order").word(Order::Second),
        loss: block.field("loss").word(loss),
        reduction: block.field("reduction").word(Reduction::Mean),
    }
}

/// Defaults: 25 tasks (A.1); discount 0.99 and λ 1 (A.4). The optimizer follows from the loss: `trpo` for
/// `reinforce` (paper, Algorithm 3), else `adam`.
fn outer(mut block: Block<'_>, loss: Loss) -> Outer {
    let iterations = block.field("iterations");
    let tasks = block.field("tasks");
    Outer {
        iterations: iterations.count(1..=*ITERATIONS.end(), None),
        tasks: tasks.count(POINTS, Some(25)),
        optimizer: optimizer(block.field("optimizer"), loss),
        estimator: block.field("estimator").word(Estimator::Maml),
        discount: block.field("discount").single(POSITIVE.to(1.0), 0.99),
        gae_lambda: block.field("gae_lambda").single(UNIT, 1.0),
        log_every: block.field("log_every").count(1..=*ITERATIONS.end(), Some(1)),
    }
}

/// Defaults of adam: Kingma and Ba (2015), released rate 1e-3. Defaults of trpo: A.4.
fn optimizer(field: Field<'_>, loss: Loss) -> Optimizer {
    let default = if loss == Loss::Reinforce { "trpo" } else { "adam" };
    let (kind, mut block) = field.tagged(&["adam", "sgd", "trpo"], default);
    let clip = |block: &mut Block<'_>| block.field("clip").given().map(|field| field.single(POSITIVE, 1.0));
    match kind {
        "trpo" => Optimizer::Trpo {
            kl: block.field("kl").single(RATE, 0.01),
            cg_iterations: block.field("cg_iterations").count(1..=10_000, Some(10)),
            cg_damping: block.field("cg_damping").single(Bounds::from(0.0).to(1000.0), 1e-5),
            backtrack_ratio: block.field("backtrack_ratio").single(POSITIVE.below(1.0), 0.8),
            max_backtracks: block.field("max_backtracks").count(1..=1000, Some(15)),
            products: block.field("products").word(Products::Exact),
        },
        "sgd" => Optimizer::Sgd { rate: block.field("rate").single(RATE, 1e-3), clip: clip(&mut block) },
        _ => Optimizer::Adam {
            rate: block.field("rate").single(RATE, 1e-3),
            beta1: block.field("beta1").single(Bounds::from(0.0).below(1.0), 0.9),
            beta2: block.field("beta2").single(Bounds::from(0.0).below(1.0), 0.999),
            epsilon: block.field("epsilon").single(POSITIVE.to(1.0), 1e-8),
            clip: clip(&mut block),
        },
    }
}

/// Defaults: only at the end, 600 sampled tasks, 10 steps (A.1), with the support size of training; the step size
/// of training, unchanged after the first update; batches sampled as in training.
fn eval(mut block: Block<'_>, support: usize, sampling: Sampling) -> Eval {
    let every = block.field("every").count(ITERATIONS, Some(0));
    let select = block.field("select").word(Select::Last);
    let tasks = block.field("tasks").count(POINTS, Some(600));
    let task_file = block.field("task_file").given().and_then(|field| {
        field.text("the name of a CSV file", |text| match text {
            "" => Err("it is empty; write null for sampled tasks".into()),
            _ if text.len() > 4096 => Err("no file has such a long name".into()),
            _ => Ok(()),
        })
    });
    let steps = block.field("steps").count(0..=10_000, Some(10));
    let support = supports(block.field("support"), support);
    let rate = rates(block.field("rate"), support.len());
    let later_rate_factor = block.field("later_rate_factor").single(RATE, 1.0);
    let sampling = block.field("sampling").word(sampling);
    Eval { every, select, tasks, task_file, steps, support, sampling, rate, later_rate_factor }
}

fn supports(field: Field<'_>, default: usize) -> Vec<usize> {
    let (report, at, path) = (field.report, field.at(), field.path.clone());
    let Some(items) = field.items() else { return vec![default] };
    let mut sizes = Vec::with_capacity(items.len());
    for item in &items {
        let size = item.count(POINTS, Some(1));
        if report.clean(&[&item.path]) && sizes.contains(&size) {
            item.error(format!("`{path}` names {size} twice"), Some("remove one".into()));
        }
        sizes.push(size);
        // The comparison with all before is quadratic, and no figure has this many curves.
        if sizes.len() > 1000 {
            item.error(format!("`{path}` has more than 1000 entries"), None);
            break;
        }
    }
    if items.is_empty() {
        report.error(at, &path, "`eval.support` is an empty list", Some("name at least one size".into()));
    }
    sizes
}

/// Step sizes by method: one number for every support size, or as many numbers as there are sizes.
fn rates(field: Field<'_>, sizes: usize) -> BTreeMap<Method, Vec<f64>> {
    let mut block = field.block();
    let mut rates = BTreeMap::new();
    for &(word, method) in Method::TABLE {
        let field = block.field(word);
        let (report, at, path) = (field.report, field.at(), field.path.clone());
        let single = !matches!(field.node.map(|node| &node.kind), Some(super::tree::Kind::List(_)));
        let Some(items) = field.items() else { continue };
        let list: Vec<f64> = items.iter().take(1001).map(|item| item.single(RATE, 1.0)).collect();
        if single {
            rates.insert(method, vec![list[0]; sizes]);
        } else if list.len() == sizes {
            rates.insert(method, list);
        } else if report.clean(&["eval.support"]) {
            let message = format!("`{path}` has {} entries but `eval.support` has {sizes}", list.len());
            let help = "give one number for all, or one for each entry of `eval.support`";
            report.error(at, &path, message, Some(help.into()));
        }
    }
    rates
}

/// Defaults: 500 regressors with a loss below 0.02 (appendix C.1). That takes some thousand steps, and a step costs what
/// one of the pretrained network does; 10,000 are far above most that get there. The penalties are ours: the highest of
/// 1, 3, 10, … e-4 that leave nearly all regressors of the shipped sinusoid below.
fn averaged(field: Field<'_>, methods: &[Method]) -> Option<Averaged> {
    let read = field.node.is_some() || methods.iter().any(|method| method.averages());
    let mut block = field.block();
    let penalty = Bounds::from(0.0).to(1000.0);
    let averaged = Averaged {
        regressors: block.field("regressors").count(1..=1_000_000, Some(500)),
        loss: block.field("loss").single(POSITIVE, 0.02),
        max_steps: block.field("max_steps").count(1..=10_000_000, Some(10_000)),
        l2: block.field("l2").single(penalty, 1e-3),
        to_mean: block.field("to_mean").single(penalty, 3e-3),
    };
    read.then_some(averaged)
}

/// Only the form is looked at here; `sweep.rs` makes runs of it. Defaults: the file's own seed, and no grid.
fn sweep(mut block: Block<'_>) {
    let field = block.field("seeds");
    let (report, at, path) = (field.report, field.at(), field.path.clone());
    if let Some(items) = field.items() {
        for item in &items {
            item.whole(0..=u64::MAX, Some(0));
        }
        if items.is_empty() {
            report.error(at, &path, "`sweep.seeds` is an empty list", Some("name at least one seed".into()));
        }
    }
    block.field("grid").block().ignore_the_rest();
}

/// Default: none.
fn published(field: Field<'_>) -> Vec<Published> {
    let items = field.items().unwrap_or_default();
    items.into_iter().take(1000).map(published_of).collect()
}

fn published_of(field: Field<'_>) -> Published {
    let mut block = field.block();
    let method = block.field("method");
    if method.node.is_none() {
        method.missing("`method: WORD`, whose numbers these are");
    }
    let method = method.word(Method::Maml);
    let support = block.field("support").given().map(|field| field.count(POINTS, Some(1)));
    let metric = block.field("metric").word(Metric::Loss);
    let steps = block.field("steps").items().unwrap_or_default();
    let steps: Vec<usize> = steps.iter().take(10_001).map(|step| step.count(0..=10_000, Some(0))).collect();
    let field = block.field("values");
    let (report, at, path) = (field.report, field.at(), field.path.clone());
    let values = field.items().unwrap_or_default();
    let values: Vec<f64> =
        values.iter().take(10_001).map(|value| value.single(Bounds::closed(None, None), 0.0)).collect();
    if values.len() != steps.len() {
        let message = format!("`{path}` has {} numbers for {} steps", values.len(), steps.len());
        report.error(at, &path, message, Some("give one value for each entry of `steps`".into()));
    }
    Published { method, support, metric, steps, values }
}

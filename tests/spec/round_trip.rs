//! The resolved spec, printed and read again, is the same spec with the same hash.

use super::{param, resolve};
use mamlx::random::{Purpose, Stream, stream};
use mamlx::spec::*;
use rand::RngExt;
use std::collections::BTreeMap;

const BASE: &str = "name: demo\ntask: {plugin: demo, support: 10}\nouter: {iterations: 5}\n";

struct Draw(Stream);

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        self.0.random_range(0..n)
    }

    fn coin(&mut self) -> bool {
        self.0.random_bool(0.5)
    }

    /// A positive number of any of the magnitudes that occur, with a full mantissa.
    fn rate(&mut self, high: f64) -> f64 {
        let exponent = self.0.random_range(-12.0..2.5);
        10f64.powf(exponent).min(high)
    }

    fn word<T: Word>(&mut self) -> T {
        T::TABLE[self.below(T::TABLE.len())].1
    }

    fn text(&mut self) -> String {
        const PIECES: [&str; 22] = [
            "a", "Z", "0", " ", ": ", "#", " #", "'", "\"", "\\", "- ", "null", "~", "true", "1e3", "é",
            "😀", "[", "{", "|", "*", "<<",
        ];
        (0..self.below(6)).map(|_| PIECES[self.below(PIECES.len())]).collect()
    }

    fn param(&mut self) -> (ParamKind, ParamValue) {
        match self.below(4) {
            0 => (ParamKind::Bool, ParamValue::Bool(self.coin())),
            1 => (ParamKind::Int, ParamValue::Int(self.0.random())),
            2 => (ParamKind::Float, ParamValue::Float(self.any_float())),
            _ => (ParamKind::Text, ParamValue::Text(self.text())),
        }
    }

    fn any_float(&mut self) -> f64 {
        loop {
            let x = f64::from_bits(self.0.random());
            if x.is_finite() {
                return x;
            }
        }
    }

    fn optimizer(&mut self, reinforce: bool) -> Optimizer {
        let clip = if self.coin() { Some(self.rate(100.0)) } else { None };
        match self.below(if reinforce { 3 } else { 2 }) {
            0 => Optimizer::Sgd { rate: self.rate(1000.0), clip },
            1 => Optimizer::Adam {
                rate: self.rate(1000.0),
                beta1: self.rate(0.9),
                beta2: self.rate(0.999),
                epsilon: self.rate(1.0),
                clip,
            },
            _ => Optimizer::Trpo {
                kl: self.rate(1.0),
                cg_iterations: 1 + self.below(50),
                cg_damping: self.rate(1.0),
                backtrack_ratio: self.rate(0.9),
                max_backtracks: 1 + self.below(50),
                products: [Products::Exact, Products::FiniteDifference][self.below(2)],
            },
        }
    }

    fn init(&mut self) -> Init {
        match self.below(3) {
            0 => Init::Xavier,
            1 => Init::TruncatedNormal { std: self.rate(1000.0) },
            _ => Init::Normal { std: self.rate(1000.0) },
        }
    }

    fn layer(&mut self) -> Layer {
        let (init, adapted, scale) = (self.init(), self.coin(), self.coin());
        match self.below(11) {
            0 => Layer::Conv {
                filters: 1 + self.below(512),
                kernel: 1 + self.below(9),
                stride: 1 + self.below(3),
                padding: self.word(),
                bias: self.coin(),
                init,
                adapted,
            },
            1 => Layer::BatchNorm { mode: self.word(), scale, epsilon: self.rate(1.0), adapted },
            2 => Layer::LayerNorm { scale, epsilon: self.rate(1.0), adapted },
            3 => Layer::Relu,
            4 => Layer::Tanh,
            5 => Layer::Sigmoid,
            6 => Layer::MaxPool { size: 1 + self.below(9) },
            7 => Layer::Mean,
            8 => Layer::Flatten,
            9 => Layer::Linear { width: self.coin().then(|| 1 + self.below(100)), init, adapted },
            _ => Layer::Gru { width: 1 + self.below(100), init, adapted },
        }
    }

    fn spec(&mut self) -> (Spec, ParamTable, PluginKind) {
        let kind = [PluginKind::Tasks, PluginKind::Environment, PluginKind::Data][self.below(3)];
        let reinforce = kind == PluginKind::Environment;
        let data = kind == PluginKind::Data;
        let mut table = ParamTable::default();
        let mut params = BTreeMap::new();
        for i in 0..self.below(4) {
            let (kind, value) = self.param();
            table.params.push(param(&format!("p{i}"), kind, None));
            params.insert(format!("p{i}"), value);
        }
        let support: Vec<usize> = (0..=self.below(3)).map(|i| i * 1000 + 1 + self.below(1000)).collect();
        let mut rate = BTreeMap::new();
        for (_, method) in Method::TABLE {
            if self.coin() {
                rate.insert(*method, support.iter().map(|_| self.rate(1000.0)).collect());
            }
        }
        let layers = (!reinforce && self.coin()).then(|| (0..=self.below(6)).map(|_| self.layer()).collect());
        let order: Order = self.word();
        let mut spec = Spec {
            name: ["demo", "5", "null", "true", "1e3", "x_-."][self.below(6)].into(),
            seed: self.0.random(),
            methods: if data {
                vec![Method::Random, Method::Fomaml]
            } else {
                let methods = Method::TABLE.iter().map(|row| row.1);
                let fits = |m: &Method| !(m.classifies() || (reinforce && m.averages()));
                methods.filter(fits).skip(1 + self.below(4)).collect()
            },
            task: Task {
                plugin: ["demo", "0x1f", "yes-1"][self.below(3)].into(),
                params,
                ways: data.then(|| 2 + self.below(100)),
                rotate: data && self.coin(),
                support: 1 + self.below(1000),
                query: 1 + self.below(1000),
                horizon: reinforce.then(|| 1 + self.below(1000)),
                sampling: self.word(),
            },
            model: Model {
                hidden: match &layers {
                    Some(_) => vec![],
                    None => (0..self.below(4)).map(|_| 1 + self.below(65536)).collect(),
                },
                activation: if layers.is_some() { Activation::Relu } else { self.word() },
                init: self.init(),
                layers,
                context: None,
                init_std: 500.0 + self.rate(100.0),
                min_std: self.rate(1.0),
            },
            inner: Inner {
                steps: 1 + self.below(1000),
                rate: self.rate(1000.0),
                order,
                loss: if reinforce { Loss::Reinforce } else { Loss::TABLE[self.below(2)].1 },
                reduction: if reinforce { Reduction::Mean } else { self.word() },
            },
            outer: Outer {
                iterations: 1 + self.below(1_000_000),
                tasks: 1 + self.below(1000),
                optimizer: self.optimizer(reinforce),
                estimator: if reinforce && order == Order::Second {
                    [Estimator::Maml, Estimator::Emaml][self.below(2)]
                } else {
                    Estimator::Maml
                },
                discount: self.rate(1.0),
                gae_lambda: self.rate(1.0),
                log_every: 1 + self.below(1000),
            },
            eval: Eval {
                select: Select::Last,
                every: self.below(1000),
                tasks: 1 + self.below(1000),
                task_file: if self.coin() && !data { Some(format!("tasks/{}x", self.text())) } else { None },
                steps: self.below(10_000),
                support,
                rate,
                later_rate_factor: self.rate(1000.0),
                sampling: [Sampling::Episodes, Sampling::Steps, Sampling::Completed][self.below(3)],
            },
            averaged: None,
            published: vec![],
            device: Device::Cpu,
            memory_budget: (!reinforce && self.coin())
                .then(|| mamlx::spec::Bytes(1 + self.below(1 << 50) as u64)),
            isolation: if reinforce && self.coin() {
                Isolation::Process { time_limit_secs: self.rate(1000.0) }
            } else {
                Isolation::None
            },
        };
        let averaged = Averaged {
            regressors: 1 + self.below(1000),
            loss: self.rate(1.0),
            max_steps: 1 + self.below(1000),
            l2: self.rate(1.0),
            to_mean: self.rate(1.0),
        };
        let averages = spec.methods.iter().any(|method| method.averages()) || self.coin();
        let context = spec.methods.contains(&Method::Context) || self.coin();
        spec.averaged = averages.then_some(averaged);
        spec.model.context = context.then(|| 1 + self.below(100));
        (spec, table, kind)
    }
}

#[test]
fn printed_specs_read_back_equal() {
    for case in 0..1000 {
        let (spec, table, kind) = Draw(stream(7, Purpose::Init, case, 0, 0)).spec();
        let text = spec.to_yaml();
        let again =
            read(&text, "resolved.yaml", &[] as &[&str]).and_then(|draft| draft.resolve(&table, kind));
        let again = again.unwrap_or_else(|problems| panic!("{problems}\n{text}"));
        assert_eq!(again, spec, "{text}");
        assert_eq!(again.hash(), spec.hash());
        assert_eq!(again.to_yaml(), text);
    }
}

#[test]
fn the_hash_is_stable_and_sees_every_field_but_the_device() {
    let spec = resolve(BASE, &[], PluginKind::Tasks).unwrap();
    // A change of this constant renames every run: it must be meant.
    assert_eq!(spec.run_name(), "s0-3cff1d3a");
    assert_eq!(spec.hash().len(), 64);
    let sets = [
        "name=demo2",
        "seed=1",
        "methods=[random]",
        "task.plugin=other",
        "task.params.bodies=8",
        "task.support=11",
        "task.query=11",
        "task.sampling=steps",
        "model.hidden=[40]",
        "model.activation=tanh",
        "model.init=xavier",
        "model.init.std=0.010000000000000002",
        "model.layers=[linear]",
        "model.layers=[relu, linear]",
        "model.layers=[{kind: linear, adapted: false}]",
        "model.layers=[batch_norm, linear]",
        "model.layers=[{kind: batch_norm, mode: support}, linear]",
        "model.init=normal",
        "model.init_std=2",
        "model.min_std=2e-6",
        "inner.steps=2",
        "inner.rate=0.02",
        "inner.order=first",
        "inner.loss=cross_entropy",
        "inner.reduction=sum",
        "outer.iterations=6",
        "outer.tasks=26",
        "outer.optimizer=sgd",
        "outer.optimizer.clip=1",
        "outer.discount=0.9",
        "outer.gae_lambda=0.9",
        "eval.every=1",
        "eval.tasks=601",
        "eval.task_file=x.csv",
        "eval.steps=11",
        "eval.support=[10, 11]",
        "eval.rate.maml=0.01",
        "eval.later_rate_factor=0.5",
        "eval.sampling=completed",
    ];
    let mut hashes: Vec<String> =
        sets.iter().map(|set| resolve(BASE, &[set], PluginKind::Tasks).unwrap().hash()).collect();
    hashes.push(spec.hash());
    let every = resolve(BASE, &["eval.every=1"], PluginKind::Tasks).unwrap();
    let best = resolve(BASE, &["eval.every=1", "eval.select=best"], PluginKind::Tasks).unwrap();
    assert_ne!(every.hash(), best.hash());
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len(), sets.len() + 1);
    // What only later methods read is no part of the name of a run without them.
    for (setting, method) in [
        ("averaged.l2=0.5", "averaged_l2"),
        ("model.context=3", "context"),
        ("eval.rate.context=0.5", "context"),
    ] {
        assert_eq!(resolve(BASE, &[setting], PluginKind::Tasks).unwrap().hash(), spec.hash(), "{setting}");
        let method = format!("methods=[{method}]");
        let named = |sets: &[&str]| resolve(BASE, sets, PluginKind::Tasks).unwrap().hash();
        assert_ne!(named(&[&method, setting]), named(&[&method]), "{setting}");
    }
    // Values that say the same have the same hash.
    let same =
        ["seed=0x0", "inner.rate=1e-2", "device=cpu", "eval.support=10", "task.params={friction: 0.9}"];
    assert_eq!(resolve(BASE, &same, PluginKind::Tasks).unwrap().hash(), spec.hash());
}

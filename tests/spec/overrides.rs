//! `--set` goes through the same checks as the file, and what is wrong is shown in the override's own text.

use super::{resolve, table};
use mamlx::error::Error;
use mamlx::spec::{self, Init, Method, Optimizer, ParamValue, PluginKind};

const BASE: &str = "name: demo\ntask: {plugin: demo, support: 10}\nouter: {iterations: 5}\n";

#[test]
fn values_are_yaml_and_later_ones_win() {
    let sets = [
        "inner.rate=1",
        "inner.rate=0.5",
        "methods=[random, fomaml]",
        "task.params.preset=gym",
        "eval.rate.random=2",
        "model.init=truncated_normal",
        "model.init.std=0.2",
        "outer.optimizer={kind: adam, rate: 0.25}",
        "outer.optimizer.clip=10",
    ];
    let spec = resolve(BASE, &sets, PluginKind::Tasks).unwrap();
    assert_eq!(spec.inner.rate, 0.5);
    assert_eq!(spec.methods, [Method::Random, Method::Fomaml]);
    assert_eq!(spec.task.params["preset"], ParamValue::Text("gym".into()));
    assert_eq!(spec.eval.rate[&Method::Random], [2.0]);
    assert_eq!(spec.model.init, Init::TruncatedNormal { std: 0.2 });
    let Optimizer::Adam { rate, clip, beta2, .. } = spec.outer.optimizer else { panic!("not adam") };
    assert_eq!((rate, clip, beta2), (0.25, Some(10.0), 0.999));
}

#[test]
fn an_override_can_supply_what_the_file_lacks_or_has_wrong() {
    let sets = ["name=demo", "task.plugin=demo", "task.support=5", "outer.iterations=9"];
    assert_eq!(resolve("", &sets, PluginKind::Tasks).unwrap().outer.iterations, 9);
    let wrong = format!("{BASE}inner: {{rate: fast}}\n");
    assert_eq!(resolve(wrong, &["inner.rate=2"], PluginKind::Tasks).unwrap().inner.rate, 2.0);
}

#[test]
fn an_alias_is_not_overridden_at_its_other_places() {
    let text = format!("{BASE}eval: {{support: [1, 2], rate: {{maml: &r [0.5, 0.5], random: *r}}}}\n");
    let spec = resolve(text, &["eval.rate.maml.0=0.25"], PluginKind::Tasks).unwrap();
    assert_eq!(spec.eval.rate[&Method::Maml], [0.25, 0.5]);
    assert_eq!(spec.eval.rate[&Method::Random], [0.5, 0.5]);
}

#[test]
fn errors_carry_place_path_and_exit_code() {
    let text = format!("{BASE}inner:\n  rate: fast\n");
    let sets = ["eval.setps=3", "seed=-1"];
    let draft = spec::read(text, "dir/demo.yaml", &sets).unwrap();
    assert_eq!(draft.plugin(), "demo");
    let problems = draft.resolve(&table(), PluginKind::Tasks).unwrap_err();
    let seen: Vec<_> = problems
        .items()
        .iter()
        .map(|item| {
            (item.path.as_str(), item.place.source, item.place.line, item.place.column, item.place.width)
        })
        .collect();
    assert_eq!(
        seen,
        [("inner.rate", 0, 5, 9, 4), ("eval.setps", 1, 1, 6, 5), ("seed", 2, 1, 6, 2)],
        "{problems}"
    );
    let error = Error::from(problems);
    assert_eq!(error.exit_code(), 2);
    let text = error.to_string();
    assert!(text.contains("--> dir/demo.yaml:5:9\n"), "{text}");
    assert!(text.contains("--> --set eval.setps=3\n"), "{text}");
    assert!(text.contains("did you mean `steps`?"), "{text}");
}

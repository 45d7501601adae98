//! What must hold between keys. Each rule waits until the keys that it compares are right by themselves.

use super::params::PluginKind;
use super::report::Report;
use super::schema::*;
use super::tree::Node;
use super::walk::Walked;
use super::words::Word;

pub(super) fn check(walked: &Walked, kind: Option<PluginKind>, root: &Node, report: &Report) {
    let spec = &walked.spec;
    let fail = |path: &str, message: &str, help: &str| {
        report.error(root.place_of(path), path, message, Some(help.to_string()));
    };
    let reinforce = spec.inner.loss == Loss::Reinforce;
    if walked.loss_is_known && report.clean(&["inner.loss", "outer.optimizer"]) {
        let trpo = matches!(spec.outer.optimizer, Optimizer::Trpo { .. });
        if trpo && !reinforce {
            fail(
                "outer.optimizer",
                "`outer.optimizer` is trpo, which bounds the change of a policy, but `inner.loss` is not reinforce",
                "use adam or sgd, or set `inner.loss: reinforce` with an environment",
            );
        }
    }
    if reinforce && spec.inner.reduction != Reduction::Mean && report.clean(&["inner"]) {
        fail(
            "inner.reduction",
            "`inner.reduction` must be mean where `inner.loss` is reinforce",
            "the policy gradient is a mean over time steps (paper, equation 4); remove the line",
        );
    }
    if !spec.isolation.is_none() && kind.is_some_and(|kind| kind != PluginKind::Environment) {
        fail(
            "isolation",
            "`isolation: process` is for environments, and `task.plugin` is none",
            "remove the line",
        );
    }
    if spec.model.layers.is_some() && report.clean(&["model.layers"]) {
        if !spec.model.hidden.is_empty() && report.clean(&["model.hidden"]) {
            fail(
                "model.hidden",
                "`model.hidden` and `model.layers` are two ways to say what the network is",
                "remove one of the two",
            );
        }
        if spec.model.activation != Activation::Relu && report.clean(&["model.activation"]) {
            fail(
                "model.activation",
                "`model.activation` belongs to `model.hidden`; beside `model.layers` nothing would read it",
                "remove the line and name the activations among the layers",
            );
        }
        if reinforce && report.clean(&["inner.loss"]) {
            fail(
                "model.layers",
                "`model.layers` is for supervised learning; policies are multilayer perceptrons",
                "write `hidden: [100, 100]` (paper, section 5.3)",
            );
        }
    }
    if report.clean(&["model"]) && spec.model.min_std > spec.model.init_std {
        let path = if root.get("model").is_some_and(|e| e.value.get("min_std").is_some()) {
            "model.min_std"
        } else {
            "model.init_std"
        };
        fail(path, "`model.min_std` is above `model.init_std`", "the floor must not be above the start");
    }
    let both = [Method::Maml, Method::Fomaml].iter().all(|method| spec.methods.contains(method));
    if both && spec.inner.order == Order::First && report.clean(&["methods", "inner.order"]) {
        fail(
            "methods",
            "`methods` has maml and fomaml, which are the same method where `inner.order` is first",
            "remove one of the two, or set `inner.order: second`",
        );
    }
    if let Some(kind) = kind {
        check_kind(spec, kind, report, fail);
    }
}

/// What an environment needs and what only an environment may have.
fn check_kind(spec: &Spec, kind: PluginKind, report: &Report, fail: impl Fn(&str, &str, &str)) {
    let plugin = &spec.task.plugin;
    let environment = kind == PluginKind::Environment;
    let reinforce = spec.inner.loss == Loss::Reinforce;
    if report.clean(&["inner.loss"]) {
        if environment && !reinforce {
            let message =
                format!("`inner.loss` must be reinforce, because plugin `{plugin}` is an environment");
            fail("inner.loss", &message, "write `loss: reinforce` or remove the line");
        }
        if !environment && reinforce {
            let message = format!("`inner.loss` is reinforce, but plugin `{plugin}` is not an environment");
            fail("inner.loss", &message, "write squared_error or cross_entropy, or choose an environment");
        }
    }
    if report.clean(&["task.horizon"]) {
        if environment && spec.task.horizon.is_none() {
            let message = format!("`task.horizon` is missing; plugin `{plugin}` is an environment");
            fail("task.horizon", &message, "add `horizon: N`, the steps of one episode (paper: 100 or 200)");
        }
        if !environment && spec.task.horizon.is_some() {
            let message = format!("`task.horizon` is for environments; plugin `{plugin}` is none");
            fail("task.horizon", &message, "remove the line");
        }
    }
    check_data(spec, kind == PluginKind::Data, report, fail);
}

/// What a data set needs and what only a data set may have.
fn check_data(spec: &Spec, data: bool, report: &Report, fail: impl Fn(&str, &str, &str)) {
    let plugin = &spec.task.plugin;
    if report.clean(&["task.ways"]) {
        if data && spec.task.ways.is_none() {
            let message = format!("`task.ways` is missing; plugin `{plugin}` is a data set");
            fail("task.ways", &message, "add `ways: N`, the classes of one task (paper: 5 or 20)");
        }
        if !data && spec.task.ways.is_some() {
            let message = format!("`task.ways` is for data sets; plugin `{plugin}` is none");
            fail("task.ways", &message, "remove the line");
        }
    }
    if !data && spec.task.rotate && report.clean(&["task.rotate"]) {
        let message = format!("`task.rotate` is for data sets; plugin `{plugin}` is none");
        fail("task.rotate", &message, "remove the line");
    }
    if !data {
        return;
    }
    let other = [Method::Pretrained, Method::Oracle].into_iter().find(|method| spec.methods.contains(method));
    if let (Some(other), true) = (other, report.clean(&["methods"])) {
        let message = format!("`methods` has {}, which classification does not offer", other.word());
        let help = match other {
            Method::Oracle => {
                "classes have no parameters that an oracle could be told; use maml, fomaml or random"
            }
            _ => {
                "the labels of different tasks mean different classes, so there is nothing to train on all tasks at \
                  once; use maml, fomaml or random"
            }
        };
        fail("methods", &message, help);
    }
    if spec.eval.task_file.is_some() && report.clean(&["eval.task_file"]) {
        fail(
            "eval.task_file",
            "`eval.task_file` is for tasks with parameters, which those of a data set have not",
            "remove the line; test tasks are a function of the seed",
        );
    }
}

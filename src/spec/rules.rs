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
    if spec.outer.estimator != Estimator::Maml && report.clean(&["inner", "outer"]) {
        check_estimator(spec, fail);
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
    if spec.memory_budget.is_some() && report.clean(&["memory_budget"]) {
        if kind == Some(PluginKind::Environment) {
            fail(
                "memory_budget",
                "`memory_budget` is for supervised learning, and `task.plugin` is an environment",
                "remove the line; policy gradients are computed in pieces of a batch already",
            );
        } else if spec.device != Device::Cpu && report.clean(&["device"]) {
            let message =
                format!("`memory_budget` is for device cpu, and `device` is {}", spec.device.word());
            let help = "remove the line; a GPU takes as many tasks at once as its memory holds";
            fail("memory_budget", &message, help);
        }
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
    if spec.eval.select == Select::Best && spec.eval.every == 0 && report.clean(&["eval"]) {
        fail(
            "eval.select",
            "`eval.select` is best, but `eval.every` is 0: there is one evaluation to choose from",
            "add `every: N` to `eval`, the meta-iterations from one validation to the next (released: 500)",
        );
    }
    if let Some(kind) = kind {
        check_kind(spec, kind, report, fail);
    }
}

/// Where an estimator other than the paper's has a meaning.
fn check_estimator(spec: &Spec, fail: impl Fn(&str, &str, &str)) {
    let word = spec.outer.estimator.word();
    if spec.inner.loss != Loss::Reinforce {
        let message =
            format!("`outer.estimator` is {word}, which is for policies, but `inner.loss` is not reinforce");
        fail("outer.estimator", &message, "remove the line");
    } else if spec.inner.order == Order::First {
        let message = format!("`outer.estimator` is {word}, but `inner.order` is first");
        let help = "it is about the derivative through the inner step, which first leaves out; write `order: second`";
        fail("outer.estimator", &message, help);
    } else if let (Estimator::Dice, Optimizer::Trpo { products: Products::FiniteDifference, .. }) =
        (spec.outer.estimator, spec.outer.optimizer)
    {
        fail(
            "outer.optimizer.products",
            "`outer.optimizer.products` is finite_difference, which `outer.estimator: dice` does not have",
            "write `products: exact`; the released code's differences are of the paper's estimator",
        );
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
    let averaged = spec.methods.iter().find(|method| method.averages());
    if let (Some(method), true) = (averaged, kind != PluginKind::Tasks && report.clean(&["methods"])) {
        let message = format!(
            "`methods` has {}, which is for distributions of regression tasks; plugin `{plugin}` is none",
            method.word()
        );
        fail("methods", &message, "the paper has it for the sinusoid alone (table 2); remove it");
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
    let classifier = spec.methods.iter().copied().find(|method| method.classifies());
    if !data {
        if let (Some(method), true) = (classifier, report.clean(&["methods"])) {
            let method = method.word();
            let message =
                format!("`methods` has {method}, which is for data sets; plugin `{plugin}` is none");
            fail("methods", &message, "it trains a classifier of all training classes; use pretrained here");
        }
        return;
    }
    if let (Some(method), true) = (classifier, report.clean(&["methods", "model", "inner.loss"])) {
        check_classifier(spec, method.word(), &fail);
    }
    let other = [Method::Pretrained, Method::Oracle].into_iter().find(|method| spec.methods.contains(method));
    if let (Some(other), true) = (other, report.clean(&["methods"])) {
        let message = format!("`methods` has {}, which classification does not offer", other.word());
        let help = match other {
            Method::Oracle => {
                "classes have no parameters that an oracle could be told; use maml, fomaml, finetune, nearest_neighbour \
                  or random"
            }
            _ => {
                "the labels of different tasks mean different classes, so there is nothing to train on all tasks at \
                  once; use finetune, which trains on all classes"
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

/// The last layer of such a classifier answers for the training classes and is replaced at test, so it must be a layer
/// of its own, and the only one whose width is the number of classes.
fn check_classifier(spec: &Spec, method: &str, fail: &impl Fn(&str, &str, &str)) {
    if spec.inner.loss != Loss::CrossEntropy {
        let message = format!("`inner.loss` must be cross_entropy where `methods` has {method}");
        fail("inner.loss", &message, "write `loss: cross_entropy` or remove the line");
    }
    let Some(layers) = &spec.model.layers else {
        if spec.model.hidden.is_empty() {
            let message = format!("`model.hidden` is empty, but {method} needs a layer below the last");
            fail("model.hidden", &message, "name at least one width");
        }
        return;
    };
    let (last, below) = layers.split_last().map_or((None, &[][..]), |(last, below)| (Some(last), below));
    let answers = |layer: &Layer| matches!(layer, Layer::Linear { width: None, .. });
    let learns =
        |layer: &Layer| matches!(layer, Layer::Conv { .. } | Layer::Linear { .. } | Layer::Gru { .. });
    if !last.is_some_and(answers) {
        let message = format!(
            "`model.layers` must end with a linear layer without `width` where `methods` has {method}"
        );
        fail(
            "model.layers",
            &message,
            "its width is the number of training classes, and at test of `task.ways`",
        );
    } else if let Some(at) = below.iter().position(answers) {
        let path = format!("model.layers[{at}]");
        let message = format!("`{path}` has no `width`, but {method} replaces the last layer alone");
        fail(&path, &message, "give it a width of its own");
    } else if !below.iter().any(learns) {
        let message =
            format!("`model.layers` has nothing to learn below the last layer, which {method} replaces");
        fail("model.layers", &message, "add a conv or linear layer");
    }
}

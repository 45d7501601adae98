//! The blocks of `model.layers`. What they make of a point's shape is checked when the plugin has said what a point
//! is; here each is checked by itself.
//!
//! Defaults are those of the released code (protocol A.2 and A.3): convolutions 3x3 with stride 1, SAME, a bias and
//! Xavier weights; batch normalisation of the batch at hand, shift only, epsilon 1e-3, not adapted; 2x2 max-pooling.

use super::block::Field;
use super::schema::{BatchMode, Init, Layer, Padding};
use super::tree::Kind;
use super::walk::{POSITIVE, init_of};

const KINDS: [&str; 11] = [
    "conv",
    "batch_norm",
    "layer_norm",
    "relu",
    "tanh",
    "sigmoid",
    "max_pool",
    "mean",
    "flatten",
    "linear",
    "gru",
];

/// The most blocks that are read.
const MOST: usize = 256;

pub(super) fn layers(field: Field<'_>, init: Init) -> Vec<Layer> {
    let (report, at, path) = (field.report, field.at(), field.path.clone());
    let Some(items) = field.items() else { return vec![] };
    if items.is_empty() {
        let help =
            "name at least one block, such as linear; without `layers` the network is that of `hidden`";
        report.error(at, &path, format!("`{path}` is an empty list"), Some(help.into()));
    }
    if let Some(item) = items.get(MOST) {
        item.error(format!("`{path}` has more than {MOST} blocks"), None);
    }
    items.into_iter().take(MOST).map(|item| layer(item, init)).collect()
}

fn layer(field: Field<'_>, init: Init) -> Layer {
    let nameless = match field.node.map(|node| &node.kind) {
        Some(Kind::Map(_)) => field.node.is_some_and(|node| node.get("kind").is_none()),
        _ => field.node.is_none_or(|node| node.is_null()),
    };
    if nameless && field.report.listener().is_none() {
        let message = format!("`{}` does not say which block it is", field.path);
        field.error(message, Some(format!("add `kind: WORD`, one of {}", KINDS.join(", "))));
        field.block().ignore_the_rest();
        return Layer::Flatten;
    }
    // Alone, a word stands for a block with every key at its default; these have one without a default.
    let alone = field.node.is_some_and(|node| matches!(node.kind, Kind::Scalar { .. }));
    let (report, at, path) = (field.report, field.at(), field.path.clone());
    let (kind, mut block) = field.tagged(&KINDS, "flatten");
    let needed = match kind {
        "conv" => "filters",
        "gru" => "width",
        _ => "",
    };
    if alone && !needed.is_empty() {
        let help = format!("write {{kind: {kind}, {needed}: N}}");
        report.error(at, &path, format!("`{path}` does not say how many `{needed}`"), Some(help));
    }
    let mut flag = |name: &str, default: bool| block.field(name).flag(default);
    match kind {
        "conv" => Layer::Conv {
            bias: flag("bias", true),
            adapted: flag("adapted", true),
            filters: block.field("filters").count(1..=65_536, None),
            kernel: block.field("kernel").count(1..=255, Some(3)),
            stride: block.field("stride").count(1..=255, Some(1)),
            padding: block.field("padding").word(Padding::Same),
            init: init_of(block.field("init"), Init::Xavier),
        },
        "batch_norm" => Layer::BatchNorm {
            scale: flag("scale", false),
            adapted: flag("adapted", false),
            mode: block.field("mode").word(BatchMode::Transductive),
            epsilon: block.field("epsilon").single(POSITIVE.to(1.0), 1e-3),
        },
        "layer_norm" => Layer::LayerNorm {
            scale: flag("scale", true),
            adapted: flag("adapted", false),
            // Ba, Kiros and Hinton leave it open; 1e-5 is that of most libraries.
            epsilon: block.field("epsilon").single(POSITIVE.to(1.0), 1e-5),
        },
        "relu" => Layer::Relu,
        "tanh" => Layer::Tanh,
        "sigmoid" => Layer::Sigmoid,
        "max_pool" => Layer::MaxPool { size: block.field("size").count(1..=255, Some(2)) },
        "mean" => Layer::Mean,
        "linear" => Layer::Linear {
            adapted: flag("adapted", true),
            width: block.field("width").given().map(|field| field.count(1..=65_536, Some(1))),
            init: init_of(block.field("init"), init),
        },
        "gru" => Layer::Gru {
            adapted: flag("adapted", true),
            width: block.field("width").count(1..=65_536, None),
            init: init_of(block.field("init"), Init::Xavier),
        },
        _ => Layer::Flatten,
    }
}

//! The words that a spec may use where it has a choice, each table in the order in which help lists it.

use super::schema::{
    Activation, BatchMode, Device, Estimator, Loss, Method, Metric, Order, Padding, Products, Reduction,
    Sampling, Select,
};

/// A choice that is written as one word.
pub trait Word: Copy + PartialEq + 'static {
    /// Every word with its meaning; the words are those that serde prints.
    const TABLE: &'static [(&'static str, Self)];

    /// The word, as it stands in specs and in result files.
    fn word(self) -> &'static str {
        // Every value is in its table (a test below), so the first word is never the answer for want of one.
        Self::TABLE.iter().find(|(_, value)| *value == self).unwrap_or(&Self::TABLE[0]).0
    }

    /// The meaning of a word.
    fn from_word(word: &str) -> Option<Self> {
        Self::TABLE.iter().find(|(other, _)| *other == word).map(|(_, value)| *value)
    }

    /// All words, for help and for the nearest one.
    fn words() -> impl Iterator<Item = &'static str> {
        Self::TABLE.iter().map(|(word, _)| *word)
    }
}

impl Word for Method {
    const TABLE: &'static [(&'static str, Method)] = &[
        ("maml", Method::Maml),
        ("fomaml", Method::Fomaml),
        ("pretrained", Method::Pretrained),
        ("random", Method::Random),
        ("oracle", Method::Oracle),
        ("finetune", Method::Finetune),
        ("nearest_neighbour", Method::NearestNeighbour),
        ("averaged", Method::Averaged),
        ("averaged_l2", Method::AveragedL2),
        ("averaged_to_mean", Method::AveragedToMean),
        ("context", Method::Context),
    ];
}

impl Word for Activation {
    const TABLE: &'static [(&'static str, Activation)] =
        &[("relu", Activation::Relu), ("tanh", Activation::Tanh), ("sigmoid", Activation::Sigmoid)];
}

impl Word for Padding {
    const TABLE: &'static [(&'static str, Padding)] = &[("same", Padding::Same), ("valid", Padding::Valid)];
}

impl Word for BatchMode {
    const TABLE: &'static [(&'static str, BatchMode)] = &[
        ("transductive", BatchMode::Transductive),
        ("support", BatchMode::Support),
        ("running", BatchMode::Running),
        ("per_step", BatchMode::PerStep),
    ];
}

impl Word for Order {
    const TABLE: &'static [(&'static str, Order)] = &[("second", Order::Second), ("first", Order::First)];
}

impl Word for Loss {
    const TABLE: &'static [(&'static str, Loss)] = &[
        ("squared_error", Loss::SquaredError),
        ("cross_entropy", Loss::CrossEntropy),
        ("reinforce", Loss::Reinforce),
    ];
}

impl Word for Reduction {
    const TABLE: &'static [(&'static str, Reduction)] =
        &[("mean", Reduction::Mean), ("sum", Reduction::Sum), ("sum_over_shot", Reduction::SumOverShot)];
}

impl Word for Sampling {
    const TABLE: &'static [(&'static str, Sampling)] =
        &[("episodes", Sampling::Episodes), ("steps", Sampling::Steps), ("completed", Sampling::Completed)];
}

impl Word for Products {
    const TABLE: &'static [(&'static str, Products)] =
        &[("exact", Products::Exact), ("finite_difference", Products::FiniteDifference)];
}

impl Word for Estimator {
    const TABLE: &'static [(&'static str, Estimator)] =
        &[("maml", Estimator::Maml), ("emaml", Estimator::Emaml), ("dice", Estimator::Dice)];
}

impl Word for Metric {
    const TABLE: &'static [(&'static str, Metric)] =
        &[("loss", Metric::Loss), ("accuracy", Metric::Accuracy), ("return", Metric::Return)];
}

impl Word for Select {
    const TABLE: &'static [(&'static str, Select)] = &[("last", Select::Last), ("best", Select::Best)];
}

impl Word for Device {
    const TABLE: &'static [(&'static str, Device)] =
        &[("cpu", Device::Cpu), ("cuda", Device::Cuda), ("metal", Device::Metal), ("vulkan", Device::Vulkan)];
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Serialize;

    fn same_as_serde<T: Word + Serialize + std::fmt::Debug>() {
        for (word, value) in T::TABLE {
            assert_eq!(serde_json::to_value(value).unwrap(), *word);
            assert_eq!(value.word(), *word);
            assert_eq!(T::from_word(word), Some(*value));
        }
    }

    #[test]
    fn words_are_what_serde_prints() {
        same_as_serde::<Method>();
        same_as_serde::<Activation>();
        same_as_serde::<Order>();
        same_as_serde::<Loss>();
        same_as_serde::<Reduction>();
        same_as_serde::<Device>();
        same_as_serde::<Metric>();
        same_as_serde::<Sampling>();
        same_as_serde::<Select>();
        same_as_serde::<Products>();
        same_as_serde::<Estimator>();
        same_as_serde::<Padding>();
        same_as_serde::<BatchMode>();
        assert_eq!(Method::from_word("Maml"), None);
    }
}

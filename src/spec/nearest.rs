//! The valid name that a misspelt one most likely stands for.

/// Words from other programs and from the paper's notation, with the key that says the same here.
const SYNONYMS: &[(&str, &str)] = &[
    ("lr", "rate"),
    ("learning_rate", "rate"),
    ("step_size", "rate"),
    ("alpha", "rate"),
    ("inner_lr", "rate"),
    ("fast_lr", "rate"),
    ("meta_batch", "tasks"),
    ("meta_batch_size", "tasks"),
    ("batch_size", "tasks"),
    ("epochs", "iterations"),
    ("meta_iterations", "iterations"),
    ("updates", "steps"),
    ("num_updates", "steps"),
    ("shots", "support"),
    ("shot", "support"),
    ("max_episode_steps", "horizon"),
    ("gamma", "discount"),
    ("lambda", "gae_lambda"),
    ("tau", "gae_lambda"),
    ("max_kl", "kl"),
    ("damping", "cg_damping"),
    ("layers", "hidden"),
    ("hidden_sizes", "hidden"),
    ("nonlinearity", "activation"),
    ("environment", "plugin"),
    ("env", "plugin"),
    ("parameters", "params"),
    ("seeds", "seed"),
    ("method", "methods"),
    ("first_order", "first"),
    ("second_order", "second"),
    ("mse", "squared_error"),
    ("policy_gradient", "reinforce"),
    ("vpg", "reinforce"),
    ("glorot", "xavier"),
    ("gd", "sgd"),
    ("scratch", "random"),
    ("pretrain", "pretrained"),
    ("average", "mean"),
];

/// Longer words than this are not compared: no name is that long, and the comparison is quadratic.
const LONGEST: usize = 64;

/// The name among `names` nearest to `word`, or `None` where nothing is near.
///
/// Near means, in this order: equal but for case and dashes, a synonym, the beginning of a name (three letters
/// or more), its letters in order behind the same first letter (`inr` for `inner`), or an edit distance (insert, delete, replace, swap neighbours) of at most a third of the length.
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let word = word.trim().to_lowercase().replace(['-', ' '], "_");
    let names: Vec<&str> = names.into_iter().collect();
    if let Some(name) = names.iter().find(|name| **name == word) {
        return Some(name);
    }
    let synonym = SYNONYMS.iter().find(|(other, _)| *other == word).map(|(_, name)| *name);
    if let Some(name) = names.iter().find(|name| Some(**name) == synonym) {
        return Some(name);
    }
    if word.len() >= 3
        && let Some(name) = names.iter().find(|name| name.starts_with(&word))
    {
        return Some(name);
    }
    if word.len() >= 3
        && let Some(name) = names.iter().find(|name| abbreviates(&word, name))
    {
        return Some(name);
    }
    let letters: Vec<char> = word.chars().collect();
    let allowed = (letters.len() / 3).max(1);
    let near = names.iter().map(|name| (distance(&letters, name), *name)).min()?;
    // A word of one or two letters is one edit away from far too much.
    (near.0 <= allowed && letters.len() >= 3).then_some(near.1)
}

/// Whether `name` without some of its letters, the first excepted, is `word`.
fn abbreviates(word: &str, name: &str) -> bool {
    let mut rest = name.chars();
    word.chars().next() == name.chars().next() && word.chars().all(|c| rest.any(|other| other == c))
}

/// Optimal string alignment distance: the Levenshtein distance with swaps of neighbours as one edit.
fn distance(a: &[char], b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_edits() {
        let d = |a: &str, b: &str| distance(&a.chars().collect::<Vec<_>>(), b);
        assert_eq!(d("kitten", "sitting"), 3);
        assert_eq!(d("rtae", "rate"), 1);
        assert_eq!(d("", "abc"), 3);
        assert_eq!(d("abc", ""), 3);
    }

    #[test]
    fn names_are_found_and_nonsense_is_not() {
        let names = ["steps", "rate", "order", "loss", "reduction"];
        assert_eq!(nearest("ratte", names), Some("rate"));
        assert_eq!(nearest("Loss", names), Some("loss"));
        assert_eq!(nearest("lr", names), Some("rate"));
        assert_eq!(nearest("red", names), Some("reduction"));
        assert_eq!(nearest("horizon", names), None);
        assert_eq!(nearest("x", names), None);
        assert_eq!(nearest("rdctn", names), Some("reduction"));
        assert_eq!(nearest("eduction", ["education"]), Some("education"));
        assert_eq!(nearest("inr", ["model", "inner"]), Some("inner"));
        assert_eq!(nearest("nnr", ["model", "inner"]), None);
        assert_eq!(nearest(&"rate".repeat(1000), names), None);
        assert_eq!(nearest("rate", []), None);
    }
}

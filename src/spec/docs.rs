//! The documentation of every field, read from the comments in `schema.rs`: what a reader of the code reads is what a
//! writer of a spec is shown.

/// The declarations of `schema.rs`: types by name.
pub(super) struct Docs(Vec<Type>);

/// A struct or an enum.
struct Type {
    name: String,
    doc: String,
    members: Vec<Member>,
}

/// A field, or a variant with its own fields.
struct Member {
    name: String,
    doc: String,
    /// The type of a field, without `Option`, `Vec` and maps around it; empty for a variant.
    of: String,
    fields: Vec<Member>,
}

impl Docs {
    pub fn of_schema() -> Docs {
        let mut types: Vec<Type> = vec![];
        let mut doc = String::new();
        // Inside a variant with fields, until its closing brace.
        let mut in_variant = false;
        for line in include_str!("schema.rs").lines().map(str::trim) {
            if let Some(text) = line.strip_prefix("///") {
                doc.push_str(if doc.is_empty() { text.trim_start() } else { text });
                continue;
            }
            // An attribute stands between a comment and what it is about.
            if line.starts_with('#') {
                continue;
            }
            if let Some(name) = line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub enum ")) {
                let name = name.trim_end_matches([' ', '{']).to_string();
                types.push(Type { name, doc: std::mem::take(&mut doc), members: vec![] });
            } else if let Some(of) = types.last_mut() {
                if in_variant && line.starts_with('}') {
                    in_variant = false;
                } else if let Some(member) = member(line, &mut doc) {
                    let opens = line.ends_with('{');
                    match of.members.last_mut().filter(|_| in_variant) {
                        Some(variant) => variant.fields.push(member),
                        None => of.members.push(member),
                    }
                    in_variant |= opens;
                }
            }
            doc.clear();
        }
        Docs(types)
    }

    fn named(&self, name: &str) -> Option<&Type> {
        self.0.iter().find(|of| of.name == name)
    }

    /// The documentation of a key path. `kind` is the kind of the tagged block right above the last key.
    pub fn of(&self, path: &str, kind: Option<&str>) -> String {
        let path = path.replace("[]", "");
        let keys: Vec<&str> = path.split('.').collect();
        // What stands in a file is a spec, or a spec with a sweep.
        let roots = ["Spec", "Swept"];
        roots.iter().find_map(|root| self.below(root, &keys, kind)).unwrap_or_default()
    }

    fn below(&self, name: &str, keys: &[&str], kind: Option<&str>) -> Option<String> {
        let (of, (key, rest)) = (self.named(name)?, keys.split_first()?);
        let tagged = kind.filter(|_| rest.is_empty()).and_then(|kind| of.member(kind));
        let member = match tagged {
            Some(variant) => variant.fields.iter().find(|field| field.name == *key)?,
            // Below the keys of a variant the kind is that of an inner block: any variant with the key will do.
            None => of
                .member(key)
                .or_else(|| of.members.iter().flat_map(|m| &m.fields).find(|f| f.name == *key))?,
        };
        if !rest.is_empty() {
            return self.below(&member.of, rest, kind);
        }
        // A field without words of its own is explained by its type.
        let by_type = || self.named(&member.of).map_or_else(String::new, |of| of.doc.clone());
        Some(if member.doc.is_empty() { by_type() } else { member.doc.clone() })
    }

    /// The words of a choice with their documentation: those of the type whose variants they are.
    pub fn words(&self, words: &[&str]) -> Vec<(String, String)> {
        let has = |of: &&Type| words.iter().all(|word| of.member(word).is_some());
        let of = self.0.iter().filter(has).min_by_key(|of| of.members.len());
        let doc = |word: &&str| of.and_then(|of| of.member(word)).map_or(String::new(), |m| m.doc.clone());
        words.iter().map(|word| (word.to_string(), doc(word))).collect()
    }
}

impl Type {
    fn member(&self, word: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == word)
    }
}

/// `pub rate: f64,`, `rate: f64,`, `Maml,`, `Adam {` or `TruncatedNormal { std: f64 },`.
fn member(line: &str, doc: &mut String) -> Option<Member> {
    let line = line.trim_start_matches("pub ").trim_end_matches(',');
    let word = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let doc = std::mem::take(doc);
    let (head, fields) = match line.split_once('{') {
        Some((head, fields)) => (head.trim(), fields.trim_end_matches('}')),
        None => (line, ""),
    };
    if let Some((name, of)) = head.split_once(": ") {
        return word(name).then(|| Member { name: name.into(), doc, of: inner(of), fields: vec![] });
    }
    let inline = fields.split(',').filter_map(|field| member(field.trim(), &mut String::new()));
    word(head).then(|| Member { name: snake(head), doc, of: String::new(), fields: inline.collect() })
}

/// The last type inside `Option<…>`, `Vec<…>` and `BTreeMap<…, …>` that is declared here; keys of a map count, because
/// they are what a spec writes below it.
fn inner(of: &str) -> String {
    let outer = ["Option", "Vec", "BTreeMap", ""];
    let mut parts = of.split(|c: char| !c.is_ascii_alphanumeric());
    parts.find(|part| !outer.contains(part)).unwrap_or_default().to_string()
}

/// `TruncatedNormal` → `truncated_normal`, as serde writes it.
fn snake(name: &str) -> String {
    let mut word = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !word.is_empty() {
            word.push('_');
        }
        word.push(c.to_ascii_lowercase());
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_found_by_path_and_kind() {
        let docs = Docs::of_schema();
        assert_eq!(docs.of("inner.rate", None), "Step size α.");
        assert!(docs.of("outer.optimizer.kl", Some("trpo")).starts_with("Limit of the mean KL divergence"));
        assert!(docs.of("eval.rate.random", None).starts_with("The initialisation, never trained"));
        assert!(docs.of("published[].support", None).contains("null: any"));
        assert!(docs.of("task", None).starts_with("Where tasks come from"), "falls back to the type");
        assert!(docs.words(&["mean", "sum", "sum_over_shot"])[2].1.contains("support size K"));
    }
}

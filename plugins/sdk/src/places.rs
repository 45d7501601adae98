//! Where a dataset's files may be: the host's business, because it is the same for every dataset.

use serde_json::{Value, json};
use std::path::PathBuf;

/// Folders with data, and a folder for what is derived from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Looked through in order.
    pub folders: Vec<PathBuf>,
    /// Where derived files may be kept; made when it is needed. `None`: nowhere.
    pub cache: Option<PathBuf>,
}

impl Places {
    /// As it crosses the interface. Paths that are not UTF-8 cannot cross it and are left out.
    pub(crate) fn json(&self) -> String {
        let folders: Vec<&str> = self.folders.iter().filter_map(|folder| folder.to_str()).collect();
        json!({ "folders": folders, "cache": self.cache.as_ref().and_then(|cache| cache.to_str()) })
            .to_string()
    }

    /// Reads what the host sends.
    pub(crate) fn parse(text: &str) -> Result<Places, String> {
        let value: Value = serde_json::from_str(text).map_err(|e| format!("the places are not JSON: {e}"))?;
        let path = |value: &Value| value.as_str().map(PathBuf::from);
        let folders = value.get("folders").and_then(Value::as_array);
        let folders: Option<Vec<PathBuf>> = folders.and_then(|list| list.iter().map(path).collect());
        let folders = folders.ok_or("the places have no list of texts `folders`")?;
        Ok(Places { folders, cache: value.get("cache").and_then(path) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_what_arrives() {
        let places = Places { folders: vec!["a b".into(), "/\"ü".into()], cache: None };
        assert_eq!(Places::parse(&places.json()), Ok(places.clone()));
        let places = Places { cache: Some("/c".into()), ..places };
        assert_eq!(Places::parse(&places.json()), Ok(places));
        for bad in ["", "[]", "{}", "{\"folders\": [1]}"] {
            assert!(Places::parse(bad).is_err(), "{bad}");
        }
    }
}

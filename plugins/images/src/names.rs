//! Names inside archives and folders.

use crate::limits::NAME_BYTES;

/// Refuses a name that is not a plain relative path with `/`, or that would leave the folder it is in.
pub fn check(name: &str) -> Result<(), &'static str> {
    let drive = name.as_bytes().get(1) == Some(&b':');
    let part = |part: &str| part == ".." || part == ".";
    match name {
        "" => Err("has an empty name"),
        _ if name.len() > NAME_BYTES => Err("has a name longer than 1024 bytes"),
        _ if name.chars().any(char::is_control) => Err("has control characters in its name"),
        _ if name.starts_with('/') || drive => Err("has an absolute path for a name"),
        _ if name.contains('\\') => Err("has a backslash in its name"),
        _ if name.split('/').any(part) => Err("has a name that leaves its folder"),
        _ => Ok(()),
    }
}

/// Whether an operating system, not the data set's author, has put a file there.
pub fn is_litter(name: &str) -> bool {
    name.split('/').any(|part| part.starts_with('.') || part == "__MACOSX")
}

/// Whether a name ends as a file that can be decoded here.
pub fn is_image(name: &str) -> bool {
    let end = name.rsplit('.').next().unwrap_or("").to_ascii_lowercase();
    matches!(end.as_str(), "png" | "jpg" | "jpeg")
}

/// A name for a message: short, and without characters that would move a terminal's cursor.
pub fn shown(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '?' } else { c }).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_relative_names_pass() {
        for good in ["a.png", "a/b/c.png", "a b/ü.png", "..a/b..png"] {
            assert!(check(good).is_ok(), "{good}");
        }
        let long = "a".repeat(2000);
        let bad =
            ["", "/a", "../a", "a/../b", "a/..", "./a", "C:/a", "c:a", "a\\b", "a\u{0}b", "a\nb", &long];
        for bad in bad {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}

//! Plain scalars by the YAML 1.2 core schema (section 10.3.2).

/// What an unquoted scalar says by itself. The declared type of a field has the last word: where text is
/// expected, `on`, `1e3` and `true` are text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Plain {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text,
}

/// No number that means anything is longer than this.
const LONGEST_NUMBER: usize = 400;

pub(super) fn classify(text: &str) -> Plain {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Plain::Null,
        "true" | "True" | "TRUE" => return Plain::Bool(true),
        "false" | "False" | "FALSE" => return Plain::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Plain::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Plain::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Plain::Float(f64::NEG_INFINITY),
        _ if text.len() > LONGEST_NUMBER => return Plain::Text,
        _ => {}
    }
    let radix = |digits: &str, radix| match i128::from_str_radix(digits, radix) {
        Ok(value) if digits.bytes().all(|b| b.is_ascii_alphanumeric()) => Plain::Int(value),
        _ => Plain::Text,
    };
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.is_empty() && unsigned.bytes().all(|b| b.is_ascii_digit()) {
        // Beyond 128 bits it is still a number, only not a whole one that fits anywhere.
        return text.parse().map_or_else(|_| float(text), Plain::Int);
    }
    if is_float(unsigned) { float(text) } else { Plain::Text }
}

fn float(text: &str) -> Plain {
    text.parse().map_or(Plain::Text, Plain::Float)
}

/// `( "." [0-9]+ | [0-9]+ ( "." [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
fn is_float(text: &str) -> bool {
    let digits = |s: &str| s.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(text);
    let mut rest = &text[whole..];
    let mut fraction = 0;
    if let Some(after) = rest.strip_prefix('.') {
        fraction = digits(after);
        rest = &after[fraction..];
    }
    if whole == 0 && fraction == 0 {
        return false;
    }
    match rest.strip_prefix(['e', 'E']) {
        None => rest.is_empty(),
        Some(exponent) => {
            let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
            !exponent.is_empty() && digits(exponent) == exponent.len()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_schema_decides() {
        for text in [
            "no", "on", "yes", "off", "n", "1_000", "1:30", "0x", "0o9", "0x-1", "1e", ".", "+", "-", "e3",
            "nan", "inf", "1.2.3",
        ] {
            assert_eq!(classify(text), Plain::Text, "{text}");
        }
        for (text, value) in [("0", 0), ("-12", -12), ("+7", 7), ("0777", 777), ("0xff", 255), ("0o17", 15)] {
            assert_eq!(classify(text), Plain::Int(value), "{text}");
        }
        for (text, value) in
            [("1.", 1.0), (".5", 0.5), ("-1e-3", -1e-3), ("6.8523015e+5", 685230.15), ("1E3", 1e3)]
        {
            assert_eq!(classify(text), Plain::Float(value), "{text}");
        }
        for text in ["", "~", "null", "NULL"] {
            assert_eq!(classify(text), Plain::Null, "{text}");
        }
        assert_eq!(classify("True"), Plain::Bool(true));
        assert_eq!(classify(".inf"), Plain::Float(f64::INFINITY));
        assert!(matches!(classify(&"9".repeat(60)), Plain::Float(_)));
        assert_eq!(classify(&"9".repeat(100_000)), Plain::Text);
    }
}

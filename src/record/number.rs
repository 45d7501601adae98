//! Floats as text: the shortest digits that parse back to the same value.

/// The plain form is written inside this range and the exponent form outside: plain, an f32 can take 47 characters.
const PLAIN: std::ops::Range<f64> = 1e-5..1e9;

/// The shortest text that parses back to the same f32.
///
/// Not a number is `NaN` whatever its payload, the infinities are `inf` and `-inf`, and zero keeps its sign.
/// Magnitudes below 1e-5 or from 1e9 up are in exponent form (`1.5e-7`).
pub fn f32_text(value: f32) -> String {
    // The limits are rounded to f32 as well, or the f32 next to 1e-5 would fall on the wrong side of it.
    let plain = (PLAIN.start as f32..PLAIN.end as f32).contains(&value.abs());
    if plain || value == 0.0 || !value.is_finite() { format!("{value}") } else { format!("{value:e}") }
}

/// The shortest text that parses back to the same f64, by the rules of [`f32_text`].
pub fn f64_text(value: f64) -> String {
    let plain = PLAIN.contains(&value.abs());
    if plain || value == 0.0 || !value.is_finite() { format!("{value}") } else { format!("{value:e}") }
}

/// An empty cell means "not applicable".
pub fn optional_text(value: Option<f32>) -> String {
    value.map_or_else(String::new, f32_text)
}

/// For people, not for files: four significant digits.
pub fn short_text(value: f64) -> String {
    if !value.is_finite() {
        return f64_text(value);
    }
    let magnitude = value.abs();
    match magnitude {
        0.0 => "0".to_string(),
        m if !(1e-4..1e6).contains(&m) => format!("{value:.2e}"),
        m if m >= 1000.0 => format!("{value:.0}"),
        m if m >= 100.0 => format!("{value:.1}"),
        m if m >= 10.0 => format!("{value:.2}"),
        m if m >= 1.0 => format!("{value:.3}"),
        _ => format!("{value:.4}"),
    }
}

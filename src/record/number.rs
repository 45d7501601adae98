//! Floats as text: the shortest digits that parse back to the same value.

/// From here down to the smallest subnormal, and from [`LARGE`] up, the exponent form is written:
/// the plain form of an f32 can take 47 characters.
const SMALL: f64 = 1e-5;
const LARGE: f64 = 1e9;

/// The shortest text that parses back to the same f32.
///
/// Not a number is `NaN` whatever its payload, the infinities are `inf` and `-inf`, and zero keeps its sign.
/// Magnitudes below 1e-5 or from 1e9 up are in exponent form (`1.5e-7`).
pub fn f32_text(value: f32) -> String {
    if is_plain(f64::from(value)) { format!("{value}") } else { format!("{value:e}") }
}

/// The shortest text that parses back to the same f64, by the rules of [`f32_text`].
pub fn f64_text(value: f64) -> String {
    if is_plain(value) { format!("{value}") } else { format!("{value:e}") }
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

/// Zero, the infinities and NaN are written by the plain form too.
fn is_plain(value: f64) -> bool {
    let magnitude = value.abs();
    !value.is_finite() || magnitude == 0.0 || (SMALL..LARGE).contains(&magnitude)
}

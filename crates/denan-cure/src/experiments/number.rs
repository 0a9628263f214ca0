//! Numbers as people write them.

/// A number with two significant digits.
pub(super) fn two_digits(value: f64) -> f64 {
    format!("{value:.1e}").parse().unwrap_or(value)
}

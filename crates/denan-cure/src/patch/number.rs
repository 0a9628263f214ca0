//! Numbers as a person would type them.

/// Digits that are kept: enough for any rate, few enough to hide the noise of binary fractions.
const DIGITS: usize = 9;

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notation {
    /// `0.0125`
    Decimal,
    /// `1.25e-2`
    Scientific,
}

impl Notation {
    /// The notation of a literal's digits (without type suffix).
    pub(super) fn of(literal: &str) -> Self {
        if literal.contains(['e', 'E']) { Self::Scientific } else { Self::Decimal }
    }
}

/// A floating-point literal; decimal from 1e-2 to 1e6, scientific outside.
pub(super) fn short(value: f64) -> String {
    let decimal = value == 0.0 || (1e-2..1e6).contains(&value.abs());
    write(value, if decimal { Notation::Decimal } else { Notation::Scientific })
}

/// A floating-point literal in the user's notation; small decimals turn scientific
/// where the zeros would have to be counted.
pub(super) fn in_notation(value: f64, notation: Notation) -> String {
    let countable = value == 0.0 || (1e-4..1e9).contains(&value.abs());
    write(value, if countable { notation } else { Notation::Scientific })
}

fn write(value: f64, notation: Notation) -> String {
    let rounded: f64 = format!("{value:.*e}", DIGITS - 1).parse().expect("Rust reads the numbers it prints");
    match notation {
        Notation::Scientific => format!("{rounded:e}"),
        // `{:?}` would turn scientific by itself.
        Notation::Decimal if rounded.fract() == 0.0 => format!("{rounded:.1}"),
        Notation::Decimal => format!("{rounded}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_keep_their_notation() {
        for (value, notation, expected) in [
            (0.1 * 0.125, Notation::Decimal, "0.0125"),
            (0.3 * 0.1, Notation::Decimal, "0.03"),
            (1e-3 * 0.125, Notation::Scientific, "1.25e-4"),
            (1e-3 * 0.1, Notation::Scientific, "1e-4"),
            (0.00002, Notation::Decimal, "2e-5"),
            (1.0, Notation::Decimal, "1.0"),
            (0.0, Notation::Decimal, "0.0"),
        ] {
            assert_eq!(in_notation(value, notation), expected);
        }
        for (value, expected) in
            [(1e-7, "1e-7"), (80.0, "80.0"), (0.5, "0.5"), (-0.9999999, "-0.9999999"), (1e-12, "1e-12")]
        {
            assert_eq!(short(value), expected);
        }
    }
}

//! Numbers for people: the one place that decides how many digits they get.
//!
//! Where a number and its unit, or the groups of a number, stand apart, a no-break space
//! (U+00A0) stands between them, so that wrapping keeps them on one line.

use std::time::Duration;

const NO_BREAK: char = '\u{a0}';

/// A measured value with four significant digits: `0`, `65504`, `3.412`, `1.2e-7`, `NaN`, `-inf`.
///
/// Whole numbers below ten million are exact. A value that only rounds to a whole number keeps its
/// zeros (`1.000`), since exactly 1 and almost 1 are different things to a logarithm.
pub fn float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let is_whole = value.fract() == 0.0;
    if is_whole && value.abs() < 1e7 {
        return format!("{value:.0}");
    }
    let scientific = format!("{value:.3e}");
    let (mantissa, exponent) = scientific.split_once('e').expect("`e` is in every {:e}");
    match exponent.parse::<i32>().expect("{:e} ends in an integer") {
        exponent @ -3..=3 => {
            let decimals = usize::try_from(3 - exponent).expect("at most 6");
            let plain = format!("{value:.decimals$}");
            let trimmed = trim_zeros(&plain);
            if trimmed.contains('.') { trimmed.to_owned() } else { plain }
        }
        4 | 5 => format!("{value:.0}"),
        _ => format!("{}e{exponent}", trim_zeros(mantissa)),
    }
}

/// A count, in groups of three from five digits on: `4096`, `1 204 331`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    if digits.len() < 5 {
        return digits;
    }
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3 * NO_BREAK.len_utf8());
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(NO_BREAK);
        }
        grouped.push(digit);
    }
    grouped
}

/// A count with its noun: `1 step`, `200 steps`.
pub fn counted(value: u64, one: &str, many: &str) -> String {
    let noun = if value == 1 { one } else { many };
    format!("{}{NO_BREAK}{noun}", count(value))
}

/// A share of 0 to 1: `1.2 %`, `38 %`; one that is not quite all is not `100 %`.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let digits = if !percent.is_finite() {
        float(percent)
    } else if percent <= 0.0 {
        "0".to_owned()
    } else if percent < 0.1 {
        "<0.1".to_owned()
    } else if percent < 9.95 {
        trim_zeros(&format!("{percent:.1}")).to_owned()
    } else if percent < 100.0 {
        format!("{:.0}", percent.round().min(99.0))
    } else {
        format!("{percent:.0}")
    };
    format!("{digits}{NO_BREAK}%")
}

/// A span of time: `34 µs`, `1.2 ms`, `8.4 s`, `3 min 05 s`, `2 h 40 min`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    let whole = (seconds + 0.5).floor() as u64;
    if seconds < 999.5e-6 {
        format!("{:.0}{NO_BREAK}µs", seconds * 1e6)
    } else if seconds < 999.5e-3 {
        format!("{}{NO_BREAK}ms", two_digits(seconds * 1e3))
    } else if whole < 60 {
        format!("{}{NO_BREAK}s", two_digits(seconds))
    } else if whole < 3600 {
        format!("{}{NO_BREAK}min{NO_BREAK}{:02}{NO_BREAK}s", whole / 60, whole % 60)
    } else {
        let minutes = whole / 60;
        format!("{}{NO_BREAK}h{NO_BREAK}{:02}{NO_BREAK}min", minutes / 60, minutes % 60)
    }
}

fn two_digits(value: f64) -> String {
    if value < 9.95 { trim_zeros(&format!("{value:.1}")).to_owned() } else { format!("{value:.0}") }
}

fn trim_zeros(decimal: &str) -> &str {
    if decimal.contains('.') { decimal.trim_end_matches('0').trim_end_matches('.') } else { decimal }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_read_as_people_write_them() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-3.0, "-3"),
            (65504.0, "65504"),
            (9_999_999.0, "9999999"),
            (16_777_216.0, "1.678e7"),
            (f64::from(f32::MAX), "3.403e38"),
            (3.4123, "3.412"),
            (f64::from(3.41_f32), "3.41"),
            (0.1, "0.1"),
            (0.001, "0.001"),
            (0.012_345, "0.01235"),
            (1e-4, "1e-4"),
            (1.2e-7, "1.2e-7"),
            (-9.999_96e-4, "-0.001"),
            (0.999_99, "1.000"),
            (9.999_96, "10.00"),
            (1234.5, "1234"),
            (12_345.6, "12346"),
            (999_999.7, "1e6"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (5e-324, "4.941e-324"),
        ] {
            assert_eq!(float(value), text, "{value:?}");
        }
    }

    #[test]
    fn counts_are_grouped_from_five_digits_on() {
        let plain = |value| count(value).replace(NO_BREAK, " ");
        assert_eq!(plain(0), "0");
        assert_eq!(plain(4096), "4096");
        assert_eq!(plain(12_345), "12 345");
        assert_eq!(plain(1_204_331), "1 204 331");
        assert_eq!(plain(u64::MAX), "18 446 744 073 709 551 615");
    }

    #[test]
    fn a_share_never_claims_more_than_it_is() {
        let plain = |share| percent(share).replace(NO_BREAK, " ");
        assert_eq!(plain(0.0), "0 %");
        assert_eq!(plain(0.0004), "<0.1 %");
        assert_eq!(plain(0.012), "1.2 %");
        assert_eq!(plain(0.38), "38 %");
        assert_eq!(plain(0.999), "99 %");
        assert_eq!(plain(1.0), "100 %");
        assert_eq!(plain(2.5), "250 %");
    }

    #[test]
    fn durations_carry_two_units_at_most() {
        for (seconds, text) in [
            (0.000_034, "34 µs"),
            (0.0012, "1.2 ms"),
            (0.5, "500 ms"),
            (8.44, "8.4 s"),
            (59.7, "1 min 00 s"),
            (185.0, "3 min 05 s"),
            (9600.0, "2 h 40 min"),
        ] {
            let shown = duration(Duration::from_secs_f64(seconds)).replace(NO_BREAK, " ");
            assert_eq!(shown, text);
        }
    }
}

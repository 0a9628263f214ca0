//! How the parts of a diagnosis are put into words.

use denan_finding::number::{count, float};
use denan_numerics::Range;
use denan_record::model::{Kind, Operation, Origin, Phase, Place, TensorSeen};

/// Whom an origin belongs to: the sample, else the row of the batch, else the tensor.
pub(crate) fn owner(origin: &Origin) -> String {
    match (&origin.sample, origin.batch_row) {
        (Some(known), _) => known.called(),
        (None, Some(row)) => format!("row {row} of the batch"),
        (None, None) => format!("the batch tensor of shape {}", shape(&origin.shape)),
    }
}

/// `src/loss.rs:42`.
pub(crate) fn place(place: &Place) -> String {
    format!("{}:{}", place.file, place.line)
}

/// The line a user would look at: of the forward call, where the operation is its gradient.
pub(crate) fn user_place(operation: &Operation) -> Option<&Place> {
    operation.forward_place.as_ref().or(operation.place.as_ref())
}

/// ` at src/loss.rs:42`, or nothing if the line is unknown.
pub(crate) fn at(operation: &Operation) -> String {
    at_place(user_place(operation))
}

/// The same for a line.
pub(crate) fn at_place(line: Option<&Place>) -> String {
    line.map(|line| format!(" at {}", place(line))).unwrap_or_default()
}

/// `[16, 10]`.
pub(crate) fn shape(sizes: &[u64]) -> String {
    let sizes: Vec<String> = sizes.iter().map(u64::to_string).collect();
    format!("[{}]", sizes.join(", "))
}

/// `[0.5, 0.25, 0, 0]`, shortened after eight values.
pub(crate) fn vector(values: &[f64]) -> String {
    /// Enough for a box with its class; more does not read well in a line.
    const SHOWN: usize = 8;
    let mut shown: Vec<String> = values.iter().take(SHOWN).map(|value| float(*value)).collect();
    if values.len() > SHOWN {
        shown.push("…".to_owned());
    }
    format!("[{}]", shown.join(", "))
}

/// `NaN`, `inf`, `-inf`.
pub(crate) fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Nan => "NaN",
        Kind::Infinity => "inf",
        Kind::NegativeInfinity => "-inf",
    }
}

/// Where in the step: `the forward pass`.
pub(crate) fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Input => "the input",
        Phase::Forward => "the forward pass",
        Phase::Loss => "the loss",
        Phase::Backward => "the backward pass",
        Phase::Optimizer => "the optimizer",
        Phase::Parameter => "the parameters",
    }
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn joined(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// A tensor in figures: `float32 [16, 10] from 0 to 1, 3 of 160 are 0`.
pub(crate) fn tensor(seen: &TensorSeen) -> String {
    format!("{} {} {}", seen.dtype, shape(&seen.shape), range(&seen.range))
}

/// Figures of a tensor: `from 0 to 1, 3 of 160 are 0`.
pub(crate) fn range(range: &Range) -> String {
    let mut parts = match (range.min_opt(), range.max_opt()) {
        (Some(min), Some(max)) if min == max => vec![format!("all {}", float(min))],
        (Some(min), Some(max)) => vec![format!("from {} to {}", float(min), float(max))],
        _ if range.count == 0 => vec!["without elements".to_owned()],
        _ => vec!["without a finite value".to_owned()],
    };
    if range.zeros > 0 && range.min < range.max {
        parts.push(format!("{} of {} are 0", count(range.zeros), count(range.count)));
    }
    if range.nonfinite() > 0 {
        parts.push(nonfinite(range));
    }
    parts.join(", ")
}

/// `2 NaN and 1 inf`.
pub(crate) fn nonfinite(range: &Range) -> String {
    let parts: Vec<String> = [(range.nan, "NaN"), (range.pos_inf, "inf"), (range.neg_inf, "-inf")]
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, name)| format!("{} {name}", count(number)))
        .collect();
    joined(&parts)
}

/// A number with two significant digits: of a factor the rest means nothing.
pub(crate) fn two_digits(value: f64) -> f64 {
    format!("{value:.1e}").parse().unwrap_or(value)
}

/// `1 value` or `3 values`, in words that agree with `is` and `are`.
pub(crate) fn values(number: u64, of: u64) -> String {
    if number == 1 {
        format!("1 of {} values is", count(of))
    } else {
        format!("{} of {} values are", count(number), count(of))
    }
}

//! Which of several calls the compiler's line and column mean.

use super::source::Source;
use std::ops::Range;

/// Something that a recorded place may mean.
pub(super) struct Candidate<T> {
    /// The byte that rustc records for it: a method's name, the first byte of an operator's left side.
    pub(super) key: usize,
    /// All of the expression.
    pub(super) range: Range<usize>,
    /// What it is.
    pub(super) what: T,
}

/// The one candidate at a line and column (1-based); `groups` come in order of preference.
///
/// A known column must fit to the byte: a call of the same name elsewhere in
/// the line is another call, and the one meant happens inside of what stands at the column.
/// With column 0 the line decides.
///
/// # Errors
/// How many candidates there are that cannot be told apart; 0 if there is none.
pub(super) fn pick<T>(
    source: &Source,
    line: u32,
    column: u32,
    groups: Vec<Vec<Candidate<T>>>,
) -> Result<T, usize> {
    if column > 0 {
        let is_exact = |candidate: &Candidate<T>| source.is_at(candidate.key, line, column);
        return only(groups.into_iter().flatten().filter(is_exact).collect());
    }
    let on_line = |candidate: &Candidate<T>| source.line(candidate.key) == line;
    let around = |candidate: &Candidate<T>| {
        (source.line(candidate.range.start)..=source.line(candidate.range.end)).contains(&line)
    };
    let first_with = |condition: &dyn Fn(&Candidate<T>) -> bool| {
        groups.iter().position(|group| group.iter().any(condition))
    };
    if let Some(at) = first_with(&on_line) {
        let group = groups.into_iter().nth(at).unwrap_or_default();
        return only(group.into_iter().filter(on_line).collect());
    }
    if let Some(at) = first_with(&around) {
        let group = groups.into_iter().nth(at).unwrap_or_default();
        return only(group.into_iter().filter(around).collect());
    }
    Err(0)
}

fn only<T>(candidates: Vec<Candidate<T>>) -> Result<T, usize> {
    match <[Candidate<T>; 1]>::try_from(candidates) {
        Ok([candidate]) => Ok(candidate.what),
        Err(several) => Err(several.len()),
    }
}

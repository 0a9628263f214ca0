//! The pages of the causes.

use crate::cause::CAUSES;

/// The page of a cause in Markdown, or `None` if there is no such cause.
pub fn page(id: &str) -> Option<&'static str> {
    CAUSES.iter().find(|cause| cause.id() == id).map(|cause| cause.page())
}

/// The ids of all causes, sorted.
pub fn ids() -> Vec<&'static str> {
    CAUSES.iter().map(|cause| cause.id()).collect()
}

/// The id that was probably meant, or `None` if nothing is close.
///
/// Spaces, underscores and capitals count as no difference; beyond that an id is close that begins
/// with `id`, holds it as a whole word, or is at most a third of its letters away (Levenshtein).
pub fn closest(id: &str) -> Option<&'static str> {
    let id = id.trim().to_lowercase().replace(['_', ' '], "-");
    if id.is_empty() {
        return None;
    }
    let is_part = |known: &&str| known.starts_with(&id) || known.split('-').any(|word| word == id);
    ids().into_iter().find(is_part).or_else(|| {
        ids()
            .into_iter()
            .map(|known| (edit_distance(&id, known), known))
            .min()
            .filter(|(distance, known)| distance * 3 <= known.len())
            .map(|(_, known)| known)
    })
}

/// Insertions, deletions and replacements between two strings (Levenshtein 1966).
fn edit_distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (deleted, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = deleted + 1;
        for (column, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_is_that_of_levenshtein() {
        for (from, to, distance) in [("", "", 0), ("kitten", "sitting", 3), ("log", "", 3)] {
            assert_eq!(edit_distance(from, to), distance, "{from} {to}");
        }
    }

    #[test]
    fn a_slip_of_the_pen_finds_the_id() {
        for (typed, meant) in [
            ("degenerate-box", Some("degenerate-box")),
            ("Degenerate_Box", Some("degenerate-box")),
            ("degenrate-boxes", Some("degenerate-box")),
            ("learning-rate-too", Some("learning-rate-too-high")),
            ("epsilon", Some("optimizer-epsilon")),
            ("log of zero", Some("log-of-zero")),
            ("zzz", None),
            ("", None),
        ] {
            assert_eq!(closest(typed), meant, "{typed}");
        }
    }
}

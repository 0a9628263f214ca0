//! A label that cannot be read.

use super::{Check, Found, Looked};
use crate::images::is_image;
use denan_finding::scan::Severity;

pub(crate) struct UnreadableLabel;

impl Check for UnreadableLabel {
    fn names(&self) -> [&'static str; 3] {
        ["unreadable-label", "label cannot be read", "labels cannot be read"]
    }

    fn severity(&self) -> Severity {
        Severity::Error
    }

    fn page(&self) -> &'static str {
        include_str!("../../pages/unreadable-label.md")
    }

    fn look(&self, set: &Looked<'_>, tell: &mut dyn FnMut(Found)) {
        // Of images another check tells.
        let of_labels = set.labels.problems.iter().filter(|problem| !is_image(&problem.file));
        for problem in of_labels {
            let place = problem.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
            tell(Found::of_file(problem.file.display(), format!("{place}{}", problem.message)));
        }
    }
}

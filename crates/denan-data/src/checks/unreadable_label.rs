//! A label that cannot be read.

use super::{Found, LabelCheck, Looked};
use crate::image_file::is_image;

check!(UnreadableLabel, Error, "unreadable-label", "label cannot be read", "labels cannot be read");

impl LabelCheck for UnreadableLabel {
    fn look(&self, set: &Looked<'_>, tell: &mut dyn FnMut(Found)) {
        // Of images another check tells.
        let of_labels = set.labels.problems.iter().filter(|problem| !is_image(&problem.file));
        for problem in of_labels {
            let place = problem.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
            tell(Found::of_file(problem.file.display(), format!("{place}{}", problem.message)));
        }
    }
}

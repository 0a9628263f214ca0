//! Goes through a data set with every check.

use crate::checks::{CHECKS, Looked};
use crate::images::Images;
use crate::labels::{self, LabelSet};
use denan_finding::scan::{ClassCount, RuleCount, ScanResult};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What is wrong with the labels in these files and folders, and with their images.
///
/// Images are looked for in the folders of the labels and, where there are none, in those beside them that are called as
/// folders of images are (`JPEGImages`, `images`, `train2017`, …). Where there are none, the checks that need them are left out, which the result
/// says.
///
/// # Errors
///
/// As of [`labels::read`].
pub fn scan(paths: &[PathBuf]) -> Result<ScanResult, labels::Error> {
    let labels = labels::read(paths)?;
    let images = Images::of_labels(paths);
    Ok(scanned(&labels, &images))
}

fn scanned(labels: &LabelSet, images: &Images) -> ScanResult {
    let looked = Looked { labels, images };
    let mut result = ScanResult {
        format: labels.format.to_string(),
        samples: labels.images.len() as u64,
        boxes: labels.images.iter().map(|image| image.boxes.len() as u64).sum(),
        images: images.all().len() as u64,
        classes: classes(labels),
        complete: true,
        ..ScanResult::default()
    };
    for check in CHECKS {
        let [id, one, many] = check.names();
        if check.needs_images() && images.is_empty() {
            result.unchecked.push(id.to_owned());
            continue;
        }
        let before = result.findings.len();
        check.look(&looked, &mut |found| result.findings.push(found.by(check)));
        let count = (result.findings.len() - before) as u64;
        let title = if count == 1 { one } else { many }.to_owned();
        result.rules.push(RuleCount { rule: id.to_owned(), severity: check.severity(), count, title });
    }
    result
}

/// How often each class occurs, the most frequent first; those that are listed and never occur come last.
fn classes(labels: &LabelSet) -> Vec<ClassCount> {
    let mut counts: BTreeMap<&str, u64> = labels.classes.iter().map(|class| (class.as_str(), 0)).collect();
    for found in labels.images.iter().flat_map(|image| &image.boxes) {
        *counts.entry(found.class.as_deref().unwrap_or_default()).or_default() += 1;
    }
    let mut counts: Vec<ClassCount> =
        counts.into_iter().map(|(class, count)| ClassCount { class: class.to_owned(), count }).collect();
    counts.sort_by_key(|class| std::cmp::Reverse(class.count));
    counts
}

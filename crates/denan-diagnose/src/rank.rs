//! Which finding stands first, and which is only the symptom of another.

use crate::cause::CAUSES;
use crate::evidence::Evidence;
use denan_finding::Finding;

/// A cause that makes another rule's evidence appear.
struct Relation {
    /// Rule of the cause.
    root: &'static str,
    /// Rules of what follows from it; empty for all others.
    symptoms: &'static [&'static str],
    /// Confidence of the root from which its symptoms are no findings of their own.
    from: f64,
    /// Whether a root that is less sure at least stands before its symptoms.
    leads: bool,
    /// Whether values that stand in the data are beyond the root's reach.
    spares_data: bool,
}

/// Confidence from which a runaway training explains what broke in the end: the loss ran away, and
/// the updates or the overflow say so too.
const DIVERGED: f64 = 0.65;

/// How far a symptom stays behind a root that is likely, but not sure enough to swallow it.
const BEHIND: f64 = 0.05;

static RELATIONS: &[Relation] = &[
    // A bad element of the batch makes every later operation bad, whatever else is wrong.
    Relation { root: "non-finite-input", symptoms: &[], from: 0.9, leads: false, spares_data: false },
    // A side of 0 that the annotation file confirms is where the value came from, exactly.
    Relation { root: "degenerate-box", symptoms: &[], from: 0.9, leads: false, spares_data: false },
    // Read off the tensor alone, it still says where the 0 of these three came from; whether the
    // training also ran away is another question.
    Relation {
        root: "degenerate-box",
        symptoms: &["log-of-zero", "division-by-zero", "infinite-gradient"],
        from: 0.0,
        leads: false,
        spares_data: false,
    },
    // Weights that blow up saturate probabilities (log of 0), kill units (division by 0) and carry
    // arguments over the edge of exp. They cannot put a value into the data.
    Relation {
        root: "learning-rate-too-high",
        symptoms: &["exp-overflow", "log-of-zero", "division-by-zero", "infinite-gradient"],
        from: DIVERGED,
        leads: true,
        spares_data: true,
    },
    // An optimizer that divides by nothing makes the very updates from which the rate is judged.
    Relation {
        root: "optimizer-epsilon",
        symptoms: &["learning-rate-too-high"],
        from: 0.7,
        leads: false,
        spares_data: false,
    },
];

/// Which of two equally confident findings is the more telling, first before last: what names a
/// datum, before what names a setting, before what names an operation.
static MOST_SPECIFIC_FIRST: &[&str] = &[
    "non-finite-input",
    "degenerate-box",
    "optimizer-epsilon",
    "infinite-gradient",
    "log-of-zero",
    "division-by-zero",
    "exp-overflow",
    "learning-rate-too-high",
    "unknown",
];

/// Orders the findings, most likely first, and turns symptoms into evidence of their cause.
pub(crate) fn rank(mut findings: Vec<Finding>, evidence: &Evidence<'_>) -> Vec<Finding> {
    // What is unknown is so only as long as nothing else speaks.
    if findings.len() > 1 {
        findings.retain(|finding| finding.rule != "unknown");
    }
    for relation in RELATIONS {
        relation.apply(&mut findings, evidence);
    }
    findings.sort_by(|a, b| {
        b.confidence.total_cmp(&a.confidence).then_with(|| place(&a.rule).cmp(&place(&b.rule)))
    });
    findings
}

impl Relation {
    fn apply(&self, findings: &mut Vec<Finding>, evidence: &Evidence<'_>) {
        let Some(root) = findings.iter().find(|finding| finding.rule == self.root) else {
            return;
        };
        if self.spares_data && evidence.suspect_is_data() {
            return;
        }
        let confidence = root.confidence;
        let is_symptom = |finding: &Finding| {
            finding.rule != self.root
                && (self.symptoms.is_empty() || self.symptoms.contains(&finding.rule.as_str()))
        };
        if confidence < self.from {
            if !self.leads {
                return;
            }
            for finding in findings.iter_mut().filter(|finding| is_symptom(finding)) {
                let behind = ((confidence - BEHIND) * 100.0).round() / 100.0;
                finding.confidence = finding.confidence.min(behind);
            }
            return;
        }
        let (symptoms, mut kept): (Vec<Finding>, Vec<Finding>) =
            std::mem::take(findings).into_iter().partition(is_symptom);
        if let Some(root) = kept.iter_mut().find(|finding| finding.rule == self.root) {
            let seen = symptoms.into_iter().map(|symptom| format!("seen with it: {}", symptom.summary));
            root.evidence.extend(seen);
        }
        *findings = kept;
    }
}

fn place(rule: &str) -> usize {
    MOST_SPECIFIC_FIRST.iter().position(|known| *known == rule).unwrap_or(CAUSES.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_cause_has_a_place_and_every_relation_names_causes() {
        let causes: BTreeSet<&str> = CAUSES.iter().map(|cause| cause.id()).collect();
        let placed: BTreeSet<&str> = MOST_SPECIFIC_FIRST.iter().copied().collect();
        assert_eq!(causes, placed);
        for relation in RELATIONS {
            for rule in relation.symptoms.iter().chain([&relation.root]) {
                assert!(causes.contains(rule), "{rule}");
            }
        }
    }
}

//! Which finding stands first, and which is only the symptom of another.

use crate::cause::{CAUSES, Cause, Explains, Names};
use crate::evidence::Evidence;
use denan_finding::Finding;

/// How far a symptom stays behind a cause that is likely, but not sure enough to swallow it.
const BEHIND: f64 = 0.05;

/// Orders the findings, most likely first, and turns symptoms into evidence of their cause.
pub(crate) fn rank(mut findings: Vec<Finding>, evidence: &Evidence<'_>) -> Vec<Finding> {
    // What is unknown is so only as long as nothing else speaks.
    if findings.len() > 1 {
        findings.retain(|finding| finding.rule != "unknown");
    }
    // The more telling causes first: what they swallow has nothing more to say.
    let mut causes: Vec<&dyn Cause> = CAUSES.to_vec();
    causes.sort_by_key(|cause| cause.names());
    for cause in causes {
        for relation in cause.explains() {
            relation.apply(cause.id(), &mut findings, evidence);
        }
    }
    findings.sort_by(|a, b| {
        b.confidence.total_cmp(&a.confidence).then_with(|| place(&a.rule).cmp(&place(&b.rule)))
    });
    findings
}

impl Explains {
    fn apply(&self, rule: &str, findings: &mut Vec<Finding>, evidence: &Evidence<'_>) {
        let Some(root) = findings.iter().find(|finding| finding.rule == rule) else {
            return;
        };
        if self.spares_data && evidence.suspect_is_data() {
            return;
        }
        let confidence = root.confidence;
        let is_symptom = |finding: &Finding| {
            finding.rule != rule
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
        if let Some(root) = kept.iter_mut().find(|finding| finding.rule == rule) {
            let seen = symptoms.into_iter().map(|symptom| format!("seen with it: {}", symptom.summary));
            root.evidence.extend(seen);
        }
        *findings = kept;
    }
}

fn place(rule: &str) -> Option<(Names, &'static str)> {
    CAUSES.iter().find(|cause| cause.id() == rule).map(|cause| (cause.names(), cause.id()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_relation_names_causes_and_ids_are_sorted() {
        let ids: Vec<&str> = CAUSES.iter().map(|cause| cause.id()).collect();
        assert!(ids.is_sorted(), "{ids:?}");
        let known: BTreeSet<&str> = ids.iter().copied().collect();
        for cause in CAUSES {
            for rule in cause.explains().iter().flat_map(|relation| relation.symptoms) {
                assert!(known.contains(rule) && *rule != cause.id(), "{}: {rule}", cause.id());
            }
        }
    }
}

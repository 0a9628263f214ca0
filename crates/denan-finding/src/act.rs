//! What a guard did, in words.

use crate::number::{counted, float};
use denan_record::model::{Act, Deed, Sample};

/// Samples that are named one by one.
const MOST_SAMPLES: usize = 4;

/// A sentence without its end: `skipped step 37: the gradient of head.weight was NaN`.
///
/// ```
/// use denan_record::model::{Act, Deed};
///
/// let act = Act {
///     step: 37,
///     what: Deed::SkippedStep,
///     why: "the loss was NaN".into(),
///     samples: Vec::new(),
///     to: None,
///     factor: None,
///     file: None,
/// };
/// assert_eq!(denan_finding::act_in_words(&act), "skipped step 37: the loss was NaN");
/// ```
pub fn act_in_words(act: &Act) -> String {
    let Act { step, why, .. } = act;
    let samples = samples(&act.samples);
    match act.what {
        Deed::SkippedStep => format!("skipped step {step}: {why}{samples}"),
        Deed::RolledBack => {
            let to = act.to.map_or("an earlier state".to_owned(), |to| format!("the state before step {to}"));
            let rate = act.factor.filter(|&factor| factor < 1.0);
            let rate = rate
                .map(|factor| format!(", all rates times {} from here on", float(factor)))
                .unwrap_or_default();
            format!("went back in step {step} to {to}{rate}: {why}{samples}")
        }
        Deed::RestoredBuffers => {
            format!("gave buffers the values back that they had before step {step}: {why}{samples}")
        }
        Deed::LeftOut => format!("leaves samples out from step {step} on: {why}{samples}"),
        Deed::KeptCheckpoint => {
            let file = act.file.as_deref().unwrap_or("a file");
            format!("wrote {file}.non-finite at step {step} and left {file} as it was: {why}")
        }
        Deed::GaveUp => format!("gave up at step {step}: {why}"),
    }
}

fn samples(samples: &[Sample]) -> String {
    if samples.is_empty() {
        return String::new();
    }
    let name = |sample: &Sample| sample.name.clone().unwrap_or_else(|| sample.index.to_string());
    let word = if samples.len() == 1 { "sample" } else { "samples" };
    if samples.len() > MOST_SAMPLES {
        return format!(" ({})", counted(samples.len() as u64, "sample", "samples"));
    }
    format!(" ({word} {})", samples.iter().map(name).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_act_is_a_sentence_of_its_own() {
        let sample = |index| Sample { index, name: (index == 3).then(|| "a.png".to_owned()) };
        let act = |what, samples: u64| Act {
            step: 41,
            what,
            why: "so it was".into(),
            samples: (3..3 + samples).map(sample).collect(),
            to: Some(20),
            factor: Some(0.25),
            file: Some("m.pt".into()),
        };
        for (what, samples, said) in [
            (Deed::SkippedStep, 2, "skipped step 41: so it was (samples a.png, 4)"),
            (Deed::SkippedStep, 9, "skipped step 41: so it was (9\u{a0}samples)"),
            (
                Deed::RolledBack,
                0,
                "went back in step 41 to the state before step 20, all rates times 0.25 from here on: so it was",
            ),
            (Deed::LeftOut, 1, "leaves samples out from step 41 on: so it was (sample a.png)"),
            (Deed::KeptCheckpoint, 0, "wrote m.pt.non-finite at step 41 and left m.pt as it was: so it was"),
            (Deed::GaveUp, 0, "gave up at step 41: so it was"),
        ] {
            assert_eq!(act_in_words(&act(what, samples)), said);
        }
    }
}

//! A class that does not exist, or a probability outside of 0 to 1, among the targets.

use crate::cause::{Cause, Explains, Identity, Names, cause};
use crate::evidence::Evidence;
use crate::evidence::view::{Index, View};
use crate::operators::{has_logarithm, is_logarithm, is_power, is_saturating};
use crate::words;
use denan_finding::number::float;
use denan_finding::{BlamedSample, Finding};
use denan_record::model::{DataSeen, Node, Origin, Phase, Rows, Sample};

pub(crate) struct LabelOutOfRange;

cause!(LabelOutOfRange, "label-out-of-range");

/// The target itself is on the record, in the breaking batch.
const TARGET_NAMED: f64 = 0.95;

/// Such a target was among the data before, and the training ran away since.
const SEEN_BEFORE: f64 = 0.91;

/// Rounding may push a probability this far outside.
const TOLERANCE: f64 = 1e-4;

/// Operations between logits and the logarithm of their probabilities.
const STEPS_TO_LOG: usize = 7;

/// Operations between a probability and its complement.
const STEPS_TO_PROBABILITY: usize = 3;

/// Functions that are defined from -1 to 1 only.
const BOUNDED: &[&str] = &["asin", "acos", "atanh"];

/// Functions that hold a logarithm.
const LOG_PROBABILITIES: &[&str] = &["log_sigmoid", "log_softmax", "softplus", "logsigmoid"];

impl Cause for LabelOutOfRange {
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        if matches!(evidence.broken.phase, Phase::Input | Phase::Parameter | Phase::Optimizer) {
            return None;
        }
        let found = bad_targets(evidence);
        let worst = found.first()?;
        let confidence = if worst.row.is_some() { TARGET_NAMED } else { SEEN_BEFORE };
        let mut observations = vec![worst.why()];
        observations.push(match worst.classes {
            Some(classes) => format!("the classes are 0 to {}", classes - 1),
            None if worst.is_outside_of_domain => {
                format!("{} is taken of it, which is not defined there", evidence.operation_in_words())
            }
            None => "it is used as a probability: it multiplies a logarithm, or goes into one".to_owned(),
        });
        if found.len() > 1 {
            observations.push(format!("{} such targets in the batch", found.len()));
        }
        observations.extend(evidence.history.losses_before_break());
        observations.extend(
            evidence
                .suspect()
                .map(|seen| format!("{}{}", evidence.input_in_words(seen), words::at(evidence.producer()))),
        );
        Some(Finding {
            evidence: observations,
            remedies: vec![
                "repair the label of that sample, or leave the sample out".to_owned(),
                match worst.classes {
                    Some(_) => "check labels where they are read: 0 <= label < classes".to_owned(),
                    None if worst.is_outside_of_domain => {
                        "check targets where they are read: shares lie between 0 and 1, times and amounts above 0"
                            .to_owned()
                    }
                    None => "check targets where they are read: 0 <= target <= 1; images of bytes want / 255"
                        .to_owned(),
                },
            ],
            interventions: vec!["drop-samples".to_owned()],
            ..self.finding(
                confidence,
                format!("{} has a target out of range: {}", worst.owner(), float(worst.value)),
            )
        })
    }

    fn blamed(&self, evidence: &Evidence<'_>) -> Vec<BlamedSample> {
        bad_targets(evidence).iter().map(BadTarget::blame).collect()
    }

    fn names(&self) -> Names {
        Names::Datum
    }

    fn explains(&self) -> &'static [Explains] {
        const { &[Explains::from(0.9, &[])] }
    }
}

/// A target out of range.
struct BadTarget {
    value: f64,
    /// Number of classes; none for a probability.
    classes: Option<u64>,
    row: Option<u64>,
    sample: Option<Sample>,
    /// No probability, but something of which a function is taken that is not defined for it.
    is_outside_of_domain: bool,
}

impl BadTarget {
    fn owner(&self) -> String {
        match (&self.sample, self.row) {
            (Some(sample), _) => sample.called(),
            (None, Some(row)) => format!("row {row} of the batch"),
            (None, None) => "a sample".to_owned(),
        }
    }

    fn why(&self) -> String {
        match self.classes {
            Some(classes) => format!("its class is {}, of {classes}", float(self.value)),
            None if self.is_outside_of_domain => format!("its target is {}", float(self.value)),
            None => format!("its target is {}, and a probability lies between 0 and 1", float(self.value)),
        }
    }

    /// As one to blame.
    fn blame(&self) -> BlamedSample {
        BlamedSample { sample: self.sample.clone(), batch_row: self.row, why: self.why() }
    }
}

/// The targets out of range, one a row.
fn bad_targets(evidence: &Evidence<'_>) -> Vec<BadTarget> {
    let Some(view) = evidence.breaking() else { return Vec::new() };
    let mut found = Vec::new();
    for (index, classes) in targets(view).into_iter().chain(earlier_targets(evidence)) {
        let node = view.node(index);
        let is_bad = |value: f64| match classes {
            Some(classes) => value < 0.0 || value >= classes as f64,
            None => !(-TOLERANCE..=1.0 + TOLERANCE).contains(&value),
        };
        let bad: Vec<(usize, f64)> =
            node.values.iter().copied().enumerate().filter(|(_, value)| is_bad(*value)).collect();
        // Where many targets lie outside, they are no probabilities at all; counts in a Poisson likelihood are not.
        let exceeds = |share: usize| bad.len() * share > node.values.len();
        if bad.is_empty() || exceeds(2) || classes.is_none() && exceeds(4) && survived_such(evidence) {
            continue;
        }
        for (position, value) in bad {
            let row = node.rows.map(|Rows { first, length }| first + position as u64 / length.max(1));
            if found.iter().any(|known: &BadTarget| known.row == row) {
                continue;
            }
            let sample = row.and_then(|row| evidence.samples.get(usize::try_from(row).ok()?)).cloned();
            found.push(BadTarget { value, classes, row, sample, is_outside_of_domain: false });
        }
    }
    if found.is_empty() {
        found = worked_out(evidence, view);
    }
    if found.is_empty() {
        found = outside_of_domain(evidence, view);
    }
    if found.is_empty() && evidence.blew_up() {
        found.extend(seen_before(evidence, view));
    }
    found
}

/// Whether steps that went well had many such targets outside of 0 to 1.
fn survived_such(evidence: &Evidence<'_>) -> bool {
    let views = [evidence.first(), evidence.before()];
    let survived = views.into_iter().flatten().filter(|view| view.producer().is_none());
    let (mut outside, mut all) = (0, 0);
    for view in survived {
        for (index, _) in targets(view).into_iter().filter(|(_, classes)| classes.is_none()) {
            // Elements are kept of the breaking step only; figures of every one.
            let node = view.node(index);
            all += 1;
            outside += usize::from(node.range.max > 1.0 + TOLERANCE || node.range.min < -TOLERANCE);
        }
    }
    all > 0 && outside == all
}

/// Data tensors that are used as targets, and the number of classes if they are labels.
fn targets(view: &View<'_>) -> Vec<(Index, Option<u64>)> {
    let mut found = Vec::new();
    for (index, node) in view.forward() {
        match node.op.as_str() {
            // target * log(p), or target * logit beside a log of the same logit.
            "mul" if node.dtype.contains("float") => {
                let [a, b] = node.inputs[..] else { continue };
                // A label of 1 or -1 multiplies the score before the logarithm, and is no probability; one that
                // chooses between a probability and its complement is.
                let is_before_log = view.descendants(index, STEPS_TO_LOG).into_iter().any(|at| is_log(view, at));
                for (target, other) in [(a, b), (b, a)] {
                    let is_meant =
                        if is_before_log { is_probability(view, other) } else { is_log_probability(view, other) };
                    if view.is_of_data(target) && !view.is_of_data(other) && is_meant {
                        found.extend(values_of(view, target).map(|target| (target, None)));
                    }
                }
            }
            // The entropy of the targets in a divergence.
            "log" if is_entropy(view, index) => {
                let argument = node.inputs.first().copied().filter(|&input| view.is_of_data(input));
                found.extend(argument.and_then(|argument| values_of(view, argument)).map(|target| (target, None)));
            }
            // One-hot by hand: labels against all classes.
            "equal" => {
                let label = node.inputs.iter().find_map(|&input| {
                    let label = values_of(view, input)?;
                    view.node(label).dtype.starts_with("int").then_some(label)
                });
                let classes = node.shape.last().copied().filter(|classes| *classes > 1);
                if let (Some(label), Some(classes)) = (label, classes)
                    && view.node(label).shape.iter().product::<u64>() * classes
                        == node.shape.iter().product::<u64>()
                {
                    found.push((label, Some(classes)));
                }
            }
            _ => {}
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Where the graph of the breaking step ends before the loss, the step before says which data are targets.
fn earlier_targets(evidence: &Evidence<'_>) -> Vec<(Index, Option<u64>)> {
    let (Some(view), Some(before)) = (evidence.breaking(), evidence.before()) else { return Vec::new() };
    let known = targets(before);
    let same = |(index, node): (Index, &Node)| {
        if node.values.is_empty() || !view.is_of_data(index) {
            return None;
        }
        let of = known.iter().find(|(other, _)| {
            let other_node = before.node(*other);
            node.op == other_node.op
                && node.shape == other_node.shape
                && view.place(index) == before.place(*other)
        })?;
        Some((index, of.1))
    };
    view.nodes().filter_map(same).collect()
}

/// The data tensor with elements on the record that a tensor is a view of, by ways that change no element.
fn values_of(view: &View<'_>, index: Index) -> Option<Index> {
    let mut at = index;
    loop {
        let node = view.node(at);
        if !node.values.is_empty() {
            return Some(at);
        }
        let is_view = matches!(
            node.op.as_str(),
            "reshape" | "expand" | "swap_dims" | "permute" | "slice" | "select" | "repeat" | "cast" | "int"
        );
        if node.op == "input" && view.is_of_data(at) {
            return Some(at);
        }
        at = *node.inputs.first().filter(|_| is_view)?;
    }
}

/// Whether a tensor is a logarithm of a probability, or a logit that goes into one.
fn is_log_probability(view: &View<'_>, index: Index) -> bool {
    let near = view.ancestors(index, 4).into_iter().chain([index]);
    near.chain(view.descendants(index, STEPS_TO_LOG)).any(|at| is_log(view, at))
}

/// Whether a tensor is what a sigmoid or softmax made, or 1 less that.
fn is_probability(view: &View<'_>, mut at: Index) -> bool {
    for _ in 0..STEPS_TO_PROBABILITY {
        let node = view.node(view.source(at));
        let name = node.call.as_deref().unwrap_or(&node.op);
        if is_saturating(name) || is_saturating(&node.op) {
            return true;
        }
        let is_complement = matches!(node.op.as_str(), "sub" | "neg" | "add") && node.scalar.is_some();
        let Some(&input) = node.inputs.first().filter(|_| is_complement) else { return false };
        at = input;
    }
    false
}

/// Whether an operation is a logarithm, or a function with one in it.
fn is_log(view: &View<'_>, at: Index) -> bool {
    let node = view.node(at);
    let names = [Some(node.op.as_str()), node.call.as_deref()];
    names.into_iter().flatten().any(|name| has_logarithm(name) || LOG_PROBABILITIES.contains(&name))
}

/// Whether a logarithm, or what is left of it after a difference, is multiplied by its own argument.
fn is_entropy(view: &View<'_>, log: Index) -> bool {
    let Some(&argument) = view.node(log).inputs.first() else { return false };
    let argument = view.source(argument);
    view.descendants(log, 3).into_iter().any(|reader| {
        let node = view.node(reader);
        node.op == "mul" && node.inputs.iter().any(|&input| view.source(input) == argument)
    })
}

/// Targets that were worked out of the data, as shares are of votes: the elements behind a logarithm of less
/// than 0.
fn worked_out(evidence: &Evidence<'_>, view: &View<'_>) -> Vec<BadTarget> {
    let Some(log) = view.producer().filter(|&at| is_logarithm(&view.node(at).op)) else { return Vec::new() };
    let is_negative = evidence.suspect().is_some_and(|seen| seen.range.min < 0.0);
    let argument = view.node(log).inputs.first();
    if !is_negative
        || !argument.is_some_and(|&argument| view.is_of_data(argument))
        || !entropy_before(evidence, view, log)
    {
        return Vec::new();
    }
    let bad = |origin: &Origin| {
        let value = origin.vector.iter().copied().min_by(f64::total_cmp)?;
        Some(BadTarget { value, classes: None, row: origin.batch_row, sample: origin.sample.clone(), is_outside_of_domain: false })
    };
    let mut found: Vec<BadTarget> = Vec::new();
    for target in evidence.origins.iter().filter_map(bad) {
        if found.iter().all(|known| known.row != target.row) {
            found.push(target);
        }
    }
    found
}

/// Targets for which a function on the way to the loss is not defined: shares beyond 1 in an inverse sine, negative
/// times or amounts in a power or a root. They are the elements behind it, if most of their kind lie inside.
fn outside_of_domain(evidence: &Evidence<'_>, view: &View<'_>) -> Vec<BadTarget> {
    let executed = evidence.executed();
    let is_bad: fn(f64) -> bool = if BOUNDED.contains(&executed.as_str()) {
        |value| !(-TOLERANCE..=1.0 + TOLERANCE).contains(&value)
    } else if is_power(&executed) || matches!(executed.as_str(), "sqrt" | "lgamma" | "log" | "log1p") {
        |value| value < 0.0
    } else {
        return Vec::new();
    };
    let is_forward = matches!(evidence.broken.phase, Phase::Forward | Phase::Loss);
    let Some(producer) = view.producer().filter(|_| is_forward && evidence.is_in_few_rows()) else {
        return Vec::new();
    };
    // What a layer reads is a feature, and no target.
    let is_target = view.node(producer).inputs.first().is_some_and(|&argument| is_scaled_data(view, argument))
        && !view.reaches_parameter(producer);
    if !is_target {
        return Vec::new();
    }
    let mut found: Vec<BadTarget> = Vec::new();
    for origin in &evidence.origins {
        let Some(value) = origin.place_in_vector().map(|place| origin.vector[place]) else { continue };
        let is_known = found.iter().any(|known| known.row == origin.batch_row);
        if is_bad(value) && !is_known {
            let (row, sample) = (origin.batch_row, origin.sample.clone());
            found.push(BadTarget { value, classes: None, row, sample, is_outside_of_domain: true });
        }
    }
    found
}

/// Whether a tensor is made of data alone, or of data times or over something positive, which changes no sign.
fn is_scaled_data(view: &View<'_>, index: Index) -> bool {
    let node = view.node(index);
    let is_scaled = match (node.op.as_str(), &node.inputs[..]) {
        ("mul" | "div", &[data, by]) => view.is_of_data(data) && view.node(by).range.min > 0.0,
        _ => false,
    };
    is_scaled || view.is_of_data(index)
}

/// Whether the logarithm is that of an entropy. The breaking step may end before that shows; then the step before
/// tells.
fn entropy_before(evidence: &Evidence<'_>, view: &View<'_>, log: Index) -> bool {
    let same = |before: &View<'_>| {
        let logs = before.forward().filter(|(_, node)| is_logarithm(&node.op));
        logs.into_iter().any(|(index, _)| before.place(index) == view.place(log) && is_entropy(before, index))
    };
    is_entropy(view, log) || evidence.before().is_some_and(same)
}

/// A target out of range in an earlier batch: its update is what the training did not survive.
fn seen_before(evidence: &Evidence<'_>, view: &View<'_>) -> Option<BadTarget> {
    let places: Vec<_> = targets(view)
        .into_iter()
        .filter(|(_, classes)| classes.is_none())
        .flat_map(|(index, _)| view.data_behind(index))
        .map(|data| view.place(data))
        .collect();
    let is_target = |data: &&DataSeen| places.contains(&data.place.as_ref());
    evidence.run.data.iter().filter(is_target).find_map(|data| {
        let extreme = data.extreme.as_ref()?;
        let is_outside = !(-TOLERANCE..=1.0 + TOLERANCE).contains(&extreme.value);
        let is_alone =
            data.typical.get(extreme.column as usize).is_some_and(|typical| *typical <= 1.0 + TOLERANCE);
        (is_outside && is_alone).then(|| BadTarget {
            value: extreme.value,
            classes: None,
            row: None,
            sample: extreme.sample.clone(),
            is_outside_of_domain: false,
        })
    })
}

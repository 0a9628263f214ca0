//! Values below 6e-8 vanish in float16, and something divides by what is left of them.

use crate::cause::{Cause, Explains, Identity, Names, cause};
use crate::evidence::view::View;
use crate::evidence::{Divisor, Evidence};
use crate::operators::is_logarithm;
use crate::words;
use denan_finding::Finding;
use denan_finding::number::{float, percent};
use denan_record::model::{Node, Phase};

pub(crate) struct HalfPrecisionUnderflow;

cause!(HalfPrecisionUnderflow, "half-precision-underflow");

/// Smallest positive value of float16, 2^-24 (IEEE 754-2019, binary16).
const SMALLEST: f64 = 5.960_464_477_539_063e-8;

/// Smallest normal value of float16, 2^-14: below it digits are lost, and soon the rest.
const SMALLEST_NORMAL: f64 = 6.103_515_625e-5;

/// An operation in float16 turned nearly everything it got into 0, and what broke divides by a 0.
const FLUSHED: f64 = 0.94;

/// The same for a good part of it.
const PARTLY_FLUSHED: f64 = 0.8;

/// Share of the values that counts as nearly everything.
const NEARLY_ALL: f64 = 0.9;

/// Share of the values below which rounding to 0 is what every half-precision training does.
const ORDINARY: f64 = 0.5;

impl Cause for HalfPrecisionUnderflow {
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        let divides_by_zero = match evidence.divisor() {
            Some(Divisor::Tensor(divisor)) => divisor.range.zeros > 0,
            _ => {
                is_logarithm(&evidence.executed())
                    && evidence.suspect().is_some_and(|seen| seen.range.zeros > 0)
            }
        };
        if !divides_by_zero || matches!(evidence.broken.phase, Phase::Input | Phase::Parameter) {
            return None;
        }
        let view = evidence.breaking()?;
        if let Some(finding) = self.of_epsilon(evidence, view) {
            return Some(finding);
        }
        let (index, share, largest) = flushed(view).or_else(|| vanished(view))?;
        let confidence = if share >= NEARLY_ALL { FLUSHED } else { PARTLY_FLUSHED };
        let node = view.node(index);
        let name = node.call.as_deref().unwrap_or(&node.op);
        let of =
            if node.phase == Phase::Backward { format!("the gradient of {name}") } else { name.to_owned() };
        let place = words::at_place(view.place(index));
        let mut observations = vec![
            format!(
                "{of}{place} turned {} of its values into 0; the largest it got was {}",
                percent(share),
                float(largest)
            ),
            format!("float16 holds nothing between 0 and {}", float(SMALLEST)),
        ];
        observations.extend(evidence.suspect().map(|seen| evidence.input_in_words(seen)));
        Some(Finding {
            evidence: observations,
            remedies: vec![
                format!(
                    "scale the loss before the backward pass and the gradients back after it: {}",
                    evidence.code(
                        "denan_burn::remedies::scaled_gradients(loss, 1024.0, &model)",
                        "torch.amp.GradScaler()"
                    ),
                ),
                "compute this part in float32, or in bfloat16, which has its range".to_owned(),
            ],
            interventions: vec!["scale-loss".to_owned(), "float32".to_owned()],
            ..self.finding(
                confidence,
                format!(
                    "values vanish in float16 ({}), and {} divides by what is left of them{}",
                    of,
                    evidence.operation_in_words(),
                    words::at(evidence.producer()),
                ),
            )
        })
    }

    fn names(&self) -> Names {
        Names::Setting
    }

    fn explains(&self) -> &'static [Explains] {
        const {
            &[Explains::from(
                0.8,
                &[
                    "division-by-zero",
                    "optimizer-epsilon",
                    "log-of-zero",
                    "infinite-gradient",
                    "learning-rate-too-high",
                ],
            )]
        }
    }
}

impl HalfPrecisionUnderflow {
    /// What was added to keep a divisor or an argument away from 0 is itself 0 in float16.
    fn of_epsilon(&self, evidence: &Evidence<'_>, view: &View<'_>) -> Option<Finding> {
        let argument = view.source(*view.node(view.producer()?).inputs.last()?);
        let node = view.node(argument);
        // Half of the smallest value is rounded to 0.
        let vanishes = |scalar: &f64| *scalar != 0.0 && scalar.abs() <= SMALLEST / 2.0;
        let epsilon =
            node.scalar.filter(vanishes).filter(|_| node.op == "add" && node.dtype == "float16")?;
        let place = words::at_place(view.place(argument));
        let mut observations = vec![
            format!("{} is added{place} to keep it away from 0, and float16 rounds that to 0", float(epsilon)),
            format!("float16 holds nothing between 0 and {}", float(SMALLEST)),
        ];
        observations.extend(evidence.suspect().map(|seen| evidence.input_in_words(seen)));
        Some(Finding {
            evidence: observations,
            remedies: vec![
                "compute this part in float32, or in bfloat16, which has its range".to_owned(),
                "add more: 1e-4 is a sane epsilon in float16".to_owned(),
            ],
            interventions: vec!["float32".to_owned(), "safe-op".to_owned()],
            ..self.finding(
                FLUSHED,
                format!(
                    "an epsilon of {} vanishes in float16, and {} reads what is left{}",
                    float(epsilon),
                    evidence.operation_in_words(),
                    words::at(evidence.producer()),
                ),
            )
        })
    }
}

/// The operation in float16 in which the last values vanished, if they did so little by little: products of
/// products that shrank below the smallest normal number before. With it the share that vanished on the way, and
/// the largest magnitude that was left before it.
fn vanished(view: &View<'_>) -> Option<(u32, f64, f64)> {
    let share = |index: u32| share_of_zeros(view.node(index));
    // From what is divided by, or what the logarithm is taken of, to where it has no zeros.
    let mut at = *view.node(view.producer()?).inputs.last()?;
    let end = share(at);
    let mut last_zero = None;
    let mut left = None;
    while share(at) > 1.0 - NEARLY_ALL {
        let node = view.node(at);
        if share(at) >= NEARLY_ALL && node.dtype == "float16" && left.is_none() {
            last_zero = Some(at);
        } else if last_zero.is_some() && left.is_none() {
            left = Some(node.range.abs_max());
        }
        at = node.inputs.iter().copied().max_by(|&a, &b| share(a).total_cmp(&share(b)))?;
    }
    let left = left.unwrap_or_else(|| view.node(at).range.abs_max());
    let is_underflow = end >= NEARLY_ALL && left < SMALLEST_NORMAL && view.node(at).dtype == "float16";
    is_underflow.then_some((last_zero?, end - share(at), left))
}

/// The operation in float16 that turned the largest share of its values into 0, that share, and the largest
/// magnitude it read.
fn flushed(view: &View<'_>) -> Option<(u32, f64, f64)> {
    let loses = |(index, node): (u32, &Node)| {
        // Rectifiers, masks and comparisons make zeros on purpose; products and casts do not.
        let keeps = matches!(
            node.op.as_str(),
            "cast" | "mul" | "div" | "matmul" | "linear" | "powi" | "powf" | "sigmoid" | "mean" | "exp"
        );
        if node.dtype != "float16" || !keeps || !node.is_new {
            return None;
        }
        let inputs: Vec<&Node> = node.inputs.iter().map(|&input| view.node(input)).collect();
        let before = inputs.iter().map(|node| share_of_zeros(node)).fold(0.0, f64::max);
        // The product of the largest values bounds what a product can be.
        let largest = match node.op.as_str() {
            "mul" | "matmul" | "linear" if inputs.len() > 1 => {
                inputs.iter().map(|node| node.range.abs_max()).product()
            }
            "mul" => inputs.first()?.range.abs_max() * node.scalar.unwrap_or(1.0).abs(),
            _ => inputs.iter().map(|node| node.range.abs_max()).fold(0.0, f64::max),
        };
        let lost = share_of_zeros(node) - before;
        (lost > ORDINARY && largest > 0.0).then_some((index, lost, largest))
    };
    view.nodes().filter_map(loses).max_by(|a, b| a.1.total_cmp(&b.1))
}

fn share_of_zeros(node: &Node) -> f64 {
    node.range.zeros as f64 / node.range.count.max(1) as f64
}

//! A value passes 65504, where float16 ends.

use crate::cause::{Cause, Explains, Identity, Names, cause};
use crate::evidence::Evidence;
use crate::operators::{is_exponential, is_linear};
use crate::precision::Precision;
use crate::words;
use denan_finding::Finding;
use denan_finding::number::float;
use denan_record::model::{Operation, Phase};

pub(crate) struct HalfPrecisionOverflow;

cause!(HalfPrecisionOverflow, "half-precision-overflow");

/// What the operation read bounds its result, and float32 holds that bound.
const FITS_INTO_FLOAT32: f64 = 0.95;

/// A float32 value that float16 cannot hold was cast.
const CAST: f64 = 0.96;

impl Cause for HalfPrecisionOverflow {
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        let producer = evidence.producer();
        if producer.output.dtype != "float16"
            || matches!(evidence.broken.phase, Phase::Input | Phase::Parameter)
        {
            return None;
        }
        let executed = evidence.executed();
        let limit = Precision::of("float16").max;
        let (confidence, bound) = if executed == "cast" {
            let largest = producer.inputs.first()?.range.abs_max();
            (CAST, (largest > limit).then_some(largest)?)
        } else if is_linear(&executed) && !is_exponential(&executed) {
            (FITS_INTO_FLOAT32, bound(producer, &executed)?)
        } else {
            return None;
        };
        // What float32 could not hold either has another reason.
        if bound > Precision::of("float32").max || bound <= limit {
            return None;
        }
        let what = match executed.as_str() {
            "cast" => format!("a value of {} was cast to float16, which ends at 65504", float(bound)),
            _ => format!("{} passes 65504, where float16 ends", evidence.operation_in_words()),
        };
        let mut observations: Vec<String> =
            producer.inputs.iter().map(|input| evidence.input_in_words(input)).collect();
        observations.push(format!(
            "from these values the result is {} at most, which float32 and bfloat16 hold",
            float(bound)
        ));
        observations.extend(evidence.origin_in_words());
        observations.extend(evidence.path_in_words());
        Some(Finding {
            evidence: observations,
            remedies: vec![
                format!(
                    "compute this in float32: {}",
                    evidence
                        .code("leave the cast to F16 out, or cast to BF16", "torch.autocast(enabled=False)"),
                ),
                "bfloat16 has the range of float32".to_owned(),
                "scale the values first: a query by 1/sqrt(d) before the product instead of after it"
                    .to_owned(),
            ],
            interventions: vec!["float32".to_owned()],
            ..self.finding(confidence, format!("{what}{}", words::at(producer)))
        })
    }

    fn names(&self) -> Names {
        Names::Operation
    }

    fn explains(&self) -> &'static [Explains] {
        const {
            &[Explains::from(
                0.9,
                &[
                    "learning-rate-too-high",
                    "exploding-activations",
                    "exploding-gradients",
                    "infinite-gradient",
                    "sum-reduction",
                ],
            )]
        }
    }
}

/// The largest magnitude that the result can have.
fn bound(producer: &Operation, executed: &str) -> Option<f64> {
    let first = producer.inputs.first()?;
    let a = first.range.abs_max();
    let b = producer.inputs.get(1).map(|seen| seen.range.abs_max());
    let scalar = producer.scalar.map(f64::abs);
    // Products that are added up: those of a row, or of a kernel over all channels.
    let terms = first.range.count.max(1) as f64 / producer.output.range.count.max(1) as f64;
    Some(match executed {
        "add" | "sub" => a + b.or(scalar)?,
        "mul" => a * b.or(scalar)?,
        "powi" | "powf" => a.powf(scalar?),
        "square" => a * a,
        "sum" | "mean" | "cumsum" => a * terms.max(1.0),
        "matmul" | "linear" => a * b? * *first.shape.last()? as f64,
        "conv1d" | "conv2d" | "conv3d" => {
            let weight = producer.inputs.get(1)?;
            a * b? * weight.shape.iter().skip(1).product::<u64>() as f64
        }
        _ => return None,
    })
}

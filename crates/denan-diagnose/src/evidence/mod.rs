//! What several causes ask of the record, worked out once.

pub(crate) mod course;
mod history;
pub(crate) mod view;

pub(crate) use history::{History, Ratio};
use view::View;

use crate::operators::{is_division, is_power, plain};
use crate::precision::Precision;
use crate::{Annotations, Context, words};
use denan_record::model::{Break, Operation, Origin, Phase, Role, Run, Sample, TensorSeen};

/// A broken run, seen from its break.
pub(crate) struct Evidence<'a> {
    pub(crate) run: &'a Run,
    pub(crate) broken: &'a Break,
    pub(crate) annotations: &'a dyn Annotations,
    /// The same training, run again without any change.
    pub(crate) again: Option<&'a Run>,
    pub(crate) history: History,
    /// Samples of the breaking batch, in its order.
    pub(crate) samples: &'a [Sample],
    /// The break's origins, each with its sample if the row gives it.
    pub(crate) origins: Vec<Origin>,
    /// Operations of the first step, of the one before the break, and of the breaking one.
    pub(crate) views: Vec<(u64, View<'a>)>,
}

/// What a division divides by.
pub(crate) enum Divisor<'a> {
    Tensor(&'a TensorSeen),
    Number(f64),
}

impl<'a> Evidence<'a> {
    /// The evidence of a run that broke.
    pub(crate) fn of(run: &'a Run, context: &Context<'a>) -> Option<Self> {
        let broken = run.first_break.as_ref()?;
        let batch = run.batches.iter().find(|batch| batch.step == broken.step);
        let samples = match batch {
            Some(batch) if broken.samples.is_empty() => &batch.samples,
            _ => &broken.samples,
        };
        let mut origins = broken.origins.clone();
        for origin in &mut origins {
            let row = origin.batch_row.and_then(|row| usize::try_from(row).ok());
            origin.sample = origin.sample.take().or_else(|| samples.get(row?).cloned());
        }
        Some(Self {
            run,
            broken,
            annotations: context.annotations,
            again: context.again,
            history: History::before(run, broken),
            samples,
            origins,
            views: run.graphs.iter().map(|graph| (graph.step, View::of(graph))).collect(),
        })
    }

    /// The operations of the breaking step, up to the break.
    pub(crate) fn breaking(&self) -> Option<&View<'a>> {
        self.view(self.broken.step)
    }

    /// The operations of the first step.
    pub(crate) fn first(&self) -> Option<&View<'a>> {
        self.view(0)
    }

    /// The operations of the last step that went well.
    pub(crate) fn before(&self) -> Option<&View<'a>> {
        self.view(self.broken.step.checked_sub(1)?)
    }

    fn view(&self, step: u64) -> Option<&View<'a>> {
        self.views.iter().find(|(of, _)| *of == step).map(|(_, view)| view)
    }

    /// A parameter's name, or `parameter 3` by its slot.
    pub(crate) fn parameter_name(&self, slot: u32) -> String {
        let known = self.run.parameters.iter().find(|parameter| parameter.slot == slot);
        known.and_then(|parameter| parameter.name.clone()).unwrap_or_else(|| format!("parameter {slot}"))
    }

    /// The first operation with finite inputs and a non-finite output.
    pub(crate) fn producer(&self) -> &'a Operation {
        &self.broken.producer
    }

    /// The call as the user wrote it; in the backward pass the call whose gradient is computed.
    pub(crate) fn call(&self) -> String {
        plain(&self.producer().op)
    }

    /// The operation that was really carried out.
    pub(crate) fn executed(&self) -> String {
        let producer = self.producer();
        plain(producer.carried_out.as_deref().unwrap_or(&producer.op))
    }

    /// `log`, and in the backward pass `the gradient of sqrt`.
    pub(crate) fn operation_in_words(&self) -> String {
        match self.broken.phase {
            Phase::Backward => format!("the gradient of {}", self.producer().op),
            Phase::Optimizer => format!("the update of {}", self.producer().op),
            _ => self.producer().op.clone(),
        }
    }

    /// Limits of the element type the producer worked in.
    pub(crate) fn precision(&self) -> Precision {
        let producer = self.producer();
        let seen = producer.inputs.first().unwrap_or(&producer.output);
        Precision::of(&seen.dtype)
    }

    /// What the producer divides by, if it is a division or a negative power.
    pub(crate) fn divisor(&self) -> Option<Divisor<'a>> {
        let (executed, producer) = (self.executed(), self.producer());
        let first = producer.inputs.first().map(Divisor::Tensor);
        let second = producer.inputs.get(1).map(Divisor::Tensor);
        match executed.as_str() {
            "recip" | "rsqrt" => first,
            _ if is_division(&executed) => second.or(producer.scalar.map(Divisor::Number)),
            _ if is_power(&executed) && producer.scalar.is_some_and(|power| power < 0.0) => first,
            _ => None,
        }
    }

    /// The input whose values are at fault: the divisor of a division, else the first one.
    pub(crate) fn suspect(&self) -> Option<&'a TensorSeen> {
        match self.divisor() {
            Some(Divisor::Tensor(seen)) => Some(seen),
            _ => self.producer().inputs.first(),
        }
    }

    /// Whether the values at fault came from the data as they are, so that no training made them.
    pub(crate) fn suspect_is_data(&self) -> bool {
        self.suspect().is_some_and(|seen| seen.role == Role::Data)
    }

    /// Whether only some of the batch carry the bad value, so that it is worth naming them.
    ///
    /// A value that every row carries is not the fault of a row. Batches of one row, and those
    /// whose size is unknown, are given the benefit of the doubt.
    pub(crate) fn is_in_few_rows(&self) -> bool {
        let mut rows: Vec<u64> = self.origins.iter().filter_map(|origin| origin.batch_row).collect();
        rows.extend(&self.broken.batch_rows);
        rows.sort_unstable();
        rows.dedup();
        let from_shape = self.origins.iter().filter(|origin| origin.batch_row.is_some());
        let size = from_shape
            .filter_map(|origin| origin.shape.first().copied())
            .chain([self.samples.len() as u64])
            .max()
            .unwrap_or(0);
        size <= 1 || 2 * rows.len() as u64 <= size
    }

    /// The operations the bad value went through: `log → mul → sum`.
    pub(crate) fn path_in_words(&self) -> Option<String> {
        /// More does not fit into a line of a terminal.
        const SHOWN: usize = 8;
        if self.broken.trail.is_empty() {
            return None;
        }
        let mut path = vec![self.producer().op.as_str()];
        for operation in &self.broken.trail {
            // A view or a chain of the same call says nothing twice.
            if path.last() != Some(&operation.op.as_str()) {
                path.push(&operation.op);
            }
        }
        let is_cut = path.len() > SHOWN;
        path.truncate(SHOWN);
        if is_cut {
            path.push("…");
        }
        Some(format!("the bad value went on: {}", path.join(" → ")))
    }

    /// Whether one of these calls handed the bad value on.
    pub(crate) fn trail_has(&self, calls: &[&str]) -> bool {
        self.broken.trail.iter().any(|operation| calls.contains(&plain(&operation.op).as_str()))
    }

    /// `log read float32 [16, 10] from 0 to 1, 3 of 160 are 0`, with the operation carried out where
    /// that is another one.
    pub(crate) fn input_in_words(&self, seen: &TensorSeen) -> String {
        let producer = self.producer();
        let name = match &producer.carried_out {
            Some(carried_out) => format!("{carried_out} inside {}", self.operation_in_words()),
            None => producer.op.clone(),
        };
        format!("{name} read {}", words::tensor(seen))
    }

    /// Where the bad value came from: `it comes from BloodImage_00338.xml: [0.5, 0, 0.5, 0]`; only
    /// for the first origin, and only if it is worth naming.
    pub(crate) fn origin_in_words(&self) -> Option<String> {
        let origin = self.origins.first().filter(|_| self.is_in_few_rows())?;
        Some(format!(
            "followed back to {}, element {} of a batch tensor of shape {}: {}",
            words::owner(origin),
            words::shape(&origin.position),
            words::shape(&origin.shape),
            words::vector(&origin.vector),
        ))
    }

    /// The code of a remedy in the user's own library.
    pub(crate) fn code(&self, burn: &'static str, torch: &'static str) -> &'static str {
        let engine = self.run.header.as_ref().map_or("", |header| header.engine.as_str());
        if engine.starts_with("torch") { torch } else { burn }
    }
}

/// Whether an origin's element is itself not finite.
pub(crate) fn is_bad_itself(origin: &Origin) -> bool {
    match origin.place_in_vector() {
        Some(place) => !origin.vector[place].is_finite(),
        None => origin.vector.iter().any(|value| !value.is_finite()),
    }
}

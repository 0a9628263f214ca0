//! Words for what the record holds; shared by the formats.

use super::Sources;
use super::page::{Ink, Text, text};
use crate::number::{count, counted, float};
use denan_numerics::Range;
use denan_record::model::{Break, Forecast, Kind, Operation, Phase, Place, Role, Sample, TensorSeen};

/// The line to look at first: in the backward pass that of the forward call, since the line of
/// `backward()` is the same for every gradient.
pub(super) fn blamed_place(operation: &Operation) -> Option<&Place> {
    operation.forward_place.as_ref().or(operation.place.as_ref())
}

/// `src/loss.rs:41`, as the user would type it.
pub(super) fn file_and_line(place: &Place, sources: &dyn Sources) -> String {
    format!("{}:{}", sources.show(&place.file), place.line)
}

/// `src/loss.rs:41:33`; without the column if that is not known.
pub(super) fn file_line_column(place: &Place, sources: &dyn Sources) -> String {
    let start = file_and_line(place, sources);
    if place.column == 0 { start } else { format!("{start}:{}", place.column) }
}

/// The value as people write it; the contract writes `nan`.
pub(super) fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Nan => "NaN",
        Kind::Infinity => "inf",
        Kind::NegativeInfinity => "-inf",
    }
}

/// When it happened, to follow a comma.
pub(super) fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Input => "as the batch came in",
        Phase::Forward => "in the forward pass",
        Phase::Loss => "in the loss",
        Phase::Backward => "in the backward pass",
        Phase::Optimizer => "in the optimizer step",
        Phase::Parameter => "before the first step",
    }
}

/// What was computed: `log`, `gradient of sqrt`, `Adam update`.
pub(super) fn operation(operation: &Operation) -> String {
    in_phase(&operation.op, operation.phase)
}

/// What a call computes in a part of the step.
fn in_phase(op: &str, phase: Phase) -> String {
    match phase {
        Phase::Backward => format!("gradient of {op}"),
        Phase::Optimizer => format!("{op} update"),
        Phase::Input | Phase::Forward | Phase::Loss | Phase::Parameter => op.to_owned(),
    }
}

/// What was computed, in full, with when and where in the model: `recip in the gradient of sqrt,
/// in the backward pass`.
pub(super) fn producer(broken: &Break) -> Text {
    let producer = &broken.producer;
    let name = operation(producer);
    let mut line = match &producer.carried_out {
        Some(carried_out) => text(Ink::Bold, carried_out).add(Ink::Plain, " in the ").add(Ink::Bold, &name),
        None => text(Ink::Bold, &name),
    };
    if let Some(parameter) = &producer.parameter {
        let noun = if parameter.starts_with("parameter ") { "" } else { "parameter " };
        line = line.add(Ink::Plain, &format!(" of {noun}")).add_whole(Ink::Plain, parameter);
    }
    line = line.add(Ink::Plain, &format!(", {}", phase(broken.phase)));
    if let Some(module) = &producer.module {
        line = line.add(Ink::Plain, ", in ").add_whole(Ink::Plain, module);
    }
    if let Some(scalar) = producer.scalar {
        line = line.add(Ink::Plain, &format!(", with the number {}", float(scalar)));
    }
    line
}

/// `float32 [16, 24, 2], 0 … 3.41, 2 zeros`.
pub(super) fn tensor(tensor: &TensorSeen) -> Text {
    let sizes = tensor.shape.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    let line = text(Ink::Plain, &tensor.dtype).add_whole(Ink::Plain, &format!(" [{sizes}]"));
    // Only float tensors have figures.
    let has_no_figures = tensor.range.count == 0 && !tensor.shape.contains(&0);
    if has_no_figures { line } else { line.add(Ink::Plain, ", ").add_text(range(&tensor.range)) }
}

/// `0 … 3.41, 2 zeros, 1 NaN of 768`.
fn range(range: &Range) -> Text {
    if range.count == 0 {
        return text(Ink::Plain, "empty");
    }
    let mut line = Text::new();
    let mut comma = "";
    if let (Some(min), Some(max)) = (range.min_opt(), range.max_opt()) {
        let all = if range.count > 1 && range.is_finite() { "all " } else { "" };
        let span = if min == max {
            format!("{all}{}", float(min))
        } else {
            format!("{}\u{a0}…\u{a0}{}", float(min), float(max))
        };
        line = line.add(Ink::Plain, &span);
        if range.zeros > 0 && min != max {
            let zeros = counted(range.zeros, "zero", "zeros");
            line = line.add(Ink::Plain, &format!(", {zeros}"));
        }
        comma = ", ";
    }
    for (number, name) in [(range.nan, "NaN"), (range.pos_inf, "inf"), (range.neg_inf, "-inf")] {
        if number > 0 {
            line = line.add(Ink::Plain, comma).add(Ink::Error, &share(number, range.count, name));
            comma = ", ";
        }
    }
    line
}

/// `-inf in 2 of 768`, `all NaN`, or just `NaN` for a single number.
fn share(number: u64, of: u64, name: &str) -> String {
    if of == 1 {
        name.to_owned()
    } else if number == of {
        format!("all {name}")
    } else {
        format!("{name} in {}\u{a0}of\u{a0}{}", count(number), count(of))
    }
}

/// The non-finite values a tensor holds, the gravest class first.
pub(super) fn carried(range: &Range) -> Text {
    Kind::of(range).map_or_else(Text::new, |gravest| {
        let number = match gravest {
            Kind::Nan => range.nan,
            Kind::Infinity => range.pos_inf,
            Kind::NegativeInfinity => range.neg_inf,
        };
        text(Ink::Plain, &share(number, range.count, kind(gravest)))
    })
}

/// What an input is to the training, where that helps to find it.
pub(super) fn role(tensor: &TensorSeen) -> Text {
    match (&tensor.parameter, tensor.role) {
        (Some(parameter), Role::Gradient) => {
            text(Ink::Plain, "gradient of ").add_whole(Ink::Plain, parameter)
        }
        (Some(parameter), _) => Text::new().add_whole(Ink::Plain, parameter),
        (None, Role::Data) => text(Ink::Plain, "batch data"),
        (None, Role::Parameter) => text(Ink::Plain, "parameter"),
        (None, Role::Gradient) => text(Ink::Plain, "gradient"),
        (None, Role::OptimizerState) => text(Ink::Plain, "optimizer state"),
        (None, Role::Constant) => text(Ink::Plain, "constant"),
        (None, Role::Activation) => Text::new(),
    }
}

/// The sample's name, or its index for want of one.
pub(super) fn sample_name(sample: &Sample) -> Text {
    match &sample.name {
        Some(name) => Text::new().add_whole(Ink::Bold, name),
        None => text(Ink::Bold, &format!("sample\u{a0}{}", sample.index)),
    }
}

/// That a tensor will overflow, and when.
pub(super) fn forecast(forecast: &Forecast, others: usize, sources: &dyn Sources) -> Text {
    let mut line = text(Ink::Bold, &in_phase(&forecast.op, forecast.phase));
    if let Some(place) = &forecast.place {
        line = line.add(Ink::Plain, " at ").add_whole(Ink::Plain, &file_and_line(place, sources));
    }
    let pace = match forecast.powers_per_step {
        rate if rate >= 1.0 => format!("gains {} in each step", float(rate)),
        rate => format!("gains one in {} steps", float((1.0 / rate).ceil())),
    };
    line = line.add(
        Ink::Plain,
        &format!(
            " will overflow {} near step\u{a0}{} at this rate: at step\u{a0}{} it had reached {}, {} powers of two \
             below the largest number, and it {pace}",
            forecast.dtype,
            forecast.step,
            forecast.at,
            float(forecast.largest),
            float(forecast.powers_left),
        ),
    );
    match others {
        0 => line,
        1 => line.add(Ink::Plain, "; another tensor is on its way there"),
        more => line.add(Ink::Plain, &format!("; {more} more tensors are on their way there")),
    }
}

//! One line a finding: `file:line:column: rule(confidence): summary [step 8, forward, log]`; one an overflow that is
//! near, one an act of a guard, and one a sample that a screen has found.

use super::Style;
use super::words::{blamed_place, file_line_column, kind, operation};
use crate::act::act_in_words;
use crate::escape::escape;
use crate::finding::{Outcome, RunResult};
use crate::number::float;
use denan_record::model::{Break, Forecast, Sample};

/// The rule that stands for a break without any cause.
const UNKNOWN: &str = "unknown";

pub(super) fn render(result: &RunResult, style: &Style<'_>) -> String {
    ended(result, style) + &acts(result) + &screened(result)
}

fn acts(result: &RunResult) -> String {
    let line = |act| format!("{}\n", escape(&format!("guard: {}", act_in_words(act)).replace('\u{a0}', " ")));
    result.acts.iter().map(line).collect()
}

fn screened(result: &RunResult) -> String {
    let line = |(sample, loss): &(Sample, f64)| {
        format!("{}\n", escape(&format!("{}: screen: its loss is {}", sample.called(), float(*loss))))
    };
    result.screened.iter().flat_map(|screened| &screened.bad).map(line).collect()
}

fn ended(result: &RunResult, style: &Style<'_>) -> String {
    match (result.outcome, &result.first_break) {
        (_, Some(broken)) => findings(result, broken, style),
        (Outcome::Healthy, None) => forecasts(result, style),
        (Outcome::Broke, None) => "denan: the training broke\n".to_owned(),
        (Outcome::NoTraining, None) => "denan: no optimizer step was seen\n".to_owned(),
        (Outcome::ChildFailed, None) => match result.child_exit_code {
            Some(code) => format!("denan: the training failed with exit code {code}\n"),
            None => "denan: the training was ended from outside\n".to_owned(),
        },
    }
}

/// Those who read line by line want to know of every tensor.
fn forecasts(result: &RunResult, style: &Style<'_>) -> String {
    let line = |forecast: &Forecast| {
        let place = forecast
            .place
            .as_ref()
            .map_or("<unknown>".to_owned(), |place| file_line_column(place, style.sources));
        let Forecast { op, dtype, step, at, .. } = forecast;
        let line = format!("{place}: forecast: {op} will overflow {dtype} near step {step} [step {at}]");
        format!("{}\n", escape(&line))
    };
    result.forecasts.iter().map(line).collect()
}

fn findings(result: &RunResult, broken: &Break, style: &Style<'_>) -> String {
    let producer = &broken.producer;
    let place =
        blamed_place(producer).map_or("<unknown>".to_owned(), |place| file_line_column(place, style.sources));
    let operation = operation(producer);
    let facts = format!("[step {}, {}, {operation}]", broken.step, broken.phase.as_str());
    let line = |rule: &str, confidence: f64, summary: &str| {
        let line = format!("{place}: {rule}({confidence:.2}): {summary} {facts}");
        format!("{}\n", escape(&line.replace('\u{a0}', " ")))
    };
    if result.causes.is_empty() {
        let summary = format!("{operation} made the first {}", kind(broken.kind));
        return line(UNKNOWN, 0.0, &summary);
    }
    let causes = result.causes.iter();
    causes.map(|cause| line(&cause.rule, cause.confidence, &cause.summary)).collect()
}

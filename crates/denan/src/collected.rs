//! What an adapter has told, put together as it comes.

use denan_record::event::Event;
use denan_record::model::{Batch, Forecast, Run, Screened};
use denan_record::tape::Tape;

/// Steps that keep their per-parameter figures and batches in memory.
const WHOLE_STEPS: u64 = 256;

/// Events put together to a [`Run`], with bounds like those of the record.
#[derive(Default)]
pub struct Collected {
    /// What is known so far.
    pub run: Run,
    /// The step that the plan wanted on tape.
    pub tape: Option<Box<Tape>>,
    /// What came of going through samples, if that was wanted.
    pub screened: Option<Screened>,
    /// The first step that may have been the breaking one, where the break was only noticed.
    pub noticed_since: Option<u64>,
}

impl Collected {
    /// Takes in what was told.
    pub fn take(&mut self, event: Event) {
        let run = &mut self.run;
        match event {
            Event::Started(header) => run.header = Some(header),
            Event::Parameter(parameter) => {
                match run.parameters.iter_mut().find(|known| known.slot == parameter.slot) {
                    Some(known) => *known = parameter,
                    None => run.parameters.push(parameter),
                }
            }
            Event::Optimizer(optimizer) => run.optimizer = Some(optimizer),
            Event::Batch(batch) => {
                let oldest = batch.step.saturating_sub(WHOLE_STEPS);
                run.batches.retain(|known: &Batch| known.step >= oldest);
                run.batches.push(batch);
            }
            Event::Step(step) => {
                if let Some(old) = run.steps.len().checked_sub(WHOLE_STEPS as usize) {
                    run.steps[old].parameters = Vec::new();
                }
                run.steps.push(step);
            }
            Event::Forecast(forecast) => {
                run.forecasts.retain(|known| known.tensor != forecast.tensor);
                let later = |known: &Forecast| (known.step, known.tensor) > (forecast.step, forecast.tensor);
                let at = run.forecasts.iter().position(later).unwrap_or(run.forecasts.len());
                run.forecasts.insert(at, forecast);
            }
            Event::Averted(tensor) => run.forecasts.retain(|known| known.tensor != tensor),
            Event::Break(found) => run.first_break = Some(*found),
            Event::Noticed { found, since } => {
                run.first_break = Some(*found);
                self.noticed_since = Some(since);
            }
            Event::Graph(graph) => run.graphs.push(*graph),
            Event::Data(data) => run.data = data,
            Event::ParametersLost => {
                if let Some(found) = &mut run.first_break {
                    found.parameters_are_bad = true;
                }
            }
            Event::Tape(tape) => self.tape = Some(tape),
            Event::Intervened(step) => run.intervened_at = Some(step),
            Event::Screened(screened) => self.screened = Some(*screened),
            Event::Acted(act) => run.acts.push(*act),
            Event::Note(note) => run.notes.push(note),
            Event::Ended(ending) => run.ending = Some(ending),
        }
    }
}

//! Overflows of the loss, of gradients and of parameters, told beforehand.

use crate::watch::Watch;
use denan_record::event::Event;
use denan_record::forecast::{Outlook, largest_power};
use denan_record::model::{Forecast, Phase, Step};

/// What is followed from step to step, to tell an overflow beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Figure {
    Loss,
    Gradient(u32),
    Value(u32),
}

impl Watch {
    /// Whether the loss, a gradient or a parameter is about to overflow.
    pub(crate) fn look_ahead(&mut self, step: &Step) {
        if self.first_break.is_some() {
            return;
        }
        let [of_loss, of_parameters] = &mut self.forecasters;
        let has_loss = step.loss.is_some() && of_loss.is_due(step.step);
        let has_parameters = !step.parameters.is_empty() && of_parameters.is_due(step.step);
        let rows = step.parameters.iter().filter(|_| has_parameters).flat_map(|row| {
            [(Figure::Gradient(row.slot), row.gradient), (Figure::Value(row.slot), row.value)]
        });
        let figures = rows.filter_map(|(figure, summary)| {
            let summary = summary?;
            Some((figure, if summary.is_finite() { summary.abs_max() } else { 0.0 }))
        });
        let loss = step.loss.filter(|_| has_loss).map(|loss| (Figure::Loss, loss.abs()));
        for (figure, largest) in loss.into_iter().chain(figures) {
            // A loss has the type of the parameters that it is made of.
            let (slot, at) = match figure {
                Figure::Loss => (0, 0),
                Figure::Gradient(slot) | Figure::Value(slot) => (slot, 1),
            };
            let Some(parameter) = self.tracked.get(slot as usize).map(|tracked| &tracked.told) else {
                continue;
            };
            let Some(limit) = largest_power(&parameter.dtype) else { continue };
            let event = match self.forecasters[at].sample(figure, step.step, largest, limit) {
                Some(Outlook::Near(overflow)) => {
                    let known = self.forecasts.len() as u32;
                    let (op, phase) = match figure {
                        Figure::Loss => ("loss".to_owned(), Phase::Loss),
                        Figure::Gradient(slot) => (self.parameter_name(slot), Phase::Backward),
                        Figure::Value(slot) => (self.parameter_name(slot), Phase::Parameter),
                    };
                    Event::Forecast(Forecast {
                        tensor: *self.forecasts.entry(figure).or_insert(known),
                        op,
                        phase,
                        place: None,
                        dtype: parameter.dtype.clone(),
                        at: step.step,
                        largest: overflow.largest,
                        powers_left: overflow.powers_left,
                        powers_per_step: overflow.powers_per_step,
                        step: overflow.step,
                    })
                }
                Some(Outlook::Averted(figure)) => match self.forecasts.get(&figure) {
                    Some(&tensor) => Event::Averted(tensor),
                    None => continue,
                },
                None => continue,
            };
            self.teller.tell(event);
        }
    }
}

//! The telling of overflows to come.

use super::Watch;
use crate::element;
use denan_record::event::Event;
use denan_record::forecast::Outlook;
use denan_record::model::Forecast;

/// Tensors of which an overflow is told; those after them grow by what these hand on.
const MOST_FORECASTS: usize = 64;

impl Watch {
    /// At the end of a step: whether one of its tensors is about to overflow.
    pub(super) fn look_ahead(&mut self) {
        if self.first_break.is_some() {
            return;
        }
        for outlook in self.forecaster.look(self.steps_done, self.graph.nodes()) {
            let event = match outlook {
                Outlook::Near(overflow) => {
                    let known = self.forecasts.len();
                    if known >= MOST_FORECASTS && !self.forecasts.contains_key(&overflow.key) {
                        continue;
                    }
                    Event::Forecast(Forecast {
                        tensor: *self.forecasts.entry(overflow.key).or_insert(known as u32),
                        op: self.called(overflow.key.site, overflow.key.name),
                        phase: overflow.key.phase,
                        place: self.sites.get(overflow.key.site).place.clone(),
                        dtype: element::dtype_name(overflow.key.dtype).to_owned(),
                        at: self.steps_done,
                        largest: overflow.largest,
                        powers_left: overflow.powers_left,
                        powers_per_step: overflow.powers_per_step,
                        step: overflow.step,
                    })
                }
                Outlook::Averted(key) => match self.forecasts.get(&key) {
                    Some(&tensor) => Event::Averted(tensor),
                    None => continue,
                },
            };
            self.teller.tell(event);
        }
    }
}

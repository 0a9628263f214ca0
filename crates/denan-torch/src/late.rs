//! Values of a device, which come when their step may long be over: losses, and figures of gradients and parameters. A
//! step is told once its values are there.

use crate::tensor::Tensor;
use crate::watch::{Noticed, StepFigures, Watch, take_loss};
use denan_numerics::Summary;
use denan_record::event::Event;
use denan_record::model::{ParameterStep, Sample, Step};

/// A step that is over and waits for its values.
pub(crate) struct Waiting {
    pub told: Step,
    pub samples: Vec<Sample>,
    pub values_to_come: u32,
}

impl Watch {
    /// The backward pass begins at a loss that a device is still at work on; [`late_loss`](Self::late_loss) follows.
    pub fn loss_later(&mut self) {
        if self.step.is_updated {
            self.finish_step();
        }
        self.step.values_to_come += 1;
    }

    /// The first of the losses that were to come is there.
    pub fn late_loss(&mut self, loss: &Tensor) {
        let Some(at) = self.waiting.iter().position(|step| step.values_to_come > 0) else {
            // Of the step under way.
            if self.step.values_to_come > 0 {
                self.step.values_to_come -= 1;
                self.loss(loss);
            }
            return;
        };
        let step = &mut self.waiting[at];
        step.values_to_come -= 1;
        if take_loss(&mut step.told.loss, &mut step.told.loss_bits, loss) {
            let number = step.told.step;
            // What is told of a break is told of the step that it was in.
            let mut of_break = StepFigures::default();
            (of_break.loss_is_bad, of_break.samples) = (true, std::mem::take(&mut step.samples));
            let under_way = std::mem::replace(&mut self.step, of_break);
            self.broke(Noticed::Loss(loss), number);
            self.step = under_way;
        }
        self.tell_waiting();
    }

    /// An optimizer is about to update its parameters, whose figures come later.
    pub fn begin_late_update(&mut self, optimizer: u32, rate: Option<f64>, carries: Option<bool>) {
        self.begin_update(optimizer, rate);
        self.step.carries_gradients = self.step.carries_gradients.or(carries);
        self.step.is_late = true;
    }

    /// Figures of the step under way will come: those of its gradients, or those of its parameters after the update.
    pub fn figures_later(&mut self) {
        self.step.values_to_come += 1;
    }

    /// The first of the figures that were to come are there: of each of these parameters, or of their gradients, the
    /// largest magnitude, and behind all of these the Euclidean norm of each.
    pub fn late_figures(&mut self, of_gradients: bool, slots: &[u32], figures: &Tensor) {
        let values = figures.values(2 * slots.len());
        let waiting = self.waiting.iter_mut().find(|step| step.values_to_come > 0);
        let (Some(step), true) = (waiting, values.len() == 2 * slots.len()) else { return };
        step.values_to_come -= 1;
        let number = step.told.step;
        let mut bad = None;
        for (at, &slot) in slots.iter().enumerate() {
            let Some(tracked) = self.tracked.get_mut(slot as usize) else { continue };
            let count = tracked.told.shape.iter().product();
            let summary = of_norms(count, values[at], values[slots.len() + at]);
            let rows = &mut step.told.parameters;
            let row = rows.iter().position(|row| row.slot == slot).unwrap_or_else(|| {
                rows.push(ParameterStep { slot, gradient: None, value: None, update: None });
                rows.len() - 1
            });
            let is_bad = if of_gradients {
                rows[row].gradient = Some(summary);
                !summary.is_finite()
            } else {
                rows[row].value = Some(summary);
                tracked.is_lost_with(summary)
            };
            if is_bad && bad.is_none() {
                bad = Some((slot, figures.element(at)));
            }
        }
        step.told.add_norms();
        match bad {
            Some((slot, value)) if of_gradients => self.broke(Noticed::Gradient(slot, &value), number),
            Some((slot, value)) => self.broke(Noticed::Value(slot, &value), number),
            None if !of_gradients && !self.has_broken() => {
                self.clean_before = self.clean_before.max(number + 1)
            }
            None => {}
        }
        self.tell_loss_of_parameters();
        self.tell_waiting();
    }

    /// Tells the steps that wait for nothing more.
    fn tell_waiting(&mut self) {
        while self.waiting.front().is_some_and(|step| step.values_to_come == 0) {
            let Some(step) = self.waiting.pop_front() else { break };
            self.teller.tell(Event::Step(step.told));
        }
    }
}

/// What the largest magnitude and the Euclidean norm of some values tell of them.
fn of_norms(count: u64, largest: f64, norm: f64) -> Summary {
    let empty = Summary { count, ..Summary::EMPTY };
    match largest {
        largest if largest.is_nan() => Summary { nan: 1, ..empty },
        largest if largest.is_infinite() => Summary { pos_inf: 1, ..empty },
        // Without their mean: the norm is that of values around 0.
        largest => Summary { min: -largest, max: largest, mean: 0.0, m2: norm * norm, ..empty },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::tests::over;
    use denan_record::plan::Plan;
    use denan_record::tell::Teller;
    use std::sync::{Arc, Mutex};

    /// What is told of three steps whose values all come after the last of them.
    fn told(loss: f32, gradients: &[f32; 4]) -> Vec<Event> {
        let events = Arc::new(Mutex::new(Vec::new()));
        let listener = Arc::clone(&events);
        let teller = Teller::to(move |event| listener.lock().unwrap().push(event));
        let mut watch = Watch::new(Plan::default(), "torch", None, teller);
        let slots = [(); 2].map(|()| watch.parameter(None, &[4], "float32", None));
        for _ in 0..3 {
            watch.loss_later();
            watch.begin_late_update(0, Some(0.1), None);
            watch.figures_later();
            watch.skipped();
            watch.figures_later();
            watch.end_step();
        }
        let values = [1.0, 2.0, 6.0, 8.0];
        for step in 0..3 {
            let (loss, gradients) = if step == 1 { (loss, gradients) } else { (0.5, &[2.0, 2.0, 3.0, 4.0]) };
            watch.late_loss(&over(&[loss], &[], &[]));
            watch.late_figures(true, &slots, &over(gradients, &[4], &[1]));
            watch.late_figures(false, &slots, &over(&values, &[4], &[1]));
        }
        watch.finish();
        events.lock().unwrap().clone()
    }

    fn steps(events: &[Event]) -> Vec<&Step> {
        let steps =
            events.iter().filter_map(|event| if let Event::Step(step) = event { Some(step) } else { None });
        steps.collect()
    }

    #[test]
    fn a_step_is_told_with_its_values_in_order() {
        let events = told(0.25, &[2.0, 2.0, 3.0, 4.0]);
        let steps = steps(&events);
        assert_eq!(steps.iter().map(|step| step.step).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(steps.iter().map(|step| step.loss.unwrap()).collect::<Vec<_>>(), [0.5, 0.25, 0.5]);
        assert!(steps.iter().all(|step| step.gradient_norm == Some(5.0) && step.weight_norm == Some(10.0)));
        assert!(!events.iter().any(|event| matches!(event, Event::Noticed { .. })));
    }

    #[test]
    fn a_bad_value_is_noticed_in_the_step_that_made_it() {
        for (loss, gradients, is_loss) in
            [(f32::NAN, [2.0, 2.0, 3.0, 4.0], true), (0.5, [2.0, f32::NAN, 3.0, f32::NAN], false)]
        {
            let events = told(loss, &gradients);
            let noticed = events.iter().find_map(|event| match event {
                Event::Noticed { found, since } => Some((found.step, found.loss_is_bad, *since)),
                _ => None,
            });
            assert_eq!(noticed, Some((1, is_loss, 1)));
        }
    }
}

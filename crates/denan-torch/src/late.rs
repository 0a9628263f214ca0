//! Losses of a device, which come when their step may long be over: a step is told once its losses are there.

use crate::tensor::Tensor;
use crate::watch::{Noticed, StepFigures, Watch};
use denan_record::event::Event;
use denan_record::model::{Sample, Step, most_telling};

/// A step that is over and waits for its losses.
pub(crate) struct Waiting {
    pub told: Step,
    pub samples: Vec<Sample>,
    pub losses_to_come: u32,
}

impl Watch {
    /// The backward pass begins at a loss that a device is still at work on; [`late_loss`](Self::late_loss) follows.
    pub fn loss_later(&mut self) {
        if self.step.is_updated {
            self.finish_step();
        }
        self.step.losses_to_come += 1;
    }

    /// The first of the losses that were to come is there.
    pub fn late_loss(&mut self, loss: &Tensor) {
        let Some(at) = self.waiting.iter().position(|step| step.losses_to_come > 0) else {
            // Of the step under way.
            if self.step.losses_to_come > 0 {
                self.step.losses_to_come -= 1;
                self.loss(loss);
            }
            return;
        };
        let range = loss.range();
        let value = most_telling(&range);
        let step = &mut self.waiting[at];
        step.losses_to_come -= 1;
        if step.told.loss.is_none() || !value.is_finite() {
            step.told.loss = Some(value);
            step.told.loss_bits = loss.bits().or(Some(value.to_bits()));
        }
        if range.nonfinite() > 0 {
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

    /// Tells the steps that wait for nothing more.
    fn tell_waiting(&mut self) {
        while self.waiting.front().is_some_and(|step| step.losses_to_come == 0) {
            let Some(step) = self.waiting.pop_front() else { break };
            self.teller.tell(Event::Step(step.told));
        }
    }
}

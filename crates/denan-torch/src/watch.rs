//! Follows one training: what the hooks in Python see becomes steps, and a break.
//!
//! The order of calls in a step: [`Watch::batch`], [`Watch::loss`] when the backward pass begins,
//! [`Watch::before_update`] and [`Watch::after_update`] around the optimizer, or [`Watch::probe`] in a step that is not
//! gone through, and [`Watch::end_step`] when the next step begins or the training ends. Between them, in a step that
//! is looked at closely, every operation comes in through [`Watch::operation`].
//!
//! The loss of a device comes later ([`Watch::loss_later`]): a step is told when its losses are there.

use crate::forecasting::Figure;
use crate::late::Waiting;
use crate::look::{Known, Look, Seen};
use crate::pace::Pace;
use crate::tensor::{Dtype, Tensor, summaries};
use denan_numerics::{Range, Summary};
use denan_record::entering::{Arrival, Entering};
use denan_record::event::Event;
use denan_record::forecast::Forecaster;
use denan_record::model::{
    Act, Batch, Deed, Ending, Header, Node, Optimizer, Parameter, ParameterStep, Phase, Place, Rank, Role,
    Sample, Screened, Step, StepGraph, TensorSeen, Window, most_telling,
};
use denan_record::plan::Plan;
use denan_record::tell::Teller;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Elements of all parameters together up to which an update is taken whole; of larger networks a part stands for it.
const WHOLE_UPDATE: usize = 1 << 16;
/// Elements of one parameter that stand for it in a large network.
const PART: usize = 256;

/// Steps from one that a device goes through to the next, at least.
const LEAST_LATE: u64 = 8;

/// What the training is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Go on, with a step whose gradients and values are all handed over.
    Full,
    /// Go on, with a step of which a few gradients are.
    Light,
    /// End: the break has reached the parameters, or the plan ends here.
    End,
}

/// Where a bad value was noticed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Noticed<'a> {
    Loss(&'a Tensor),
    Gradient(u32, &'a Tensor),
    Value(u32, &'a Tensor),
    /// What the network made of a batch in evaluation mode.
    Output(&'a Tensor),
}

/// What a guard found that is not finite.
#[derive(Clone, Debug)]
pub enum Found {
    /// A loss.
    Loss(Tensor),
    /// The gradient of the parameter of a slot.
    Gradient(u32, Tensor),
    /// The value of the parameter of a slot after its update.
    Value(u32, Tensor),
}

/// A parameter, and what is kept of it from call to call.
#[derive(Default)]
pub(crate) struct Tracked {
    pub told: Parameter,
    /// Its elements before the update under way, or those that stand for them.
    before: Vec<f64>,
    gradient: Option<Summary>,
    value: Option<Summary>,
    update: Option<Summary>,
    /// Whether it was non-finite when it was last gone through.
    is_bad: bool,
}

impl Tracked {
    /// Takes in figures of its value. Whether it is non-finite and was not before.
    pub fn is_lost_with(&mut self, summary: Summary) -> bool {
        self.value = Some(summary);
        let was_bad = std::mem::replace(&mut self.is_bad, !summary.is_finite());
        self.is_bad && !was_bad
    }
}

/// Figures of the step under way.
#[derive(Default)]
pub(crate) struct StepFigures {
    loss: Option<f64>,
    loss_bits: Option<u64>,
    pub(crate) loss_is_bad: bool,
    learning_rate: Option<f64>,
    pub(crate) carries_gradients: Option<bool>,
    watching: Duration,
    operations: u64,
    largest: f64,
    /// The optimizer has run.
    pub(crate) is_updated: bool,
    /// Numbers of the optimizers that have had their part in it.
    optimizers: Vec<u32>,
    /// All gradients and values have been gone through.
    is_full: bool,
    /// Figures of them come later.
    pub(crate) is_late: bool,
    /// Losses that come later.
    pub(crate) values_to_come: u32,
    pub(crate) samples: Vec<Sample>,
    batches: Vec<Batch>,
}

/// What the graph of a bad loss tells of its producer.
pub(crate) struct Examined {
    pub op: String,
    pub read: Vec<TensorSeen>,
    pub made: Option<TensorSeen>,
}

/// Follows one training.
pub struct Watch {
    pub(crate) plan: Plan,
    pub(crate) teller: Teller,
    /// Whether other processes train together with this one.
    is_one_of_several: bool,
    began: Instant,
    pub(crate) tracked: Vec<Tracked>,
    pub(crate) places: Vec<Place>,
    place_numbers: FxHashMap<(String, u32, u32), u32>,
    pub(crate) look: Look,
    pub(crate) looks: bool,
    /// What is looked at belongs to the step after this one.
    looks_ahead: bool,
    pub(crate) entering: Entering,
    pub(crate) step: StepFigures,
    /// The first one that is followed: another than 0 where the run begins with a state that was kept.
    first_step: u64,
    pub(crate) steps_done: u64,
    /// Steps that wait for their losses, and those after them.
    pub(crate) waiting: VecDeque<Waiting>,
    pace: Pace,
    /// Steps before this one were found clean when they were gone through.
    pub(crate) clean_before: u64,
    /// The first break was that of an evaluation; one of the training counts more.
    pub(crate) is_evaluations: bool,
    /// The loss is there in every step, gradients and values in those that are gone through.
    pub(crate) forecasters: [Forecaster<Figure>; 2],
    /// Numbers of the figures of which an overflow was told.
    pub(crate) forecasts: FxHashMap<Figure, u32>,
    /// When the step before this one ended.
    step_began: Duration,
    /// What it took to put the step before this one together.
    ending: Duration,
    pub(crate) first_break: Option<u64>,
    has_told_loss_of_parameters: bool,
    pub(crate) optimizer_name: Option<String>,
    pub(crate) examined: Option<Examined>,
    /// Poolings of the network.
    pools: Vec<Node>,
    /// A guard sees to it that a break does not end the training.
    is_guarded: bool,
    ended: bool,
}

impl Watch {
    /// A watch that follows `plan` and tells `teller`; `engine` as the contract spells it, `torch 2.15.0`.
    ///
    /// `rank` is which of several processes that train together this is. They end in the same step, or the others would
    /// wait for the one that has: in one that all of them go through.
    pub fn new(plan: Plan, engine: &str, rank: Option<Rank>, mut teller: Teller) -> Self {
        teller.tell(Event::Started(Header {
            engine: engine.to_owned(),
            process_id: std::process::id(),
            started_unix_ms: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_millis() as u64),
            seed: plan.seed,
            intervention: plan.intervention.as_ref().map(|intervention| intervention.id().to_owned()),
            rank,
        }));
        let always_from = match (plan.check_from, plan.look_from) {
            (Some(check), Some(look)) => Some(check.min(look)),
            (check, look) => check.or(look),
        };
        let first_step = plan.restart.as_ref().map_or(0, |restart| restart.step);
        Self {
            plan,
            teller,
            is_one_of_several: rank.is_some(),
            began: Instant::now(),
            tracked: Vec::new(),
            places: Vec::new(),
            place_numbers: FxHashMap::default(),
            look: Look::default(),
            looks: false,
            looks_ahead: false,
            entering: Entering::default(),
            step: StepFigures::default(),
            first_step,
            steps_done: first_step,
            waiting: VecDeque::new(),
            pace: if rank.is_some() { Pace::in_step(always_from) } else { Pace::new(always_from) },
            clean_before: first_step,
            forecasters: Default::default(),
            forecasts: FxHashMap::default(),
            step_began: Duration::ZERO,
            ending: Duration::ZERO,
            first_break: None,
            is_evaluations: false,
            has_told_loss_of_parameters: false,
            optimizer_name: None,
            examined: None,
            pools: Vec::new(),
            is_guarded: false,
            ended: false,
        }
    }

    /// Number of a line of the program.
    pub fn place(&mut self, place: Place) -> u32 {
        let key = (place.file.clone(), place.line, place.column);
        if let Some(&known) = self.place_numbers.get(&key) {
            return known;
        }
        let number = self.places.len() as u32;
        self.places.push(place);
        self.place_numbers.insert(key, number);
        number
    }

    /// Slot of a parameter that is new to the watch.
    pub fn parameter(
        &mut self,
        name: Option<String>,
        shape: &[usize],
        dtype: &str,
        initial: Option<&Tensor>,
    ) -> u32 {
        let slot = self.tracked.len() as u32;
        let told = Parameter {
            slot,
            name,
            shape: crate::look::sizes(shape),
            dtype: dtype.to_owned(),
            initial: initial.map(Tensor::summary),
            ..Parameter::default()
        };
        self.teller.tell(Event::Parameter(told.clone()));
        let is_bad = told.initial.is_some_and(|initial| !initial.is_finite());
        self.tracked.push(Tracked { told, is_bad, ..Tracked::default() });
        slot
    }

    /// The program's name of a parameter has become known.
    pub fn name_parameter(&mut self, slot: u32, name: &str) {
        let Some(tracked) = self.tracked.get_mut(slot as usize) else { return };
        if tracked.told.name.as_deref() != Some(name) {
            tracked.told.name = Some(name.to_owned());
            self.teller.tell(Event::Parameter(tracked.told.clone()));
        }
    }

    /// A tensor in a parameter's shape and type, its elements one behind the other from `pointer` on.
    ///
    /// # Safety
    ///
    /// As for [`Tensor::new`].
    pub unsafe fn tensor_of(&self, slot: u32, pointer: usize) -> Option<Tensor> {
        let told = &self.tracked.get(slot as usize)?.told;
        let shape: Vec<usize> = told.shape.iter().map(|&size| size as usize).collect();
        let mut strides = vec![1; shape.len()];
        for dim in (1..shape.len()).rev() {
            strides[dim - 1] = strides[dim] * shape[dim];
        }
        // SAFETY: the caller's promise.
        Some(unsafe { Tensor::new(0, pointer, Dtype::named(&told.dtype), shape, strides, None) })
    }

    pub(crate) fn parameter_name(&self, slot: u32) -> String {
        let name = self.tracked.get(slot as usize).and_then(|tracked| tracked.told.name.clone());
        name.unwrap_or_else(|| format!("parameter {slot}"))
    }

    /// The optimizer that updates the parameters.
    pub fn optimizer(&mut self, name: &str, place: Option<u32>) {
        if self.optimizer_name.is_none() {
            let place = place.and_then(|at| self.places.get(at as usize).cloned());
            self.teller.tell(Event::Optimizer(Optimizer { name: Some(name.to_owned()), place }));
        }
        self.optimizer_name = Some(name.to_owned());
    }

    /// Whether a step is to be looked at closely: the one under way, or `ahead` of it.
    pub fn wants_look(&self, ahead: u64) -> bool {
        let (from, step) = (self.plan.look_from, self.steps_done + ahead);
        let goes_on = self.first_break.is_none() || self.is_evaluations;
        goes_on && from.is_some_and(|from| step == self.first_step || step >= from)
    }

    /// The next operations are those of a step that is looked at closely.
    pub fn begin_look(&mut self) {
        self.look.begin(self.steps_done);
        self.looks = true;
    }

    /// Says what memory is to the training, for the step that is looked at.
    pub fn know(&mut self, storage: u64, pointer: usize, what: Known) {
        self.look.know(storage, pointer, what);
    }

    /// The next operations are those of the step after this one, whose backward pass is over: of a training without an
    /// optimizer the end of a step is seen when the next backward pass begins.
    pub fn begin_look_ahead(&mut self) {
        self.tell_first_graph();
        self.look.begin(self.steps_done + 1);
        (self.looks, self.looks_ahead) = (true, true);
    }

    /// Tells the operations of the first step, if it was looked at.
    fn tell_first_graph(&mut self) {
        if self.looks && !self.looks_ahead && self.steps_done == self.first_step && self.first_break.is_none()
        {
            let graph = self.look.graph(&self.places, None, 0);
            self.teller.tell(Event::Graph(Box::new(graph)));
        }
    }

    /// An operation of the step that is looked at.
    pub fn operation(&mut self, seen: &Seen<'_>) {
        if !self.looks {
            return;
        }
        self.step.operations += 1;
        for at in self.look.operation(seen) {
            let largest = self.look.node(at).range.abs_max();
            self.step.largest = self.step.largest.max(largest);
        }
        // What came from a loader has been taken in as it came; the rest is data that the program holds.
        for (at, tensor) in self.look.take_arrived() {
            let place = self.look.node(at).place;
            self.entered(place, &tensor);
        }
    }

    /// The samples of a batch that the program got.
    pub fn batch(&mut self, samples: Vec<Sample>) {
        if self.step.is_updated {
            self.finish_step();
        }
        self.step.samples.extend(samples.iter().cloned());
        self.step.batches.push(Batch { step: self.steps_done, samples });
    }

    /// A tensor of a batch, as it came from the loader.
    pub fn entered(&mut self, place: Option<u32>, tensor: &Tensor) {
        let line = place.and_then(|at| self.places.get(at as usize));
        self.entering.take(&Arrival {
            site: place.map_or(u64::MAX, u64::from),
            place: line,
            shape: &tensor.shape,
            dtype: tensor.dtype.name(),
            values: &|most| tensor.values(most),
            largest: tensor.range().abs_max(),
            samples: &self.step.samples,
            step: self.steps_done,
        });
    }

    /// Kernel and stride of a pooling of the network, and the line that calls it, told without a look at its operation.
    pub fn pooling(&mut self, op: &str, kernel: Vec<u64>, stride: Vec<u64>, place: Option<u32>) {
        let window = Some(Window { kernel, stride });
        let is_known =
            |node: &Node| node.op == op && node.window == window && (place.is_none() || node.place == place);
        if self.steps_done > self.first_step || self.pools.iter().any(is_known) {
            return;
        }
        self.pools.push(Node {
            op: op.to_owned(),
            call: None,
            phase: Phase::Forward,
            scalar: None,
            window,
            place,
            inputs: Vec::new(),
            shape: Vec::new(),
            dtype: String::new(),
            role: Role::Activation,
            slot: None,
            is_new: true,
            range: Range::EMPTY,
            values: Vec::new(),
            rows: None,
        });
    }

    /// The network has made this of a batch in evaluation mode, before a step (the one under way if that is not given)
    /// and of these samples. A NaN there is as good as one in a loss; infinities may be meant.
    pub fn evaluated(&mut self, output: &Tensor, samples: Vec<Sample>, step: Option<u64>) {
        if output.dtype.is_float() && output.range().nan > 0 {
            let of_step = std::mem::replace(&mut self.step.samples, samples);
            self.broke(Noticed::Output(output), step.unwrap_or(self.steps_done));
            self.step.samples = of_step;
        }
        if self.looks {
            self.look.restart();
        }
    }

    /// Number of the optimizer step under way.
    pub fn step_number(&self) -> u64 {
        self.steps_done
    }

    /// The graph of the loss tells which operation made its first bad value: its name in ATen, and what is known of the
    /// tensors that it read and made.
    pub fn examined(&mut self, op: &str, read: &[Tensor], made: &[Tensor]) {
        self.examined = Some(Examined {
            op: crate::describe::plain_name(op).to_owned(),
            read: read.iter().map(|tensor| seen_alone(tensor, Role::Activation)).collect(),
            made: made.first().map(|tensor| seen_alone(tensor, Role::Activation)),
        });
    }

    /// The backward pass begins at this loss.
    pub fn loss(&mut self, loss: &Tensor) {
        if self.step.is_updated {
            self.finish_step();
        }
        if take_loss(&mut self.step.loss, &mut self.step.loss_bits, loss) {
            self.step.loss_is_bad = true;
            self.broke(Noticed::Loss(loss), self.steps_done);
        }
    }

    /// An optimizer begins its part of the step. One that comes again has begun the next one.
    pub(crate) fn begin_update(&mut self, optimizer: u32, rate: Option<f64>) {
        if self.step.is_updated && self.step.optimizers.contains(&optimizer) {
            self.finish_step();
        }
        self.step.optimizers.push(optimizer);
        self.step.learning_rate = self.step.learning_rate.or(rate);
    }

    /// An optimizer has updated parameters that are not gone through. These are some of their gradients: the first
    /// parameters' are made last, and a NaN on the way there is in them as well.
    pub fn probe(&mut self, optimizer: u32, gradients: &[(u32, Tensor)], rate: Option<f64>) {
        self.begin_update(optimizer, rate);
        self.step.is_updated = true;
        let bad = gradients.iter().find(|(_, gradient)| !gradient.summary().is_finite());
        if let Some((slot, gradient)) = bad {
            self.broke(Noticed::Gradient(*slot, gradient), self.steps_done);
        }
    }

    /// An optimizer is about to update these parameters with these gradients, at a learning rate. `carries` says
    /// whether gradients of its last step were still there whenever a backward pass began since, if that is known.
    pub fn before_update(
        &mut self,
        optimizer: u32,
        values: &[(u32, Tensor)],
        gradients: &[(u32, Tensor)],
        rate: Option<f64>,
        carries: Option<bool>,
    ) {
        self.begin_update(optimizer, rate);
        self.step.carries_gradients = self.step.carries_gradients.or(carries);
        let mut bad = None;
        let figures = summaries(gradients.iter().map(|(_, gradient)| gradient));
        for ((slot, gradient), summary) in gradients.iter().zip(figures) {
            let Some(tracked) = self.tracked.get_mut(*slot as usize) else { continue };
            if !summary.is_finite() && bad.is_none() {
                bad = Some((*slot, gradient));
            }
            tracked.gradient = Some(summary);
        }
        if let Some((slot, gradient)) = bad {
            self.broke(Noticed::Gradient(slot, gradient), self.steps_done);
        }
        let whole = self.takes_whole_updates(values);
        for (slot, value) in values {
            let Some(tracked) = self.tracked.get_mut(*slot as usize) else { continue };
            tracked.told.initial.get_or_insert_with(|| value.summary());
            tracked.before = if whole { value.values(usize::MAX) } else { value.values(PART) };
        }
    }

    /// Updates are taken whole where that costs little, and in a run that is there to be looked at.
    fn takes_whole_updates(&self, values: &[(u32, Tensor)]) -> bool {
        let elements: usize = values.iter().map(|(_, value)| value.count()).sum();
        elements <= WHOLE_UPDATE || self.plan.look_from.is_some()
    }

    /// The optimizer has updated these parameters.
    pub fn after_update(&mut self, values: &[(u32, Tensor)]) {
        let lost = self.see_values(values);
        self.is_gone_through(lost);
    }

    /// These are the parameters of a training that updates them by hand, as the next backward pass begins. Whether they
    /// have been updated since the one before it: if not, its gradients add up to those that come.
    pub fn after_update_by_hand(&mut self, values: &[(u32, Tensor)]) -> bool {
        let lost = self.see_values(values);
        let has_changed =
            self.tracked.iter().any(|tracked| tracked.update.is_some_and(|update| moves(&update)));
        if has_changed {
            self.is_gone_through(lost);
        } else if std::mem::take(&mut self.looks_ahead) {
            self.look.is_of(self.steps_done);
        }
        has_changed
    }

    fn is_gone_through(&mut self, lost: Option<(u32, &Tensor)>) {
        self.step.is_updated = true;
        self.step.is_full = true;
        if let Some((slot, value)) = lost {
            self.broke(Noticed::Value(slot, value), self.steps_done);
        }
    }

    /// Figures of parameters after their update, and of the update. The first that it made bad, if there is one.
    fn see_values<'a>(&mut self, values: &'a [(u32, Tensor)]) -> Option<(u32, &'a Tensor)> {
        let mut lost = None;
        let figures = summaries(values.iter().map(|(_, value)| value));
        for ((slot, value), summary) in values.iter().zip(figures) {
            let Some(tracked) = self.tracked.get_mut(*slot as usize) else { continue };
            let now = value.values(tracked.before.len());
            let is_whole = tracked.before.len() == value.count();
            let mut update = summary_of(tracked.before.iter().zip(&now).map(|(before, now)| before - now));
            if !is_whole && update.count > 0 {
                // The part stands for the whole: its sums grow with the number of elements.
                let times = value.count() as f64 / update.count as f64;
                (update.count, update.m2) = (value.count() as u64, update.m2 * times);
            }
            tracked.update = Some(update);
            // With a rate of 0 it is as good as frozen.
            if tracked.told.first_update.is_none() && moves(&update) {
                tracked.told.first_update = Some(self.steps_done);
                self.teller.tell(Event::Parameter(tracked.told.clone()));
            }
            if tracked.is_lost_with(summary) && lost.is_none() {
                lost = Some((*slot, value));
            }
        }
        lost
    }

    /// These are the parameters after the last step, of which they have not been gone through.
    pub fn last_values(&mut self, values: &[(u32, Tensor)]) {
        let Some(last) = self.steps_done.checked_sub(1) else { return };
        let figures = summaries(values.iter().map(|(_, value)| value));
        for ((slot, value), summary) in values.iter().zip(figures) {
            let Some(tracked) = self.tracked.get_mut(*slot as usize) else { continue };
            if tracked.is_lost_with(summary) {
                self.broke(Noticed::Value(*slot, value), last);
            }
        }
        self.tell_loss_of_parameters();
    }

    /// Whether the parameters have changed since they were gone through.
    pub fn has_unseen_values(&self) -> bool {
        !self.has_broken() && self.clean_before < self.steps_done
    }

    /// Whether the training itself has broken.
    pub fn has_broken(&self) -> bool {
        self.first_break.is_some() && !self.is_evaluations
    }

    /// A step that the program means to end, whether its optimizer ran or was skipped (by a loss scaler).
    pub fn skipped(&mut self) {
        self.step.is_updated = true;
    }

    /// The step under way is over, if its optimizer has run.
    pub fn end_step(&mut self) -> Next {
        if self.step.is_updated {
            self.finish_step();
        }
        let is_lost = self.has_broken() && self.has_lost_parameters();
        let is_over = self.plan.stop_at_step.is_some_and(|stop| self.steps_done >= stop);
        let may_end = !self.is_one_of_several || self.pace.is_in_step(self.steps_done);
        match () {
            () if self.plan.stop_after_break && !self.is_guarded && is_lost && may_end || is_over => {
                Next::End
            }
            // Once something is bad, what becomes of the parameters decides whether it goes on.
            () if self.has_broken() && !self.is_guarded || self.pace.is_full(self.steps_done) => Next::Full,
            () => Next::Light,
        }
    }

    fn has_lost_parameters(&self) -> bool {
        self.tracked.iter().any(|tracked| {
            let value = tracked.value.or(tracked.told.initial);
            value.is_some_and(|value| !value.is_finite())
        })
    }

    /// Time that the hooks took.
    pub fn watched_for(&mut self, time: Duration) {
        self.step.watching += time;
    }

    pub(crate) fn finish_step(&mut self) {
        let began = Instant::now();
        let number = self.steps_done;
        let mut step = std::mem::take(&mut self.step);
        step.watching += std::mem::take(&mut self.ending);
        let mut told = Step {
            step: number,
            loss: step.loss,
            loss_bits: step.loss_bits,
            learning_rate: step.learning_rate,
            carries_gradients: step.carries_gradients,
            operations: step.operations,
            elapsed_us: self.began.elapsed().as_micros() as u64,
            watching_us: step.watching.as_micros() as u64,
            ..Step::default()
        };
        if step.is_full {
            self.add_figures(&mut told, step.largest);
        }
        self.look_ahead(&told);
        for batch in step.batches.drain(..) {
            self.teller.tell(Event::Batch(Batch { step: number, ..batch }));
        }
        if step.values_to_come == 0 && self.waiting.is_empty() {
            self.teller.tell(Event::Step(told));
        } else {
            let StepFigures { values_to_come, samples, .. } = step;
            self.waiting.push_back(Waiting { told, samples, values_to_come });
        }
        if !self.looks && number == 0 && !self.pools.is_empty() {
            let nodes = std::mem::take(&mut self.pools);
            self.teller.tell(Event::Graph(Box::new(StepGraph {
                nodes,
                places: self.places.clone(),
                ..StepGraph::default()
            })));
        }
        self.tell_first_graph();
        self.looks &= std::mem::take(&mut self.looks_ahead);
        self.steps_done += 1;
        if step.is_full {
            self.tell_loss_of_parameters();
            if !self.has_broken() {
                self.clean_before = self.steps_done;
            }
        }
        let now = self.began.elapsed();
        // What a device does for it takes no time of the program's, but some of the device's.
        let least = if step.is_late { LEAST_LATE } else { 1 };
        self.pace.ended(number, now - self.step_began, step.watching, least);
        self.step_began = now;
        self.ending = began.elapsed();
    }

    /// Adds the figures of gradients, values and updates to a step.
    fn add_figures(&mut self, told: &mut Step, largest: f64) {
        for tracked in &mut self.tracked {
            let row = ParameterStep {
                slot: tracked.told.slot,
                gradient: tracked.gradient.take(),
                value: tracked.value,
                update: tracked.update.take(),
            };
            if row.gradient.is_some() || row.update.is_some() {
                told.parameters.push(row);
            }
        }
        told.add_norms();
        let figures = told.parameters.iter().flat_map(|row| [row.gradient, row.value]).flatten();
        let largest = figures.fold(largest, |most, summary| most.max(summary.abs_max()));
        told.largest_value = (largest > 0.0).then_some(largest);
    }

    /// Says once that the break has reached the parameters.
    pub(crate) fn tell_loss_of_parameters(&mut self) {
        if self.has_broken() && !self.has_told_loss_of_parameters && self.has_lost_parameters() {
            self.has_told_loss_of_parameters = true;
            self.teller.tell(Event::ParametersLost);
        }
    }

    /// Samples were gone through forward and loss only.
    pub fn screened(&mut self, screened: Screened) {
        self.teller.tell(Event::Screened(Box::new(screened)));
    }

    /// The intervention of the plan has changed something for the first time.
    pub fn intervened(&mut self) {
        self.teller.tell(Event::Intervened(self.steps_done));
    }

    /// Whether a guard keeps the training alive from now on.
    pub fn is_guarded(&mut self, is_guarded: bool) {
        self.is_guarded = is_guarded;
    }

    /// A guard did something, because of what it found. It has looked at all gradients of each step before.
    pub fn acted(&mut self, act: Act, found: Option<&Found>) {
        if let Some(found) = found {
            self.clean_before = self.clean_before.max(act.step.min(self.steps_done));
            let noticed = match found {
                Found::Loss(tensor) => Noticed::Loss(tensor),
                Found::Gradient(slot, tensor) => Noticed::Gradient(*slot, tensor),
                Found::Value(slot, tensor) => Noticed::Value(*slot, tensor),
            };
            self.broke(noticed, self.steps_done);
        }
        self.is_guarded &= act.what != Deed::GaveUp;
        self.teller.tell(Event::Acted(Box::new(act)));
    }

    /// Something that a user should know of the watching.
    pub fn note(&mut self, text: &str) {
        self.teller.tell(Event::Note(text.to_owned()));
    }

    /// The training ends.
    pub fn finish(&mut self) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let is_over = self.end_step() == Next::End;
        for step in std::mem::take(&mut self.waiting) {
            self.teller.tell(Event::Step(step.told));
        }
        let ending = match () {
            () if is_over && self.has_broken() => Ending::StoppedAfterBreak,
            () if is_over => Ending::StoppedAtStep,
            () => Ending::Completed,
        };
        self.teller.tell(Event::Ended(ending));
        self.teller.finish();
    }
}

/// A tensor of which nothing but its values is known.
pub(crate) fn seen_alone(tensor: &Tensor, role: Role) -> TensorSeen {
    TensorSeen {
        shape: crate::look::sizes(&tensor.shape),
        dtype: tensor.dtype.name().to_owned(),
        range: tensor.range(),
        role,
        parameter: None,
        made_by: None,
    }
}

/// Takes in a loss of a step: of several the first is told, a bad one in any case. Whether it is bad.
pub(crate) fn take_loss(told: &mut Option<f64>, bits: &mut Option<u64>, loss: &Tensor) -> bool {
    let range = loss.range();
    let value = most_telling(&range);
    if told.is_none() || !value.is_finite() {
        (*told, *bits) = (Some(value), loss.bits().or(Some(value.to_bits())));
    }
    range.nonfinite() > 0
}

/// Whether an update changes anything.
fn moves(update: &Summary) -> bool {
    update.abs_max() > 0.0 || !update.is_finite()
}

/// What a phase is called by the hooks.
pub fn phase_named(name: &str) -> Phase {
    match name {
        "backward" => Phase::Backward,
        "optimizer" => Phase::Optimizer,
        _ => Phase::Forward,
    }
}

/// All figures of some values.
fn summary_of(values: impl Iterator<Item = f64>) -> Summary {
    let values: Vec<f64> = values.collect();
    denan_numerics::summarize(&values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::tests::over;

    #[test]
    fn a_guard_keeps_a_training_going_until_it_gives_up() {
        let plan = Plan { stop_after_break: true, ..Plan::default() };
        let mut watch = Watch::new(plan, "torch", None, Teller::silent());
        let (good, bad) = ([1.0f32], [f32::NAN]);
        let [good, bad] = [&good, &bad].map(|values| over(values, &[1], &[1]));
        let slot = watch.parameter(None, &[1], "float32", None);
        let act = |what: Deed| Act {
            step: 0,
            what,
            why: String::new(),
            samples: Vec::new(),
            to: None,
            factor: None,
            file: None,
        };
        watch.is_guarded(true);
        watch.before_update(0, &[(slot, good.clone())], &[(slot, bad.clone())], None, None);
        watch.acted(act(Deed::SkippedStep), Some(&Found::Gradient(slot, bad.clone())));
        watch.after_update(&[(slot, bad.clone())]);
        assert_ne!(watch.end_step(), Next::End);
        assert!(watch.has_broken());
        watch.acted(act(Deed::GaveUp), None);
        watch.before_update(0, &[(slot, good.clone())], &[(slot, good)], None, None);
        watch.after_update(&[(slot, bad)]);
        assert_eq!(watch.end_step(), Next::End);
    }

    #[test]
    fn optimizers_that_follow_each_other_make_one_step() {
        let mut watch = Watch::new(Plan::default(), "torch", None, Teller::silent());
        let (first, second) = ([1.0f32, 2.0], [3.0f32]);
        let tensors = [over(&first, &[2], &[1]), over(&second, &[1], &[1])];
        let slots = tensors.each_ref().map(|tensor| watch.parameter(None, &tensor.shape, "float32", None));
        for step in 0..3 {
            watch.loss(&tensors[1]);
            assert_eq!(watch.steps_done, step);
            for (slot, tensor) in slots.into_iter().zip(&tensors) {
                let part = [(slot, tensor.clone())];
                watch.before_update(slot, &part, &part, None, None);
                watch.after_update(&part);
            }
            assert_eq!(watch.steps_done, step, "the second one belongs to the same step");
        }
        // The same one again is the next step, whatever lies between.
        let part = [(slots[0], tensors[0].clone())];
        watch.before_update(slots[0], &part, &part, None, None);
        assert_eq!(watch.steps_done, 3);
    }
}

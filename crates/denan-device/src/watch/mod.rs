//! What is kept of each operation, and how far the training is.
//!
//! Each operation is looked at twice, [`before`](Watch::before) and [`after`](Watch::after) it is
//! carried out; in between other threads may carry out theirs. What the optimizer does and how a step
//! ends stands in `optimizing`, what is kept of each tensor in `made`, what is told of a break in `breaking`.

mod breaking;
mod forecasting;
mod kept;
mod made;
mod optimizing;
mod taping;

use crate::channel::{Engine, IS_FINISHED};
use crate::describe::{Call, describe, plain_name};
use crate::element;
use crate::forecast::{Forecaster, Key};
use crate::graph::{Graph, NodeIndex};
use crate::intervene::{Facts, Intervene};
use crate::message::{self, Message};
use crate::operands::Operands;
use crate::parameters::Updates;
use crate::sites::{Part, SiteIndex, Sites};
use burn_backend::{Shape, TensorData};
use burn_ir::{HandleKind, OperationIr, TensorId, TensorIr, TensorStatus};
use denan_record::entering::Entering;
use denan_record::event::Event;
use denan_record::model::{Birth, Ending, Header, Optimizer, Parameter, Phase, Sample, most_telling};
use denan_record::plan::Plan;
use denan_record::tell::Teller;
use real_flex::FlexTensor;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// What the record calls the engine.
const ENGINE: &str = "burn 0.22.1";
/// Index tensors up to this many elements are kept until the step ends.
const KEPT_INDICES: usize = 1 << 16;
/// Powers of two from which a factor of the loss is one that scales gradients, and no weight of a term.
const LEAST_LOSS_SCALE: f64 = 16.0;
/// Nodes after which dead ones are forgotten even if no step ends (an evaluation loop).
const MOST_NODES: usize = 200_000;

/// One operation in so many is timed, and stands for the others. A prime, so that steps of a fixed number of
/// operations have each of theirs timed in turn.
const TIMED: u32 = 5;

/// Number of a thread; the standard library's costs a reference count at each look.
type ThreadNumber = u32;

/// The calling thread's number.
fn thread_number() -> ThreadNumber {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    thread_local! {
        static NUMBER: u32 = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    NUMBER.with(|number| *number)
}

/// Watches the operations of one process.
pub struct Watch {
    plan: Plan,
    teller: Teller,
    began: Instant,
    sites: Sites,
    graph: Graph,
    updates: Updates,
    intervene: Intervene,
    entering: Entering,
    threads: FxHashMap<ThreadNumber, ThreadState>,
    /// The thread that runs the backward pass and the optimizer.
    trainer: Option<ThreadNumber>,
    stage: Stage,
    step: StepFigures,
    steps_done: u64,
    slots: u32,
    parameters: BTreeMap<u32, Parameter>,
    batches: FxHashMap<u32, Vec<Sample>>,
    next_batch: u32,
    first_break: Option<u64>,
    optimizer_is_told: bool,
    intervention_is_told: bool,
    /// Where the loss of the last step was made.
    loss_site: Option<SiteIndex>,
    /// A bad loss that the program has read and not gone on with.
    bad_loss_read: Option<NodeIndex>,
    taping: Option<taping::Taping>,
    /// Operations so far, to time some.
    clock: u32,
    forecaster: Forecaster,
    full_figures: made::FullFigures,
    /// Tensors of which an overflow was told, and their numbers.
    forecasts: FxHashMap<Key, u32>,
    ended: bool,
}

/// What a thread last said.
#[derive(Default)]
struct ThreadState {
    /// In the order in which threads first called an operation.
    number: u32,
    /// Operations it has called.
    operations: u64,
    /// The data that are about to enter are a message to the watch.
    brings_message: bool,
    batch: Option<u32>,
    parameter: Option<String>,
}

/// How far the current step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Forward,
    Backward,
    Optimizer,
}

/// What has to be remembered of an operation while it is carried out.
pub struct UnderWay {
    thread: ThreadNumber,
    birth: Birth,
    site: SiteIndex,
    phase: Phase,
    call: Call,
    inputs: SmallVec<[NodeIndex; 3]>,
    outputs: SmallVec<[TensorIr; 1]>,
    indices: Option<FlexTensor>,
    /// Tensors it reads.
    read: SmallVec<[TensorId; 3]>,
    /// Those of them that nobody reads after it.
    released: SmallVec<[TensorId; 3]>,
    /// It, if it goes on tape.
    taped: Option<Box<OperationIr>>,
    /// The graph's when it began.
    generation: u64,
    /// Time spent watching so far, if it is taken.
    watching: Option<Duration>,
}

/// Figures of the current step.
#[derive(Default)]
struct StepFigures {
    loss: Option<f64>,
    loss_bits: Option<u64>,
    loss_is_bad: bool,
    operations: u64,
    largest: f64,
    watching: Duration,
    batches: BTreeSet<u32>,
}

impl Watch {
    /// The watch this process was asked for, if any.
    pub fn from_environment() -> Option<Self> {
        let plan = match Plan::from_environment() {
            Ok(plan) => plan?,
            Err(error) => {
                eprintln!(
                    "denan: not watching, since the plan handed to this process cannot be read: {error}"
                );
                return None;
            }
        };
        let teller = plan.socket.as_deref().map_or_else(Teller::silent, Teller::connect);
        at_exit();
        Some(Self::new(plan, teller))
    }

    /// A watch that follows `plan` and tells `teller`.
    pub fn new(plan: Plan, mut teller: Teller) -> Self {
        use burn_backend::Backend;
        real_flex::Flex::seed(&real_flex::FlexDevice, plan.seed);
        teller.tell(Event::Started(Header {
            engine: ENGINE.to_owned(),
            process_id: std::process::id(),
            started_unix_ms: std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |since| since.as_millis() as u64),
            seed: plan.seed,
            intervention: plan.intervention.as_ref().map(|intervention| intervention.id().to_owned()),
            rank: None,
        }));
        let mut watch = Self {
            intervene: Intervene::new(plan.intervention.clone()),
            sites: Sites::new(plan.renamed.clone()),
            plan,
            teller,
            began: Instant::now(),
            graph: Graph::default(),
            updates: Updates::default(),
            entering: Entering::default(),
            threads: FxHashMap::default(),
            trainer: None,
            stage: Stage::Forward,
            step: StepFigures::default(),
            steps_done: 0,
            slots: 0,
            parameters: BTreeMap::new(),
            batches: FxHashMap::default(),
            next_batch: 0,
            first_break: None,
            optimizer_is_told: false,
            intervention_is_told: false,
            loss_site: None,
            bad_loss_read: None,
            taping: None,
            clock: 0,
            forecaster: Forecaster::default(),
            full_figures: made::FullFigures::default(),
            forecasts: FxHashMap::default(),
            ended: false,
        };
        watch.begin_tape();
        watch
    }

    /// Data is about to enter the engine; it may be a message.
    pub fn data(&mut self, data: &TensorData) {
        let Some(message) = message::read(data) else { return };
        self.thread_state().brings_message = true;
        match message {
            Message::Parameter(name) => self.thread_state().parameter = Some(name),
            Message::Batch(samples) => {
                let number = self.next_batch;
                self.next_batch += 1;
                self.thread_state().batch = Some(number);
                self.batches.insert(number, samples);
            }
        }
    }

    /// What the current thread last said.
    fn thread_state(&mut self) -> &mut ThreadState {
        let number = self.threads.len() as u32;
        self.threads
            .entry(thread_number())
            .or_insert_with(|| ThreadState { number, ..ThreadState::default() })
    }

    /// A tensor is gone.
    pub fn dropped(&mut self, id: TensorId) {
        self.graph.release(id);
        self.intervene.release(id);
    }

    /// An operation is about to be carried out. `changed` becomes the one to carry out in its place, if an
    /// intervention wants another one.
    pub fn before(
        &mut self,
        engine: &mut Engine,
        op: &OperationIr,
        changed: &mut Option<Box<OperationIr>>,
    ) -> UnderWay {
        self.clock = self.clock.wrapping_add(1);
        let began = self.clock.is_multiple_of(TIMED).then(Instant::now);
        let thread = thread_number();
        let site = self.sites.here();
        let phase = self.enter(thread, site, engine, op);
        let call = describe(op);
        let Operands { inputs: tensors, outputs } = Operands::of(op);
        let inputs: SmallVec<[NodeIndex; 3]> =
            tensors.iter().filter_map(|tensor| self.graph.of(tensor.id)).collect();
        self.note_reads(engine, op, phase, &tensors, &inputs);
        self.tape_inputs(engine, op);
        let state = self.thread_state();
        let birth = Birth { thread: state.number, operation: state.operations };
        state.operations += 1;
        let mut under_way = UnderWay {
            thread,
            birth,
            site,
            phase,
            inputs,
            outputs: outputs.into_iter().cloned().collect(),
            indices: index_tensor(engine, op, call.indices),
            read: tensors.iter().map(|tensor| tensor.id).collect(),
            released: tensors
                .iter()
                .filter(|tensor| tensor.status == TensorStatus::ReadWrite)
                .map(|tensor| tensor.id)
                .collect(),
            call,
            taped: self.taping.is_some().then(|| Box::new(op.clone())),
            generation: self.graph.generation(),
            watching: None,
        };
        if self.intervene.rewrites() {
            let facts = facts(&self.sites, &self.graph, self.updated(), &under_way, self.steps_done);
            let other = self.intervene.rewrite(engine, op.clone(), &facts);
            if phase == Phase::Optimizer {
                self.note_changed_update(engine, &other);
            }
            *changed = Some(Box::new(other));
        }
        // A clip acts on gradients and rewrites nothing.
        self.tell_intervention();
        under_way.watching = began.map(|began| began.elapsed());
        under_way
    }

    /// Birth and gradient of the parameter that the optimizer is updating.
    fn updated(&self) -> Option<(Birth, Option<TensorId>)> {
        let update = self.updates.all().last()?;
        let node = self.graph.node(update.before?);
        // After its first update a parameter is another tensor.
        let parameter = node.slot.and_then(|slot| self.parameters.get(&slot));
        let birth = parameter.and_then(|parameter| parameter.birth).unwrap_or(node.birth);
        Some((birth, update.gradient_id))
    }

    fn tell_intervention(&mut self) {
        if self.intervene.has_acted() && !std::mem::replace(&mut self.intervention_is_told, true) {
            self.teller.tell(Event::Intervened(self.steps_done));
        }
    }

    /// An operation has been carried out: looks at what it made.
    pub fn after(&mut self, engine: &mut Engine, mut under_way: UnderWay) {
        let began = under_way.watching.map(|before| (before, Instant::now()));
        // Another thread may have ended the step in between, which numbers the nodes anew.
        if under_way.generation != self.graph.generation() {
            under_way.inputs = under_way.read.iter().filter_map(|&id| self.graph.of(id)).collect();
        }
        for tensor in std::mem::take(&mut under_way.outputs) {
            self.made(engine, tensor, &under_way);
        }
        if let Some(op) = under_way.taped.take() {
            self.tape_operation(engine, op);
        }
        for &id in &under_way.released {
            self.graph.release(id);
        }
        self.step.operations += 1;
        if self.graph.len() > MOST_NODES {
            self.graph.forget_dead();
            self.updates.clear();
            self.bad_loss_read = None;
        }
        if let Some((before, began)) = began {
            self.step.watching += (before + began.elapsed()) * TIMED;
        }
    }

    /// Follows the training from forward to backward to optimizer and on to the next step.
    fn enter(
        &mut self,
        thread: ThreadNumber,
        site: SiteIndex,
        engine: &mut Engine,
        op: &OperationIr,
    ) -> Phase {
        let (phase, stage) = match &self.sites.get(site).part {
            Part::Forward { .. } => (Phase::Forward, Stage::Forward),
            Part::Backward { .. } => (Phase::Backward, Stage::Backward),
            Part::Optimizer { .. } => (Phase::Optimizer, Stage::Optimizer),
        };
        if stage != Stage::Forward {
            self.trainer = Some(thread);
        }
        // Threads that load data run beside the training and do not move it on.
        if self.trainer.is_some_and(|trainer| trainer != thread) {
            return phase;
        }
        if self.stage == Stage::Optimizer && stage != Stage::Optimizer {
            self.end_step(engine);
        }
        if self.stage == Stage::Backward && stage != Stage::Backward {
            self.intervene.backward_ended(engine, &self.graph, self.steps_done);
            self.tell_intervention();
        }
        if stage == Stage::Backward
            && is_ones(op)
            && matches!(self.sites.get(site).part, Part::Backward { rule: None })
        {
            self.begin_backward(engine, op);
        }
        if stage == Stage::Optimizer && !std::mem::replace(&mut self.optimizer_is_told, true) {
            let site = self.sites.get(site);
            let Part::Optimizer { name } = &site.part else { return phase };
            self.teller.tell(Event::Optimizer(Optimizer { name: name.clone(), place: site.place.clone() }));
        }
        self.stage = stage;
        phase
    }

    /// The gradient of the loss is being made: the loss is the newest live tensor of its shape.
    fn begin_backward(&mut self, engine: &mut Engine, ones: &OperationIr) {
        let Some(shape) = ones.outputs().next().map(|tensor| tensor.shape.clone()) else { return };
        let loss = self
            .graph
            .alive()
            .filter(|&(_, index)| {
                let node = self.graph.node(index);
                node.is_new
                    && node.phase == Phase::Forward
                    && node.dtype.is_float()
                    && node.shape == shape
                    && !node.inputs.is_empty()
                    && matches!(self.sites.get(node.site).part, Part::Forward { tracked: true })
            })
            .max_by_key(|&(_, index)| self.graph.node(index).sequence);
        let Some((id, index)) = loss else { return };
        let node = self.graph.node(index);
        self.loss_site = Some(node.site);
        self.bad_loss_read = None;
        let range = node.range;
        let ir = TensorIr { id, shape, status: TensorStatus::ReadOnly, dtype: node.dtype };
        self.step.loss = Some(self.before_scaling(index).unwrap_or_else(|| most_telling(&range)));
        self.step.loss_bits = float_handle(engine, &ir).and_then(|tensor| element::bits(&tensor));
        self.step.loss_is_bad = range.nonfinite() > 0;
        self.tape_loss(index);
        if self.step.loss_is_bad {
            self.broke(engine, index, None);
        }
    }

    /// The loss as it is without the factor that keeps half-precision gradients from vanishing, if it has one.
    fn before_scaling(&self, loss: NodeIndex) -> Option<f64> {
        let node = self.graph.node(loss);
        let factor = node.scalar.filter(|_| node.name == "mul")?;
        let is_scale = factor >= LEAST_LOSS_SCALE && factor.log2().fract() == 0.0;
        let unscaled = &self.graph.node(*node.inputs.first()?).range;
        (is_scale && node.range.is_finite() && unscaled.is_finite()).then(|| most_telling(unscaled))
    }

    /// Before the operation: parameters, gradients and data of the batch are told by who reads them.
    fn note_reads(
        &mut self,
        engine: &mut Engine,
        op: &OperationIr,
        phase: Phase,
        tensors: &[&TensorIr],
        inputs: &[NodeIndex],
    ) {
        match phase {
            Phase::Forward => {
                // The message's own tensor is made by an operation as well, which reads nothing.
                let name = self
                    .threads
                    .get_mut(&thread_number())
                    .filter(|_| !inputs.is_empty())
                    .and_then(|state| state.parameter.take());
                for &input in inputs {
                    let node = self.graph.node_mut(input);
                    node.used_forward = true;
                    if let Some(batch) = node.batch {
                        self.step.batches.insert(batch);
                    }
                }
                if let (Some(name), Some(&input)) = (name, inputs.first()) {
                    self.name_parameter(input, name);
                }
            }
            Phase::Optimizer => self.note_optimizer_reads(engine, op, tensors, inputs),
            _ => {}
        }
    }

    /// The program reads a tensor's elements. Many look at the loss and end by themselves when it is
    /// NaN; then no backward pass follows in which it would be noticed.
    pub fn is_read(&mut self, tensor: &TensorIr) {
        let read = self.graph.of(tensor.id).filter(|&index| {
            let node = self.graph.node(index);
            node.is_bad() && node.is_new && Some(node.site) == self.loss_site
        });
        self.bad_loss_read = read.or(self.bad_loss_read);
        if tensor.status == TensorStatus::ReadWrite {
            // Nobody else has it, so reading it ends it.
            self.graph.release(tensor.id);
        }
    }

    /// What the program gets in the place of a tensor it reads, if the intervention wants something else.
    pub fn as_read(&mut self, engine: &mut Engine, tensor: &TensorIr) -> Option<FlexTensor> {
        self.intervene.as_read(engine, tensor)
    }

    /// The process is ending; if it does so in the optimizer, that step is over too.
    pub fn last_step(&mut self, engine: &mut Engine) {
        if let Some(loss) = self.bad_loss_read.take() {
            self.step.loss_is_bad = true;
            self.broke(engine, loss, None);
        }
        if self.stage == Stage::Optimizer {
            self.stage = Stage::Forward;
            self.end_step(engine);
        }
        self.tell_tape();
    }

    /// Ends the process: denan asked for it in the plan.
    fn stop(&mut self, ending: Ending) -> ! {
        self.finish(ending);
        std::process::exit(0);
    }

    /// The watch has failed: tells so, and nothing more.
    pub fn let_go(&mut self) {
        self.teller.tell(Event::Note("watching failed and let go of the training".to_owned()));
        self.teller.finish();
        IS_FINISHED.store(true, Ordering::Release);
    }

    /// Tells the last things.
    pub fn finish(&mut self, ending: Ending) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        if self.sites.is_cheap() == Some(false) {
            self.teller.tell(Event::Note(
                "the program was built without frame pointers, so watching it costs more than it needs to"
                    .to_owned(),
            ));
        }
        self.teller.tell(Event::Ended(ending));
        self.teller.finish();
        IS_FINISHED.store(true, Ordering::Release);
    }
}

/// What an intervention may want to know of the operation that is under way.
fn facts<'a>(
    sites: &'a Sites,
    graph: &'a Graph,
    updated: Option<(Birth, Option<TensorId>)>,
    under_way: &'a UnderWay,
    step: u64,
) -> Facts<'a> {
    let site = sites.get(under_way.site);
    Facts {
        call: &under_way.call,
        called: site.call.as_deref(),
        phase: under_way.phase,
        rule: match &site.part {
            Part::Backward { rule } => rule.as_deref().map(plain_name),
            _ => None,
        },
        place: site.place.as_ref(),
        graph,
        inputs: &under_way.inputs,
        step,
        birth: under_way.birth,
        updated,
    }
}

fn is_ones(op: &OperationIr) -> bool {
    matches!(op, OperationIr::BaseFloat(burn_ir::BaseOperationIr::Ones(_)))
}

fn sizes(shape: &Shape) -> Vec<u64> {
    shape.as_slice().iter().map(|&size| size as u64).collect()
}

/// A view of a live float tensor. It must be dropped before the next operation, which may want to write in place.
pub(crate) fn float_handle(engine: &mut Engine, tensor: &TensorIr) -> Option<FlexTensor> {
    let read = TensorIr { status: TensorStatus::ReadOnly, ..tensor.clone() };
    match engine.get_tensor_handle(&read) {
        HandleKind::Float(tensor) => Some(tensor),
        _ => None,
    }
}

/// A view of any live tensor but a quantised one.
fn tensor_handle(engine: &mut Engine, read: &TensorIr) -> Option<FlexTensor> {
    match engine.get_tensor_handle(read) {
        HandleKind::Float(tensor) | HandleKind::Int(tensor) | HandleKind::Bool(tensor) => Some(tensor),
        HandleKind::Quantized(_) => None,
    }
}

/// The index tensor of a select or gather, if it is small enough to keep.
fn index_tensor(engine: &mut Engine, op: &OperationIr, indices: Option<TensorId>) -> Option<FlexTensor> {
    let indices = indices?;
    let tensor = op.inputs().find(|tensor| tensor.id == indices)?;
    if tensor.shape.num_elements() > KEPT_INDICES {
        return None;
    }
    let read = TensorIr { status: TensorStatus::ReadOnly, ..tensor.clone() };
    match engine.get_tensor_handle(&read) {
        HandleKind::Int(tensor) => Some(tensor),
        _ => None,
    }
}

/// Has the last step told when the process ends by itself.
fn at_exit() {
    extern "C" fn finish() {
        crate::channel::finish_watch();
    }
    // SAFETY: registers a function that takes nothing, returns nothing and does not unwind.
    unsafe {
        libc::atexit(finish);
    }
}

//! `denan._core`: what of the Python package is Rust. The program, and a `Watch` that the hooks tell what they see.
//!
//! A tensor comes as a tuple `(storage, pointer, dtype, shape, strides)`; the hooks hold on to the tensors for as long
//! as a call lasts, so their memory may be read without the interpreter's lock.

use denan_record::model::{Act, Deed, Place, Rank, Sample, Screened};
use denan_record::plan::Plan;
use denan_record::tell::Teller;
use denan_torch::describe::Arg;
use denan_torch::look::{Known, Seen};
use denan_torch::tensor::{Dtype, Tensor, bad_among};
use denan_torch::watch::{self, Found, Next};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyList, PyString, PyTuple};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Runs the program on a command line, its own name first, and returns its exit code.
#[pyfunction]
fn main(py: Python<'_>, command_line: Vec<OsString>, python: PathBuf, package: PathBuf) -> u8 {
    let host = denan::Host { python: Some(python), package: Some(package) };
    py.detach(|| denan::main(command_line, &host))
}

/// What a guard did, as people read it.
#[pyfunction]
fn act_in_words(act: Bound<'_, PyAny>) -> PyResult<String> {
    Ok(denan_finding::act_in_words(&act_of(&act)?))
}

/// A Python `Act`.
fn act_of(act: &Bound<'_, PyAny>) -> PyResult<Act> {
    let what: String = act.getattr("what")?.extract()?;
    let samples: Vec<(u64, Option<String>)> = act.getattr("samples")?.extract()?;
    Ok(Act {
        step: act.getattr("step")?.extract()?,
        what: Deed::named(&what).ok_or_else(|| PyValueError::new_err(format!("no act `{what}`")))?,
        why: act.getattr("why")?.extract()?,
        samples: samples.into_iter().map(|(index, name)| Sample { index, name }).collect(),
        to: act.getattr("to")?.extract()?,
        factor: act.getattr("factor")?.extract()?,
        file: act.getattr("file")?.extract()?,
    })
}

/// A tensor as the hooks hand it over.
struct Handed(Tensor);

impl<'a, 'py> FromPyObject<'a, 'py> for Handed {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        // What the processor cannot read comes with address and strides of a copy.
        type Plain = (u64, usize, String, Vec<usize>, Vec<usize>);
        type Copied = (u64, usize, String, Vec<usize>, Vec<usize>, usize, Vec<usize>);
        let has_copy = object.len()? > 5;
        let (storage, pointer, dtype, shape, strides, memory) = if has_copy {
            let (storage, pointer, dtype, shape, strides, copy, copy_strides): Copied = object.extract()?;
            (storage, pointer, dtype, shape, strides, Some((copy, copy_strides)))
        } else {
            let (storage, pointer, dtype, shape, strides): Plain = object.extract()?;
            (storage, pointer, dtype, shape, strides, None)
        };
        // SAFETY: the hooks tell shape, strides and address of a tensor, or of a copy in the processor's memory, that
        // they hold on to until the call returns; for what has no memory they give 0.
        Ok(Self(unsafe { Tensor::new(storage, pointer, Dtype::named(&dtype), shape, strides, memory) }))
    }
}

/// The types of elements that have NaN, by the numbers that the hooks have for them.
fn dtype_of(number: u8) -> Dtype {
    [Dtype::Float32, Dtype::Float64, Dtype::Float16, Dtype::BFloat16]
        .get(usize::from(number))
        .copied()
        .unwrap_or(Dtype::Other)
}

fn tensors(handed: Vec<(u32, Handed)>) -> Vec<(u32, Tensor)> {
    handed.into_iter().map(|(slot, Handed(tensor))| (slot, tensor)).collect()
}

/// An argument of an operation: a tensor's tuple, a number, or lists of either; anything else counts as nothing.
fn argument(object: &Bound<'_, PyAny>) -> PyResult<Arg> {
    if object.is_none() || object.is_instance_of::<PyString>() {
        return Ok(Arg::Nothing);
    }
    if object.is_instance_of::<PyTuple>() {
        return Ok(Arg::Tensor(object.extract::<Handed>()?.0));
    }
    if object.is_instance_of::<PyBool>() {
        return Ok(Arg::Number(f64::from(u8::from(object.extract::<bool>()?))));
    }
    if object.is_instance_of::<PyFloat>() || object.is_instance_of::<PyInt>() {
        // An integer beyond 64 bits is a mask or a seed, and no scalar of an operation.
        return Ok(object.extract::<f64>().map_or(Arg::Nothing, Arg::Number));
    }
    let Ok(list) = object.cast::<PyList>() else { return Ok(Arg::Nothing) };
    let holds_tensors = list.iter().any(|item| item.is_instance_of::<PyTuple>());
    if holds_tensors {
        let items = list.iter().map(|item| item.extract::<Option<Handed>>());
        let items: PyResult<Vec<Option<Tensor>>> =
            items.map(|item| Ok(item?.map(|Handed(tensor)| tensor))).collect();
        return Ok(Arg::Tensors(items?));
    }
    Ok(list.extract::<Vec<f64>>().map_or(Arg::Nothing, Arg::Numbers))
}

/// Follows one training for denan.
#[pyclass(frozen)]
struct Watch {
    watch: Mutex<watch::Watch>,
    /// What was told, where no other process listens.
    watching: denan::Watching,
}

impl Watch {
    /// Hooks may run in several threads; a panic in one is no reason for the next to fail.
    fn lock(&self) -> MutexGuard<'_, watch::Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Watch {
    /// A watch that follows a plan; `engine` as in `torch 2.15.0`, `rank` number and count of processes that train
    /// together, where there are several.
    #[new]
    fn new(plan: &str, engine: &str, rank: Option<(u32, u32)>) -> PyResult<Self> {
        let rank = rank.map(|(number, of)| Rank { number, of });
        let plan: Plan = Plan::parse(plan).map_err(|error| PyValueError::new_err(error.to_string()))?;
        let (watching, teller) = match plan.socket.as_deref() {
            Some(socket) => (denan::Watching::default(), Teller::connect(socket)),
            None => denan::Watching::begin(),
        };
        Ok(Self { watch: Mutex::new(watch::Watch::new(plan, engine, rank, teller)), watching })
    }

    /// Number of a line of the program.
    fn place(&self, file: String, line: u32, column: u32, function: Option<String>) -> u32 {
        self.lock().place(Place { file, line, column, function })
    }

    /// Slot of a parameter that is new to the watch.
    fn parameter(
        &self,
        name: Option<String>,
        shape: Vec<usize>,
        dtype: &str,
        initial: Option<Handed>,
    ) -> u32 {
        self.lock().parameter(name, &shape, dtype, initial.as_ref().map(|Handed(tensor)| tensor))
    }

    /// The program's name of a parameter has become known.
    fn name_parameter(&self, slot: u32, name: &str) {
        self.lock().name_parameter(slot, name);
    }

    /// The optimizer that updates the parameters.
    fn optimizer(&self, name: &str, place: Option<u32>) {
        self.lock().optimizer(name, place);
    }

    /// Whether a step is to be looked at closely: the one under way, or `ahead` of it.
    fn wants_look(&self, ahead: u64) -> bool {
        self.lock().wants_look(ahead)
    }

    /// The next operations are those of a step that is looked at closely.
    fn begin_look(&self) {
        self.lock().begin_look();
    }

    /// The next operations are those of the step after this one, whose backward pass is over.
    fn begin_look_ahead(&self) {
        self.lock().begin_look_ahead();
    }

    /// The memory of a parameter.
    fn know_parameter(&self, storage: u64, pointer: usize, slot: u32) {
        self.lock().know(storage, pointer, Known::Parameter(slot));
    }

    /// The memory of a buffer of the network.
    fn know_buffer(&self, storage: u64, pointer: usize, name: &str) {
        self.lock().know(storage, pointer, Known::Buffer(name.into()));
    }

    /// The memory of the optimizer's state.
    fn know_state(&self, storage: u64, pointer: usize) {
        self.lock().know(storage, pointer, Known::State);
    }

    /// The memory of a tensor of a batch, the line at which it came, and the samples of the batch.
    fn know_batch(
        &self,
        storage: u64,
        pointer: usize,
        place: Option<u32>,
        samples: Vec<(u64, Option<String>)>,
    ) {
        let samples = samples.into_iter().map(|(index, name)| Sample { index, name }).collect();
        self.lock().know(storage, pointer, Known::Batch(place, samples));
    }

    /// Kernel and stride of a pooling of the network.
    fn pooling(&self, op: &str, kernel: Vec<u64>, stride: Vec<u64>, place: Option<u32>) {
        self.lock().pooling(op, kernel, stride, place);
    }

    /// An operation of the step that is looked at.
    #[allow(
        clippy::too_many_arguments,
        reason = "one call for each operation of a step; a class would cost more"
    )]
    fn operation(
        &self,
        op: &str,
        call: Option<&str>,
        phase: &str,
        place: Option<u32>,
        forward_place: Option<u32>,
        module: Option<&str>,
        arguments: &Bound<'_, PyList>,
        value: Option<f64>,
        outputs: Vec<Handed>,
        written: usize,
    ) -> PyResult<()> {
        let args = arguments.iter().map(|item| argument(&item)).collect::<PyResult<Vec<Arg>>>()?;
        let outputs: Vec<Tensor> = outputs.into_iter().map(|Handed(tensor)| tensor).collect();
        self.lock().operation(&Seen {
            op,
            call,
            phase: watch::phase_named(phase),
            place,
            forward_place,
            module,
            args: &args,
            value,
            outputs: &outputs,
            written,
        });
        Ok(())
    }

    /// The samples of a batch that the program got: indices, and names where they are known.
    fn batch(&self, samples: Vec<(u64, Option<String>)>) {
        self.lock().batch(samples.into_iter().map(|(index, name)| Sample { index, name }).collect());
    }

    /// A tensor of a batch, as it came from the loader.
    fn entered(&self, place: Option<u32>, tensor: Handed) {
        self.lock().entered(place, &tensor.0);
    }

    /// The backward pass begins at this loss.
    fn loss(&self, py: Python<'_>, loss: Handed) {
        py.detach(|| self.lock().loss(&loss.0));
    }

    /// As `loss`, for a number at an address. `False`, and nothing is taken in, if it is not finite.
    fn plain_loss(&self, pointer: usize, dtype: &str) -> bool {
        // SAFETY: the hooks hold on to the loss, a tensor of this type without dimensions, until the call returns.
        let loss = unsafe { Tensor::new(0, pointer, Dtype::named(dtype), Vec::new(), Vec::new(), None) };
        let is_finite = loss.dtype.is_float() && loss.range().nonfinite() == 0;
        if is_finite {
            self.lock().loss(&loss);
        }
        is_finite
    }

    /// The network has made this of a batch in evaluation mode, of these samples and before a step.
    fn evaluated(&self, output: Handed, samples: Vec<(u64, Option<String>)>, step: Option<u64>) {
        let samples = samples.into_iter().map(|(index, name)| Sample { index, name }).collect();
        self.lock().evaluated(&output.0, samples, step);
    }

    /// Number of the optimizer step under way.
    fn step_number(&self) -> u64 {
        self.lock().step_number()
    }

    /// The graph of the loss tells that this operation made its first bad value, out of tensors that are known in part.
    fn examined(&self, op: &str, read: Vec<Handed>, made: Vec<Handed>) {
        let tensors =
            |handed: Vec<Handed>| handed.into_iter().map(|Handed(tensor)| tensor).collect::<Vec<Tensor>>();
        self.lock().examined(op, &tensors(read), &tensors(made));
    }

    /// The backward pass begins at a loss that a device is still at work on.
    fn loss_later(&self) {
        self.lock().loss_later();
    }

    /// The first of the losses that were to come is there.
    fn late_loss(&self, loss: Handed) {
        self.lock().late_loss(&loss.0);
    }

    /// An optimizer is about to update its parameters, whose figures come later.
    fn begin_late_update(&self, optimizer: u32, rate: Option<f64>, carries: Option<bool>) {
        self.lock().begin_late_update(optimizer, rate, carries);
    }

    /// Figures of the step under way will come.
    fn figures_later(&self) {
        self.lock().figures_later();
    }

    /// The first of the figures that were to come are there: largest magnitudes, and behind them Euclidean norms.
    fn late_figures(&self, of_gradients: bool, slots: Vec<u32>, figures: Handed) {
        self.lock().late_figures(of_gradients, &slots, &figures.0);
    }

    /// Positions of tensors that have an element which is not finite: first of those that lie in one piece, told by
    /// address, number of elements and type, then, counted on, of the others.
    #[staticmethod]
    fn bad_among(py: Python<'_>, at: Vec<(usize, usize, u8)>, others: Vec<Handed>) -> Vec<usize> {
        py.detach(|| {
            let plain = at.into_iter().map(|(pointer, count, dtype)| {
                // SAFETY: the hooks hold on to the tensors until the call returns, and have checked that each lies in
                // one piece with so many elements of that type.
                unsafe { Tensor::new(0, pointer, dtype_of(dtype), vec![count], vec![1], None) }
            });
            let tensors: Vec<Tensor> = plain.chain(others.into_iter().map(|Handed(tensor)| tensor)).collect();
            bad_among(tensors.iter())
        })
    }

    /// Elements of a tensor, and how many of them are NaN, positive infinity, negative infinity and 0.
    #[staticmethod]
    fn counts(tensor: Handed) -> (u64, u64, u64, u64, u64) {
        let range = tensor.0.range();
        (range.count, range.nan, range.pos_inf, range.neg_inf, range.zeros)
    }

    /// Whether a guard keeps the training alive from now on.
    fn is_guarded(&self, is_guarded: bool) {
        self.lock().is_guarded(is_guarded);
    }

    /// A guard did something; `found` is what it found: `"loss"`, `"gradient"` or `"value"`, the slot of the parameter,
    /// and the tensor.
    fn acted(&self, act: Bound<'_, PyAny>, found: Option<(String, u32, Handed)>) -> PyResult<()> {
        let act = act_of(&act)?;
        let found = found.map(|(kind, slot, Handed(tensor))| match kind.as_str() {
            "loss" => Found::Loss(tensor),
            "gradient" => Found::Gradient(slot, tensor),
            _ => Found::Value(slot, tensor),
        });
        self.lock().acted(act, found.as_ref());
        Ok(())
    }

    /// Whether a tensor has an element that is not finite.
    #[staticmethod]
    fn any_bad(tensor: Handed) -> bool {
        tensor.0.range().nonfinite() > 0
    }

    /// Whether a tensor has an element other than 0.
    #[staticmethod]
    fn any_nonzero(tensor: Handed) -> bool {
        tensor.0.range().zeros < tensor.0.count() as u64
    }

    /// An optimizer has updated parameters that are not gone through; slots and addresses of a few gradients that lie in
    /// one piece.
    fn probe(&self, py: Python<'_>, optimizer: u32, at: Vec<(u32, usize)>, rate: Option<f64>) {
        py.detach(|| {
            let mut watch = self.lock();
            let gradients = at.iter().filter_map(|&(slot, pointer)| {
                // SAFETY: as in `before_update_at`.
                Some((slot, unsafe { watch.tensor_of(slot, pointer) }?))
            });
            let gradients: Vec<(u32, Tensor)> = gradients.collect();
            watch.probe(optimizer, &gradients, rate);
        });
    }

    /// An optimizer is about to update these parameters with these gradients.
    fn before_update(
        &self,
        py: Python<'_>,
        optimizer: u32,
        values: Vec<(u32, Handed)>,
        gradients: Vec<(u32, Handed)>,
        rate: Option<f64>,
        carries: Option<bool>,
    ) {
        let (values, gradients) = (tensors(values), tensors(gradients));
        py.detach(|| self.lock().before_update(optimizer, &values, &gradients, rate, carries));
    }

    /// As `before_update`, for parameters and gradients that lie in one piece and are no copies: slot, address of the
    /// value, address of the gradient.
    fn before_update_at(
        &self,
        py: Python<'_>,
        optimizer: u32,
        at: Vec<(u32, usize, usize)>,
        rate: Option<f64>,
        carries: Option<bool>,
    ) {
        py.detach(|| {
            let mut watch = self.lock();
            let of = |pick: fn(&(u32, usize, usize)) -> usize| -> Vec<(u32, Tensor)> {
                let tensor = |entry: &(u32, usize, usize)| {
                    // SAFETY: the hooks hold on to parameters and gradients until the call returns, and have checked
                    // that both have the parameter's shape and type and lie in one piece.
                    let tensor = unsafe { watch.tensor_of(entry.0, pick(entry)) };
                    Some((entry.0, tensor?))
                };
                at.iter().filter_map(tensor).collect()
            };
            let (values, gradients) = (of(|entry| entry.1), of(|entry| entry.2));
            watch.before_update(optimizer, &values, &gradients, rate, carries);
        });
    }

    /// As `after_update`, for parameters that lie in one piece and are no copies: slot and address.
    fn after_update_at(&self, py: Python<'_>, at: Vec<(u32, usize)>) {
        py.detach(|| {
            let mut watch = self.lock();
            let tensor = |&(slot, pointer): &(u32, usize)| {
                // SAFETY: as in `before_update_at`.
                let tensor = unsafe { watch.tensor_of(slot, pointer) };
                Some((slot, tensor?))
            };
            let values: Vec<(u32, Tensor)> = at.iter().filter_map(tensor).collect();
            watch.after_update(&values);
        });
    }

    /// The optimizer has updated these parameters.
    fn after_update(&self, py: Python<'_>, values: Vec<(u32, Handed)>) {
        let values = tensors(values);
        py.detach(|| self.lock().after_update(&values));
    }

    /// These are the parameters of a training without an optimizer. Whether they have been updated.
    fn after_update_by_hand(&self, py: Python<'_>, values: Vec<(u32, Handed)>) -> bool {
        let values = tensors(values);
        py.detach(|| self.lock().after_update_by_hand(&values))
    }

    /// A step that the program means to end although its optimizer was skipped.
    fn skipped(&self) {
        self.lock().skipped();
    }

    /// These are the parameters as the training ends.
    fn last_values(&self, py: Python<'_>, values: Vec<(u32, Handed)>) {
        let values = tensors(values);
        py.detach(|| self.lock().last_values(&values));
    }

    /// Whether the training itself has broken, as far as that has been noticed.
    fn has_broken(&self) -> bool {
        self.lock().has_broken()
    }

    /// Whether the parameters have changed since they were gone through.
    fn has_unseen_values(&self) -> bool {
        self.lock().has_unseen_values()
    }

    /// The step under way is over; the hooks took so many seconds of it. What the next one is: `"full"` if its
    /// gradients and values are all to be handed over, `"light"` if a few gradients are, `"end"` if there is none.
    fn end_step(&self, seconds: f64) -> &'static str {
        let mut watch = self.lock();
        watch.watched_for(Duration::from_secs_f64(seconds.max(0.0)));
        match watch.end_step() {
            Next::Full => "full",
            Next::Light => "light",
            Next::End => "end",
        }
    }

    /// Samples were gone through forward and loss only: their number, the bad ones with their losses, groups that are bad
    /// only together, and why it ended early.
    fn screened(
        &self,
        samples: u64,
        bad: Vec<(u64, Option<String>, f64)>,
        together: Vec<Vec<(u64, Option<String>)>>,
        gave_up: Option<String>,
    ) {
        let sample = |(index, name): (u64, Option<String>)| Sample { index, name };
        let bad = bad.into_iter().map(|(index, name, loss)| (Sample { index, name }, loss)).collect();
        let together = together.into_iter().map(|group| group.into_iter().map(sample).collect()).collect();
        self.lock().screened(Screened { samples, bad, together, gave_up });
    }

    /// The intervention of the plan has changed something for the first time.
    fn intervened(&self) {
        self.lock().intervened();
    }

    /// Something that a user should know of the watching.
    fn note(&self, text: &str) {
        self.lock().note(text);
    }

    /// The result so far as text.
    fn text(&self, py: Python<'_>) -> String {
        py.detach(|| self.watching.text())
    }

    /// The result so far as a document `denan/run/v1`.
    fn json(&self, py: Python<'_>) -> String {
        py.detach(|| self.watching.json())
    }

    /// The training ends.
    fn finish(&self, py: Python<'_>) {
        py.detach(|| self.lock().finish());
    }
}

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_function(wrap_pyfunction!(main, module)?)?;
    module.add_function(wrap_pyfunction!(act_in_words, module)?)?;
    module.add_class::<Watch>()
}

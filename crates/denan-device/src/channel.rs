//! The router's plumbing: one client, one set of tensors, one lock.
//!
//! The lock is held to look tensors up and to watch, never while an operation is carried out that is shared
//! out: flex computes those on rayon's threads, and a thread that waits for them may pick up a piece of the
//! program that calls a tensor operation itself. For the same reason nothing that is done under the lock may
//! use rayon.

use crate::operands::Operands;
use crate::watch::Watch;
use burn_backend::backend::ExecutionError;
use burn_backend::{Backend, DType, DTypeUsageSet, Shape, TensorData};
use burn_ir::{GraphBindings, GraphId, HandleKind, OperationIr, TensorId, TensorIr, TensorStatus};
use burn_router::{MultiBackendBridge, RouterChannel, RouterClient, RouterTensor, TensorInterpreter};
use burn_std::future::DynFut;
use denan_record::model::Ending;
use real_flex::{Flex as RealFlex, FlexDevice};
use smallvec::SmallVec;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::Duration;

/// Tensors by id, and what carries operations on them out.
pub type Engine = TensorInterpreter<RealFlex>;

/// What lies behind the lock: the tensors, and the watch if this process has a plan.
struct Behind {
    engine: Engine,
    watch: Option<Watch>,
}

impl Behind {
    /// Has the watch do something. If it fails, it says so once and lets go of the training, which runs on.
    fn watching<T>(&mut self, work: impl FnOnce(&mut Watch, &mut Engine) -> T) -> Option<T> {
        let Self { engine, watch } = self;
        let watched = watch.as_mut()?;
        let done = catch_unwind(AssertUnwindSafe(|| work(watched, engine)));
        if done.is_err() {
            eprintln!(
                "denan: watching failed (above), which is a mistake in denan {}: please report it. The \
                 training runs on unwatched.",
                env!("CARGO_PKG_VERSION")
            );
            if let Some(mut watch) = watch.take() {
                watch.let_go();
            }
        }
        done.ok()
    }
}

/// Everything has been told; the process may end without the lock.
pub(crate) static IS_FINISHED: AtomicBool = AtomicBool::new(false);

static BEHIND: OnceLock<Mutex<Behind>> = OnceLock::new();

fn behind() -> MutexGuard<'static, Behind> {
    BEHIND
        .get_or_init(|| {
            Mutex::new(Behind { engine: Engine::new(FlexDevice), watch: Watch::from_environment() })
        })
        .lock()
        // A panic inside an operation (shapes that do not fit) is the program's own; it may catch it and go on.
        .unwrap_or_else(PoisonError::into_inner)
}

/// Tensor ids are ours from end to end, so that ids from the program and from interventions never meet.
pub(crate) fn fresh_id() -> TensorId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    TensorId::new(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// An engine of this thread's own, with the tensors that an operation reads, while that is carried out
/// without the lock.
struct Loan {
    engine: Box<Engine>,
    /// Tensors that it reads and others will read after it.
    shared: SmallVec<[TensorIr; 3]>,
}

impl Loan {
    fn take(from: &mut Engine, op: &OperationIr) -> Self {
        // An engine that is left over from this thread's last operation, unless that one is still under way.
        let left_over = IDLE_ENGINE.try_with(Cell::take).ok().flatten();
        let mut engine = left_over.unwrap_or_else(|| Box::new(Engine::new(FlexDevice)));
        let mut shared = SmallVec::new();
        let inputs = Operands::of(op).inputs;
        for (position, &tensor) in inputs.iter().enumerate() {
            if inputs[..position].iter().any(|earlier| earlier.id == tensor.id) {
                continue;
            }
            // One that nobody reads afterwards is handed over whole, so that it may be written in place.
            let is_last_use =
                |other: &&&TensorIr| other.id == tensor.id && other.status == TensorStatus::ReadWrite;
            let last_use = inputs.iter().find(is_last_use);
            engine.register_tensor_to_device(tensor.id, from.get_tensor_handle(last_use.unwrap_or(&tensor)));
            if last_use.is_none() {
                shared.push(tensor.clone());
            }
        }
        Self { engine, shared }
    }

    /// What the operation made.
    fn carry_out(mut self, op: OperationIr) -> SmallVec<[(TensorId, HandleKind<RealFlex>); 1]> {
        let take = |engine: &mut Engine, mut tensor: TensorIr| {
            tensor.status = TensorStatus::ReadWrite;
            (tensor.id, engine.get_tensor_handle(&tensor))
        };
        let outputs: SmallVec<[TensorIr; 1]> = Operands::of(&op).outputs.into_iter().cloned().collect();
        self.engine.register_op(op);
        let made = outputs.into_iter().map(|tensor| take(&mut self.engine, tensor)).collect();
        for tensor in self.shared {
            take(&mut self.engine, tensor);
        }
        // At the end of a thread its idle engine may be gone already.
        let _ = IDLE_ENGINE.try_with(|idle| idle.set(Some(self.engine)));
        made
    }
}

/// Elements of a tensor up to which flex computes on the calling thread alone, in the operations below. Its
/// lowest threshold for rayon there is 32 * 1024 (burn-flex 0.22.1, `ops/reduce.rs`); with as few elements as
/// this on all sides a matrix product stays below its 128^3 multiplications too.
const QUICK_ELEMENTS: usize = 4096;

/// Whether an operation may be carried out under the lock, which saves the loan: it must not use rayon.
fn is_quick(op: &OperationIr) -> bool {
    // Modules and activations share out even a single row.
    let is_plain = matches!(
        op,
        OperationIr::BaseFloat(_)
            | OperationIr::BaseInt(_)
            | OperationIr::BaseBool(_)
            | OperationIr::NumericFloat(..)
            | OperationIr::NumericInt(..)
            | OperationIr::Float(..)
            | OperationIr::Int(_)
            | OperationIr::Bool(_)
    );
    is_plain && Operands::of(op).most_elements() <= QUICK_ELEMENTS
}

thread_local! {
    static IDLE_ENGINE: Cell<Option<Box<Engine>>> = const { Cell::new(None) };
}

/// Sends operations to the engine of this process.
#[derive(Clone, Debug)]
pub struct WatchChannel;

/// Handle to the engine of this process; carries nothing.
#[derive(Clone, Debug)]
pub struct WatchClient;

/// Tensors never leave this device, so there is nothing to bridge.
#[derive(Clone, Debug)]
pub struct NoBridge;

impl MultiBackendBridge for NoBridge {
    type TensorHandle = HandleKind<RealFlex>;
    type Device = FlexDevice;

    fn change_backend_float(tensor: Self::TensorHandle, _: Shape, _: &FlexDevice) -> Self::TensorHandle {
        tensor
    }

    fn change_backend_int(tensor: Self::TensorHandle, _: Shape, _: &FlexDevice) -> Self::TensorHandle {
        tensor
    }

    fn change_backend_bool(tensor: Self::TensorHandle, _: Shape, _: &FlexDevice) -> Self::TensorHandle {
        tensor
    }
}

impl RouterChannel for WatchChannel {
    type Device = FlexDevice;
    type Bridge = NoBridge;
    type Client = WatchClient;

    fn name(device: &FlexDevice) -> String {
        RealFlex::name(device)
    }

    fn init_client(_device: &FlexDevice) -> WatchClient {
        WatchClient
    }

    fn get_tensor_handle(tensor: &TensorIr, _client: &WatchClient) -> HandleKind<RealFlex> {
        behind().engine.get_tensor_handle(tensor)
    }

    fn register_tensor(
        client: &WatchClient,
        handle: HandleKind<RealFlex>,
        shape: Shape,
        dtype: DType,
    ) -> RouterTensor<WatchClient> {
        let id = fresh_id();
        behind().engine.register_tensor_to_device(id, handle);
        RouterTensor::new(id, shape, dtype, client.clone())
    }
}

impl RouterClient for WatchClient {
    type Device = FlexDevice;

    fn register_op(&self, op: OperationIr) {
        let mut locked = behind();
        if let OperationIr::Drop(tensor) = &op {
            locked.watching(|watch, _| watch.dropped(tensor.id));
            return locked.engine.register_op(op);
        }
        // Written in place, since both are large.
        let (mut changed, mut under_way) = (None, None);
        locked.watching(|watch, engine| under_way = Some(watch.before(engine, &op, &mut changed)));
        let op = changed.map_or(op, |changed: Box<OperationIr>| *changed);
        if matches!(op, OperationIr::Init(_)) || is_quick(&op) {
            // The tensor has its elements already, or will have them before the lock could be given back.
            locked.engine.register_op(op);
        } else {
            let loan = Loan::take(&mut locked.engine, &op);
            drop(locked);
            let returned = loan.carry_out(op);
            locked = behind();
            for (id, handle) in returned {
                locked.engine.register_tensor_to_device(id, handle);
            }
        }
        if let Some(under_way) = under_way {
            locked.watching(|watch, engine| watch.after(engine, under_way));
        }
    }

    fn read_tensor_async(&self, tensor: TensorIr) -> DynFut<Result<TensorData, ExecutionError>> {
        let mut locked = behind();
        let converted = locked.watching(|watch, engine| {
            let converted = watch.as_read(engine, &tensor);
            watch.is_read(&tensor);
            converted
        });
        if let Some(converted) = converted.flatten() {
            let id = fresh_id();
            locked.engine.register_tensor_to_device(id, HandleKind::Float(converted));
            if tensor.status == TensorStatus::ReadWrite {
                locked.engine.register_op(OperationIr::Drop(tensor.clone()));
            }
            let converted = TensorIr { id, status: TensorStatus::ReadWrite, ..tensor };
            return locked.engine.read_tensor_async(converted);
        }
        // What takes time happens when the future is polled, after the lock.
        locked.engine.read_tensor_async(tensor)
    }

    fn sync(&self) -> Result<(), ExecutionError> {
        behind().engine.sync()
    }

    fn flush(&self) {}

    fn create_empty_handle(&self) -> TensorId {
        fresh_id()
    }

    fn register_tensor_data(&self, data: TensorData) -> RouterTensor<Self> {
        let id = fresh_id();
        let (shape, dtype) = (data.shape().clone(), data.dtype());
        let mut locked = behind();
        locked.watching(|watch, _| watch.data(&data));
        locked.engine.register_tensor_data_id(id, data);
        RouterTensor::new(id, shape, dtype, self.clone())
    }

    fn device(&self) -> FlexDevice {
        FlexDevice
    }

    fn seed(&self, seed: u64) {
        // The watch seeds the engine when it starts; the program's own seed has the last word.
        let _engine = behind();
        RealFlex::seed(&FlexDevice, seed);
    }

    fn dtype_usage(&self, dtype: DType) -> DTypeUsageSet {
        RealFlex::dtype_usage(&FlexDevice, dtype)
    }

    fn register_and_execute_graph(&self, _: GraphId, _: Vec<OperationIr>, _: GraphBindings) {
        unreachable!("graphs come from burn's fusion layer, which flex does not have");
    }

    fn execute_graph(&self, _: GraphId, _: GraphBindings) {
        unreachable!("graphs come from burn's fusion layer, which flex does not have");
    }

    fn register_alias(&self, new_id: TensorId, src_id: TensorId) {
        behind().engine.register_alias(new_id, src_id);
    }
}

/// Tells the last things of a process that is ending. Another thread may be inside an operation
/// for good, so the lock is only tried for.
pub(crate) fn finish_watch() {
    if IS_FINISHED.load(Ordering::Acquire) {
        return;
    }
    for _ in 0..100 {
        match BEHIND.get().map(Mutex::try_lock) {
            None => return,
            Some(Ok(mut behind)) => return finish(&mut behind),
            Some(Err(TryLockError::Poisoned(poisoned))) => return finish(&mut poisoned.into_inner()),
            Some(Err(TryLockError::WouldBlock)) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

fn finish(behind: &mut Behind) {
    behind.watching(|watch, engine| {
        watch.last_step(engine);
        watch.finish(Ending::Completed);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use denan_record::plan::Plan;
    use denan_record::tell::Teller;

    #[test]
    fn a_watch_that_fails_lets_go_and_the_training_runs_on() {
        let watch = Watch::new(Plan::default(), Teller::silent());
        let mut behind = Behind { engine: Engine::new(FlexDevice), watch: Some(watch) };
        assert_eq!(behind.watching(|_, _| 7), Some(7));
        assert_eq!(behind.watching(|_, _| -> u32 { panic!("a mistake of denan's") }), None);
        assert!(behind.watch.is_none());
        assert_eq!(behind.watching(|_, _| 7), None);
    }
}

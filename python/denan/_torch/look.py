"""Every operation of a step that is looked at closely.

A function mode tells which call of torch is being made, by its plain name; a dispatch mode below autograd sees the
operations that it is made of, with the tensors that each reads and makes, in the backward pass and the optimizer as
well. An operation of the backward pass belongs to the call whose node of the graph is at work.
"""

import bisect
import functools

import torch
from torch import overrides
from torch.overrides import TorchFunctionMode
from torch.utils import _python_dispatch
from torch.utils._python_dispatch import TorchDispatchMode

from denan._torch import modes
from denan._torch.memory import Storages
from denan._torch.names import call_name, plain_node_name

# Calls that are made of operations worth a name of their own.
COMPOSED = {"multi_head_attention_forward", "apply", "checkpoint"}
# Operations that say nothing of values.
IGNORED = {"profiler", "prims"}
# Operations between ranks.
COLLECTIVES = "_c10d_functional"
# What a tensor has in the place of a dispatch of its own.
PLAIN = torch._C._disabled_torch_dispatch_impl


class Look:
    """Looks at the steps that the plan asks for."""

    def __init__(self, watcher):
        self.watcher = watcher
        self.core = watcher.core
        self.places = watcher.places
        self.storages = Storages()
        self.is_active = False
        self.is_paused = False
        self.phase = "forward"
        self.optimizer = None
        self.call = None
        self.modes = None
        self.backward_place = None
        # Of the calls so far: sequence number of the last node of the graph that each made, and what it was.
        self.last_nodes = []
        self.calls = []
        # Collectives that have not been waited for, by the memory that they write.
        self.under_way = {}

    # Steps

    def begin_step(self, *, is_ahead=False):
        """The operations that follow are those of the step under way, or of the one after it."""
        self.storages.forget_dead()
        if is_ahead:
            self.core.begin_look_ahead()
        else:
            self.core.begin_look()
        was_active, self.is_active = self.is_active, True
        self.last_nodes, self.calls = [], []
        self.under_way.clear()
        self.phase = "forward"
        self.know_all()
        if not was_active:
            self.modes = (_Calls(self), _Operations(self))
            self.modes[0].__enter__()
            self.modes[1].__enter__()

    def know_all(self):
        """Says what the memory of parameters, buffers and the optimizer's state is."""
        watcher = self.watcher
        for parameter, slot in watcher.slots.values():
            self.know(parameter, self.core.know_parameter, slot)
        for optimizer in watcher.optimizers:
            for parameter, state in optimizer.state.items():
                for value in state.values() if isinstance(state, dict) else ():
                    if isinstance(value, torch.Tensor):
                        self.know(value, self.core.know_state)
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    if id(parameter) not in watcher.slots:
                        self.know(parameter, self.core.know_parameter, watcher.slot_of(parameter))
        for batch in watcher.recent:
            for tensor, place, samples in batch:
                self.is_batch(tensor, place, samples)
        self.with_buffers = set()
        for root in watcher.networks.roots:
            self.know_buffers(root)

    def know_buffers(self, root):
        """The buffers of a network that is being called."""
        if self.is_active and id(root) not in self.with_buffers:
            self.with_buffers.add(id(root))
            for name, buffer in root.named_buffers():
                self.know(buffer, self.core.know_buffer, name)

    def know(self, tensor, tell, *what):
        try:
            tell(self.storages.number(tensor), tensor.data_ptr(), *what)
        except (RuntimeError, NotImplementedError):
            # It has no storage: a placeholder.
            pass

    def leave(self):
        if not self.is_active:
            return
        self.is_active = False
        calls, operations = self.modes
        modes.leave(operations, _python_dispatch)
        modes.leave(calls, overrides)

    def is_batch(self, tensor, place, samples):
        if self.is_active:
            self.know(tensor, self.core.know_batch, place, samples)

    # Parts of a step

    def begin_backward(self):
        self.phase = "backward"
        self.backward_place = self.places.here()

    def end_backward(self):
        self.phase = "forward"

    def begin_update(self, optimizer):
        self.phase = "optimizer"
        self.optimizer = type(optimizer).__name__

    def end_update(self):
        self.phase = "forward"
        self.optimizer = None

    # Operations

    def made_nodes(self, call, place, module, result):
        """Notes which nodes of the graph a call has made: those up to the last one of its results."""
        last = -1
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            node = getattr(tensor, "grad_fn", None)
            if node is not None:
                try:
                    last = max(last, node._sequence_nr())
                except (AttributeError, RuntimeError):
                    pass
        if last >= 0 and (not self.last_nodes or last > self.last_nodes[-1]):
            self.last_nodes.append(last)
            self.calls.append((call, place, module))

    def forward_call(self, node):
        """The call of the forward pass to which a node of the graph belongs."""
        number = node._sequence_nr()
        at = bisect.bisect_left(self.last_nodes, number)
        call, place, module = self.calls[at] if at < len(self.calls) else (None, None, None)
        name = plain_node_name(node.name())
        if name == "AccumulateGrad":
            return "accumulate_grad", None, None
        return call or name, place, module

    def operation(self, function, args, kwargs, result):
        namespace, _, name = function.name().partition("::")
        if namespace in IGNORED:
            return
        name = name.split(".")[0]
        if namespace == COLLECTIVES and isinstance(result, torch.Tensor):
            if name != "wait_tensor":
                # Its memory is nobody's to read before it has been waited for.
                self.under_way[result.data_ptr()] = (name, args)
                return
            name, args = self.under_way.pop(result.data_ptr(), (name, args))
        keep = []
        written = [args[at] for at in writes(function) if at < len(args)]
        if isinstance(result, torch.Tensor):
            made = [result]
        elif isinstance(result, (tuple, list)):
            made = [one for one in result if isinstance(one, torch.Tensor)]
        else:
            made = []
        made = [one for one in made if type(one).__torch_dispatch__ is PLAIN]
        own = {id(one) for one in made}
        side = []
        for one in written:
            for tensor in one if isinstance(one, (tuple, list)) else (one,):
                if isinstance(tensor, torch.Tensor) and id(tensor) not in own:
                    side.append(tensor)
        if not made and name.startswith("_foreach_"):
            made, side = side[: len(args[0])], []
        if not made and not side:
            return
        place, forward_place, module, call, phase = None, None, None, self.call, self.phase
        node = torch._C._current_autograd_node()
        if node is not None:
            phase = "backward"
            place = self.backward_place
            call, forward_place, module = self.forward_call(node)
        else:
            place = self.places.here()
            module = self.watcher.networks.module_now()
            if phase == "optimizer":
                call = self.optimizer
        handed = self.storages.handed
        arguments = [self.argument(one, keep) for one in args]
        value = kwargs.get("value")
        self.core.operation(
            name,
            call,
            phase,
            place,
            forward_place,
            module,
            arguments,
            float(value) if isinstance(value, (int, float)) else None,
            [handed(tensor, keep) for tensor in made + side],
            len(side),
        )

    def argument(self, one, keep):
        if isinstance(one, torch.Tensor):
            return self.storages.handed(one, keep)
        if isinstance(one, (list, tuple)):
            return [self.argument(item, keep) for item in one]
        return one if isinstance(one, (int, float, bool)) else None


@functools.lru_cache(maxsize=None)
def writes(function):
    """Positions of the arguments that an operation writes to."""
    arguments = function._schema.arguments
    return [at for at, one in enumerate(arguments) if one.alias_info is not None and one.alias_info.is_write]


class _Calls(TorchFunctionMode):
    """Knows the outermost call of torch that is being made."""

    def __init__(self, look):
        super().__init__()
        self.look = look

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        look = self.look
        name = call_name(function)
        if name is None or look.call is not None or look.is_paused:
            return function(*args, **kwargs)
        if name == "backward":
            return function(*args, **kwargs)
        if name in COMPOSED:
            name = None
        look.call = name
        try:
            result = function(*args, **kwargs)
        finally:
            look.call = None
        if look.phase == "forward" and torch.is_grad_enabled():
            look.made_nodes(name, look.places.here(), look.watcher.networks.module_now(), result)
        return result


class _Operations(TorchDispatchMode):
    """Sees each operation below autograd."""

    def __init__(self, look):
        super().__init__()
        self.look = look

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        special = [kind for kind in types if kind.__torch_dispatch__ is not PLAIN]
        if any(hasattr(kind, "__tensor_flatten__") for kind in special):
            # Made of others (a shard, what a collective is at work on): what it does with those is seen instead.
            return NotImplemented
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        look = self.look
        # One that has a dispatch and no others inside is a stand-in without memory.
        if not special and look.is_active and not look.is_paused and not look.watcher.is_over:
            try:
                look.operation(function, args, kwargs, result)
            except Exception as error:
                look.is_paused = True
                look.core.note(f"the close look failed at {function}: {error!r}")
        return result

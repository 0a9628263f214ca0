"""What is told of a training, step by step."""

import collections
import functools
import itertools
import json
import os
import sys
import time
import weakref

import torch

from denan import _core
from denan._torch import late, memory, samples
from denan._torch.places import Places

# Gradients that are read in every step, and the elements that one of them has at most.
PROBES, SMALL = 2, 1024
# Batches by which a loader may be ahead.
AHEAD = 4
# What torch calls the module inside a wrapper of its own.
WRAPPED = ("_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module")
# An update of which nothing has been taken in yet.
NOT_BEGUN = object()


class Watcher:
    """Follows the one training of this process. The hooks call it; it tells the native half."""

    def __init__(self, plan_text, model=None):
        plan = json.loads(plan_text)
        self.plan_text = plan_text
        self.ends_at_once = plan.get("stop-at-step") is not None or plan.get("look-from") is not None
        self.is_over = False
        self.core = None
        self.places = None
        self.look = None
        self.may_look = plan.get("look-from") is not None
        # Parameters by identity, and per optimizer the list of those that it updates.
        self.slots = {}
        # Those of parameters that lie in one piece in the processor's memory.
        self.plain_slots = set()
        self.lists = {}
        self.optimizers = weakref.WeakSet()
        self.optimizer_numbers = weakref.WeakKeyDictionary()
        # Whether all gradients and values of the step are handed over, or a few gradients.
        self.is_full = True
        # Seconds that the hooks have taken of the step.
        self.spent = 0.0
        self.late = None
        self.updates = 0
        self.updates_before = 0
        self.is_pending = False
        self.updating = []
        self.backward_depth = 0
        # Whether each optimizer's gradients have been there at every backward pass since its last step.
        self.carrying = weakref.WeakKeyDictionary()
        self.batches = weakref.WeakKeyDictionary()
        self.unscaled = {}
        # Modules that were called, each once, until the parameters have their names.
        self.called = {id(model): model} if model is not None else {}
        self.module_path = []
        self.module_hooks = []
        self.names_known = False
        self.names = {}
        self.roots = []
        self.root_ids = set()
        self.module_names = {}
        self.is_compiled = False
        # Batches that came since the last backward pass, by the iterator that they came from.
        self.fetched = {}
        # Samples of the batch that came last without gradients: an evaluation's.
        self.evaluating = []
        # Tensors of the last batches, for the close look: a loader may be ahead of the step.
        self.recent = collections.deque(maxlen=AHEAD)

    # The beginning and the end

    def begin(self):
        """Tells that a training has begun: other processes import torch too, and train nothing."""
        if self.core is None:
            engine = f"torch {torch.__version__.split('+')[0]}"
            self.core = _core.Watch(self.plan_text, engine, rank())
            self.places = Places(self.core)
            self.late = late.Late(self.core)
        return self.core

    def finish(self):
        self.is_over = True
        self.forget_modules()
        self.leave_look()
        if self.core is not None:
            self.end_pending_step()
            self.late.tell(all=True)
            self.see_last_values()
            self.core.finish()

    def see_last_values(self):
        """Hands the parameters over as the training ends, if they have not been since their last update."""
        if self.core.has_unseen_values():
            keep = []
            values = [(slot, memory.handed(known.detach(), keep)) for known, slot in self.slots.values()]
            self.core.last_values(values)

    def watch_modules(self):
        """Looks at the modules that are called: the networks, by which parameters have names."""
        from denan._torch.hooks import guarded

        if self.module_hooks:
            return
        module = torch.nn.modules.module
        self.module_hooks = [
            module.register_module_forward_pre_hook(guarded("before_module")),
            module.register_module_forward_hook(guarded("after_module"), always_call=True),
        ]

    def forget_modules(self):
        for hook in self.module_hooks:
            hook.remove()
        self.module_hooks = []
        self.module_path.clear()

    def let_go(self):
        """Ends the watching, not the training."""
        self.is_over = True
        self.core = None
        if self.look is not None:
            self.look.is_paused = True

    def end_step(self):
        """The step is over; the training may be, too."""
        self.is_pending = False
        spent, self.spent = self.spent, 0.0
        following = self.core.end_step(spent)
        self.is_full = following != "light"
        if following == "end" and not self.is_over:
            self.finish()
            sys.stdout.flush()
            sys.stderr.flush()
            if self.ends_at_once:
                # Nobody waits for what a re-run would do at its end.
                os._exit(0)
            raise SystemExit(0)
        if self.may_look and not self.is_over:
            self.enter_look()

    # The close look

    def enter_look(self):
        """Begins to look at each operation, if the step that begins is one to be looked at."""
        if self.begin().wants_look():
            if self.look is None:
                from denan._torch.look import Look

                self.look = Look(self)
            self.look.begin_step()
        else:
            self.leave_look()

    def leave_look(self):
        if self.look is not None:
            self.look.leave()

    def pause_look(self, is_paused):
        if self.look is not None:
            self.look.is_paused = is_paused

    # Modules

    def before_module(self, module, args):
        if not self.names_known:
            self.note_called(module)
        if self.may_look:
            self.end_pending_step()
            if self.core is None or self.look is None:
                self.enter_look()
            if not self.module_path and self.look is not None:
                self.look.know_buffers(module)
            self.module_path.append(module)

    def note_called(self, module):
        """Notes a module that is called, and those in whose methods it is: a network may have a method for a step of its
        training, and never be called itself."""
        self.called[id(module)] = module
        frame = sys._getframe(1)
        while frame is not None:
            owner = frame.f_locals.get("self")
            if owner is not module and issubclass(type(owner), torch.nn.Module):
                if id(owner) in self.called:
                    return
                self.called[id(owner)] = owner
            frame = frame.f_back

    def after_module(self, module, args, output):
        if self.module_path:
            self.module_path.pop()
        if id(module) in self.root_ids and not module.training and not torch.is_grad_enabled():
            self.see_evaluation(output)

    # Evaluation

    def mode_set(self, module):
        """A network is to train or to be evaluated. Its calls are of interest in an evaluation alone."""
        if id(module) not in self.root_ids or self.is_compiled or self.may_look:
            return
        if module.training:
            self.forget_modules()
        else:
            self.watch_modules()

    def see_evaluation(self, output):
        """What a network has made of a batch in evaluation mode."""
        began = time.perf_counter()
        fetched = self.evaluating
        if not fetched:
            fetched = [sample for batches in self.fetched.values() for batch in batches for sample in batch]
            self.fetched.clear()
        self.end_pending_step()
        for tensor in samples.tensors(output):
            if not tensor.is_floating_point():
                continue
            is_looking = self.look is not None and self.look.is_active
            if late.is_late(tensor) and not is_looking:
                self.late.put_output(tensor, fetched)
            else:
                keep = []
                self.core.evaluated(self.figures(tensor.detach(), keep), fetched, None)
        if self.look is not None and self.look.is_active:
            self.look.know_all()
        self.spent += time.perf_counter() - began

    def module_now(self):
        """Path of the innermost module that is being called, as far as it has a name."""
        if not self.module_path:
            return None
        module = self.module_path[-1]
        name = self.module_names.get(id(module))
        if name is None:
            root = self.module_path[0]
            for path, inner in root.named_modules():
                self.module_names.setdefault(id(inner), plain_path(path))
            name = self.module_names.get(id(module), "")
        return name or None

    def learn_names(self):
        """Names of parameters, once the networks have been called."""
        self.names_known = True
        called = list(self.called.values())
        inner = {id(part) for module in called for part in module.modules() if part is not module}
        outer = [module for module in called if id(module) not in inner]
        wrapped = [module for module in outer if next(module.parameters(), None) is not None]
        roots = self.roots = [unwrapped(module) for module in wrapped]
        self.root_ids = {id(root) for root in roots}
        self.called = {}
        variables = variables_of(self.places.frame())
        for outside, root in zip(wrapped, roots):
            prefix = ""
            if len(roots) > 1:
                name = variables.get(id(root)) or variables.get(id(outside)) or type(root).__name__.lower()
                prefix = name + "."
            for name, parameter in root.named_parameters():
                self.names[id(parameter)] = prefix + plain_path(name)
            for path, part in root.named_modules():
                self.module_names[id(part)] = (prefix + plain_path(path)).rstrip(".")
                self.tell_window(part)
        for known, slot in self.slots.values():
            self.name(known, slot, variables)
        if not self.may_look:
            self.forget_modules()

    def tell_window(self, module):
        """Kernel and stride of a pooling, which is seen without a look at any operation."""
        kernel, stride = getattr(module, "kernel_size", None), getattr(module, "stride", None)
        name = type(module).__name__
        if "Pool" not in name or kernel is None or stride is None:
            return
        as_list = lambda sizes: [int(size) for size in (sizes if isinstance(sizes, (tuple, list)) else [sizes])]
        kernel, stride = as_list(kernel), as_list(stride)
        dims = int(name[-2]) if name.endswith("d") and name[-2].isdigit() else len(kernel)
        widen = lambda sizes: sizes * dims if len(sizes) == 1 else sizes
        self.core.pooling(f"{'avg' if 'Avg' in name else 'max'}_pool{dims}d", widen(kernel), widen(stride))

    def name(self, parameter, slot, variables):
        name = self.names.get(id(parameter)) or variables.get(id(parameter))
        if name is not None:
            self.core.name_parameter(slot, name)

    def compiles(self, model):
        """A network is about to be compiled. Its hooks would be compiled with it, so there are none from now on."""
        model = getattr(model, "__self__", model)
        if isinstance(model, torch.nn.Module) and not self.names_known:
            self.called[id(model)] = model
        self.is_compiled = True
        if not self.may_look:
            self.forget_modules()

    # Batches

    def asked(self, iterator, index):
        self.batches.setdefault(iterator, samples.Batches()).ask(index)

    def begin_fetch(self):
        self.pause_look(True)

    def end_fetch(self, iterator, data):
        self.pause_look(False)
        if data is None:
            # At its end: what came of it and never reached a backward pass was an evaluation's.
            self.fetched.pop(iterator, None)
            return
        taken = self.batches.setdefault(iterator, samples.Batches()).take(iterator._dataset, data)
        if not torch.is_grad_enabled():
            self.evaluating = taken
            if self.look is not None:
                self.look_at_batch([(tensor, None, taken) for tensor in samples.tensors(data)])
            return
        began = time.perf_counter()
        core = self.begin()
        self.end_pending_step()
        if self.may_look and self.look is None:
            self.enter_look()
        self.fetched.setdefault(iterator, []).append(taken)
        came = []
        for number, tensor in enumerate(samples.tensors(data) if self.is_full or self.look is not None else ()):
            place = self.places.of_batch(number)
            # Figures of the data are of interest once it is known that something breaks.
            if self.is_full and tensor.is_floating_point():
                keep = []
                core.entered(place, memory.handed(tensor, keep))
            came.append((tensor, place, taken))
        if self.look is not None:
            self.look_at_batch(came)
        self.spent += time.perf_counter() - began

    def look_at_batch(self, came):
        self.recent.append(came)
        for tensor, place, taken in came:
            self.look.is_batch(tensor, place, taken)

    # The backward pass

    def scaled(self, outputs, result):
        if isinstance(outputs, torch.Tensor):
            self.unscaled[id(result)] = (result, outputs)

    def begin_backward(self, tensors):
        """`tensors` are the losses; None where gradients are asked for and nothing is a loss."""
        self.backward_depth += 1
        if self.backward_depth > 1 or tensors is None:
            return
        began = time.perf_counter()
        core = self.begin()
        self.end_pending_step()
        self.evaluating = []
        if self.look is not None:
            self.look.begin_backward()
        if self.is_full:
            self.note_carried()
        if self.fetched:
            for batches in self.fetched.values():
                for batch in batches:
                    core.batch(batch)
            self.fetched.clear()
        is_looking = self.look is not None and self.look.is_active
        self.late.tell(all=is_looking)
        for tensor in [tensors] if isinstance(tensors, torch.Tensor) else tensors:
            loss = self.unscaled[id(tensor)][1] if id(tensor) in self.unscaled else tensor
            if late.is_late(loss) and not is_looking:
                self.late.put(loss)
            else:
                keep = []
                core.loss(self.figures(loss.detach(), keep))
        self.unscaled.clear()
        self.spent += time.perf_counter() - began

    def end_backward(self):
        self.backward_depth = max(0, self.backward_depth - 1)
        if self.backward_depth == 0 and self.look is not None:
            self.look.end_backward()

    def note_carried(self):
        """Notes of each optimizer whether gradients other than 0 are there at the beginning of a backward pass.

        One that finds none since its last step sets them to zero; where all find some, they pile up.
        """
        for optimizer in self.carrying:
            if self.carrying[optimizer] is not False:
                self.carrying[optimizer] = any(
                    is_nonzero(parameter.grad) for _, parameter in self.parameters_of(optimizer)
                )

    # The optimizer

    def optimizer_made(self, optimizer):
        self.optimizers.add(optimizer)
        if self.may_look and self.look is None:
            self.enter_look()

    def parameters_of(self, optimizer):
        """The parameters of an optimizer with their slots."""
        count = sum(len(group["params"]) for group in optimizer.param_groups)
        known = self.lists.get(id(optimizer))
        if known is None or known[0] != count:
            parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            parameters = [(self.slot_of(parameter), parameter) for parameter in parameters]
            # The backward pass comes to the first ones last, with all that went wrong on its way.
            small = (entry for entry in parameters if entry[0] in self.plain_slots and entry[1].numel() <= SMALL)
            known = (count, parameters, list(itertools.islice(small, PROBES)))
            self.lists[id(optimizer)] = known
        return known[1]

    def slot_of(self, parameter):
        entry = self.slots.get(id(parameter))
        if entry is None:
            keep = []
            local = memory.plain(parameter)
            dtype = memory.NAMES.get(local.dtype, "other")
            initial = memory.handed(local.detach(), keep) if self.updates == 0 else None
            entry = (parameter, self.core.parameter(None, tuple(local.shape), dtype, initial))
            self.slots[id(parameter)] = entry
            if local is parameter and memory.is_readable(local) and local.is_contiguous():
                self.plain_slots.add(entry[1])
            if self.names_known:
                self.name(*entry, variables_of(self.places.frame()))
        return entry[1]

    def before_update(self, optimizer, args, kwargs):
        """An optimizer steps. Where a closure makes the gradients, its update begins as that has made them."""
        closure = args[1] if len(args) > 1 else kwargs.get("closure")
        if not callable(closure):
            self.updating.append(self.begin_update(optimizer))
            return None
        at = len(self.updating)
        self.updating.append(NOT_BEGUN)
        closure = self.around(closure, optimizer, at)
        return ((*args[:1], closure, *args[2:]), kwargs) if len(args) > 1 else (args, {**kwargs, "closure": closure})

    def around(self, closure, optimizer, at):
        """A closure, and the update that begins after its first call and goes on after each other one."""
        from denan._torch.hooks import guarded

        pause, go_on = guarded("pause_update"), guarded("go_on_with_update")

        @functools.wraps(closure)
        def watched_closure(*args, **kwargs):
            pause()
            result = closure(*args, **kwargs)
            go_on(optimizer, at)
            return result

        return watched_closure

    def pause_update(self):
        if self.look is not None:
            self.look.end_update()

    def go_on_with_update(self, optimizer, at):
        if at < len(self.updating) and self.updating[at] is NOT_BEGUN:
            self.updating[at] = self.begin_update(optimizer)
        elif self.look is not None:
            self.look.begin_update(optimizer)

    def begin_update(self, optimizer):
        """Takes in what an optimizer is about to use. Its parameters, or None where they are not gone through."""
        if not self.is_full and optimizer in self.optimizer_numbers:
            # The gradients that are read are still there after the update.
            return None
        began = time.perf_counter()
        core = self.begin()
        number = self.optimizer_numbers.get(optimizer)
        if number is None:
            number = self.optimizer_numbers[optimizer] = len(self.optimizer_numbers)
            self.optimizers.add(optimizer)
        parameters = self.parameters_of(optimizer)
        if self.updates == 0:
            core.optimizer(type(optimizer).__name__, self.places.here())
        if not self.names_known:
            self.learn_names()
        carries = self.carrying.get(optimizer)
        at = self.addresses(parameters)
        if at is not None:
            core.before_update_at(number, at, rate_of(optimizer), carries)
        else:
            values, gradients, keep = [], [], []
            for slot, parameter in parameters:
                gradient = parameter.grad
                if gradient is not None:
                    values.append((slot, memory.handed(parameter.detach(), keep)))
                    gradients.append((slot, self.figures(gradient.detach(), keep)))
            core.before_update(number, values, gradients, rate_of(optimizer), carries)
        if self.look is not None:
            self.look.begin_update(optimizer)
        self.spent += time.perf_counter() - began
        return parameters

    def probes(self, optimizer):
        """Slots and addresses of a few gradients that can be read at once."""
        at = []
        few = self.lists[id(optimizer)][2]
        for slot, parameter in few:
            gradient = parameter.grad
            if gradient is not None and gradient.is_contiguous() and not gradient.is_sparse:
                at.append((slot, gradient.data_ptr()))
        return at

    def addresses(self, parameters):
        """Slots and addresses of values and gradients, where all of them can be read as they lie; else None."""
        if self.look is not None and self.look.is_active:
            return None
        at = []
        for slot, parameter in parameters:
            gradient = parameter.grad
            if gradient is None:
                continue
            if slot not in self.plain_slots or not gradient.is_contiguous() or gradient.is_sparse:
                return None
            at.append((slot, parameter.data_ptr(), gradient.data_ptr()))
        return at

    def figures(self, tensor, keep):
        """A tensor by which a break may be noticed: the close look knows it by its storage."""
        if self.look is not None and self.look.is_active:
            return self.look.storages.handed(tensor, keep)
        return memory.handed(tensor, keep)

    def after_update(self, optimizer, args, kwargs):
        began = time.perf_counter()
        parameters = self.updating.pop() if self.updating else NOT_BEGUN
        if parameters is NOT_BEGUN:
            parameters = self.begin_update(optimizer)
        self.updates += 1
        if self.look is not None:
            self.look.end_update()
        if parameters is None:
            self.core.probe(self.optimizer_numbers[optimizer], self.probes(optimizer), rate_of(optimizer))
        else:
            self.see_update(parameters)
            self.carrying[optimizer] = None
        self.spent += time.perf_counter() - began
        # Another optimizer may be about to update its part in the same step.
        self.is_pending = len(self.optimizers) > 1
        if not self.is_pending:
            self.end_step()

    def see_update(self, parameters):
        at = self.addresses(parameters)
        if at is not None:
            self.core.after_update_at([(slot, value) for slot, value, _ in at])
        else:
            keep = []
            values = [
                (slot, self.figures(parameter.detach(), keep))
                for slot, parameter in parameters
                if parameter.grad is not None
            ]
            self.core.after_update(values)

    def end_pending_step(self):
        """The next step begins, which ends the one that several optimizers may have had a part in."""
        if self.is_pending:
            self.end_step()

    def begin_scaled_step(self):
        self.updates_before = self.updates

    def end_scaled_step(self):
        """A loss scaler has stepped; if no optimizer ran, it skipped the step on purpose."""
        if self.updates == self.updates_before and self.core is not None:
            self.core.skipped()
            self.end_step()


def rank():
    """Number and count of the processes that train together, as launchers tell them; None where there is one."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        number, count = torch.distributed.get_rank(), torch.distributed.get_world_size()
        return (number, count) if count > 1 else None
    number, count = os.environ.get("RANK", ""), os.environ.get("WORLD_SIZE", "")
    if not number.isdigit() or not count.isdigit() or int(count) < 2:
        return None
    return int(number), int(count)


def rate_of(optimizer):
    """The learning rate; None where there is none, or one on a device that would have to be waited for."""
    rate = optimizer.param_groups[0].get("lr")
    if isinstance(rate, torch.Tensor):
        return None if late.is_late(rate) else float(rate)
    return rate if rate is None else float(rate)


def is_nonzero(gradient):
    """Whether a gradient is there and has an element other than 0."""
    keep = []
    return gradient is not None and _core.Watch.any_nonzero(memory.handed(gradient, keep))


def unwrapped(module):
    """The user's network in what torch puts around it."""
    while True:
        if isinstance(module, (torch.nn.parallel.DistributedDataParallel, torch.nn.DataParallel)):
            module = module.module
            continue
        inner = next((module._modules[name] for name in WRAPPED if name in module._modules), None)
        if inner is None:
            return module
        module = inner


def plain_path(path):
    """A path without the parts that torch adds where it wraps a module."""
    return ".".join(part for part in path.split(".") if part not in WRAPPED)


def variables_of(frame):
    """Names of the user's variables by the identity of what they hold, attributes of `self` included."""
    names = {}
    while frame is not None:
        holders = dict(frame.f_locals)
        owner = holders.get("self")
        if owner is not None and hasattr(owner, "__dict__"):
            for name, value in (vars(owner) | vars(owner).get("_modules", {})).items():
                names.setdefault(id(value), name)
        for name, value in holders.items():
            if not name.startswith("_"):
                names.setdefault(id(value), name)
        frame = frame.f_back
    return names

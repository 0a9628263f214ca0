"""What is told of a training, step by step."""

import collections
import functools
import gc
import itertools
import json
import os
import sys
import time
import weakref

import torch

from denan import _core
from denan._torch import autopsy, late, memory, samples
from denan._torch.by_hand import ByHand
from denan._torch.networks import Networks
from denan._torch.places import Places, variables_of

# Gradients that are read in every step, and the elements that one of them has at most.
PROBES, SMALL = 2, 1024
# Batches by which a loader may be ahead.
AHEAD = 4
# Updates after which an optimizer that was found and has made none is none of this training's.
FIRST_UPDATES = 4
# An update of which nothing has been taken in yet.
NOT_BEGUN = object()


class Watcher:
    """Follows the one training of this process. The hooks call it; it tells the native half."""

    def __init__(self, plan_text, model=None):
        plan = json.loads(plan_text)
        self.plan_text = plan_text
        self.ends_at_once = plan.get("stop-at-step") is not None or plan.get("look-from") is not None
        self.is_over = False
        # Whether a guard keeps the training alive.
        self.is_guarded = False
        self.core = None
        self.intervention = None
        self.places = None
        self.look = None
        self.may_look = plan.get("look-from") is not None
        # A second run has every value there when it is made.
        self.may_be_late = not self.may_look and plan.get("check-from") is None
        self.networks = Networks(self, model)
        # Parameters by identity, and per optimizer the list of those that it updates.
        self.slots = {}
        # Those of parameters that lie in one piece in the processor's memory.
        self.plain_slots = set()
        self.lists = {}
        self.optimizers = weakref.WeakSet()
        # Those of them that were there before the watching began: another training's, for all that is known.
        self.found_optimizers = weakref.WeakSet()
        self.optimizer_numbers = weakref.WeakKeyDictionary()
        # Whether all gradients and values of the step are handed over, or a few gradients.
        self.is_full = True
        self.is_plain = False
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
        # Only in a run that is there to go through samples.
        self.screen_plan = plan.get("screen")
        self.screen = None
        self.looks_at_once = plan.get("look-at-once", False)
        # Of a training without an optimizer.
        self.by_hand = None
        # Batches that came since the last backward pass, by the iterator that they came from.
        self.fetched = {}
        # Samples of the batch that came last without gradients: an evaluation's.
        self.evaluating = []
        # Tensors of the last batches, for the close look: a loader may be ahead of the step.
        self.recent = collections.deque(maxlen=AHEAD)
        if plan.get("intervention") is not None:
            from denan._torch import interventions

            self.intervention = interventions.of(plan["intervention"], self)
        # Who takes the steps of the program's loop, where it tells of them.
        self.restart = None
        if plan.get("restart") is not None or plan.get("keep-states") is not None:
            from denan._torch import restart

            self.restart = restart.of(plan, self)

    # The beginning and the end

    def begin(self):
        """Tells that a training has begun: other processes import torch too, and train nothing."""
        if self.core is None:
            engine = f"torch {torch.__version__.split('+')[0]}"
            self.core = _core.Watch(self.plan_text, engine, rank())
            self.core.is_guarded(self.is_guarded)
            self.places = Places(self.core)
            self.late = late.Late(self.core)
            if self.screen_plan is not None:
                from denan._torch.screen import Screen

                self.screen = Screen(self, self.screen_plan["step"], self.screen_plan["whole"])
        return self.core

    def finish(self):
        self.is_over = True
        self.networks.forget()
        self.leave_look()
        if self.core is not None:
            self.end_pending_step()
            if self.by_hand is not None and self.by_hand.have_changed():
                self.core.end_step(0.0)
            self.late.tell(all=True)
            if self.screen is not None:
                self.screen.give_up()
            self.see_last_values()
            self.core.finish()

    def see_last_values(self):
        """Hands the parameters over as the training ends, if they have not been since their last update."""
        if self.core.has_unseen_values():
            keep = []
            values = [(slot, memory.handed(known.detach(), keep)) for known, slot in self.slots.values()]
            self.core.last_values(values)

    def let_go(self):
        """Ends the watching, not the training."""
        self.is_over = True
        self.core = None
        self.networks.watch_poolings(False)
        if self.intervention is not None:
            self.intervention.is_paused = True
        if self.look is not None:
            self.look.is_paused = True

    def failed(self, error):
        """A hook has failed: the watching ends, and an experiment has proven nothing."""
        if self.intervention is not None and self.core is not None:
            self.core.note(f"the change failed: {error!r}")
            if self.ends_at_once:
                # Nobody waits for the rest of it.
                self.core.finish()
                os._exit(1)
        self.let_go()

    def end_step(self):
        """The step is over; the training may be, too."""
        self.is_pending = False
        spent, self.spent = self.spent, 0.0
        following = self.core.end_step(spent)
        self.is_full = following != "light"
        # Nothing but what each step has is asked of this one.
        self.is_plain = not (self.is_full or self.may_look or self.screen or self.by_hand)
        if following == "end" and not self.is_over:
            self.finish()
            sys.stdout.flush()
            sys.stderr.flush()
            if self.ends_at_once:
                # Nobody waits for what a re-run would do at its end.
                os._exit(0)
            raise SystemExit(0)
        if self.may_look and not self.is_over and self.by_hand is None:
            self.enter_look()

    # The close look, and a screen

    @property
    def is_looking(self):
        return self.look is not None and self.look.is_active

    @property
    def is_screening(self):
        return self.screen is not None and self.screen.is_active

    @property
    def is_skipping(self):
        """Whether the steps before the one that a re-run begins with are being skipped."""
        return self.restart is not None and self.restart.is_skipping

    def take_step(self, number, parts):
        """Whether a step of the program's loop, which begins, is to be made."""
        return self.restart is None or self.restart.take(number, parts)

    def begin_pass(self):
        """A loader is about to begin a pass over its data."""
        if self.restart is not None:
            self.restart.draws.begin("pass")

    def enter_look(self, *, ahead=0):
        """Begins to look at each operation, if the step that begins is one to be looked at."""
        if self.is_skipping:
            return
        if self.begin().wants_look(ahead):
            if self.look is None:
                from denan._torch.look import Look

                self.look = Look(self)
            self.look.begin_step(is_ahead=ahead > 0)
        else:
            self.leave_look()

    def leave_look(self):
        if self.look is not None:
            self.look.leave()

    def pause_look(self, is_paused):
        if self.look is not None:
            self.look.is_paused = is_paused

    # Evaluation

    def see_evaluation(self, output):
        """What a network has made of a batch in evaluation mode."""
        if self.is_skipping:
            return
        began = time.perf_counter()
        fetched = self.evaluating
        if not fetched:
            fetched = [sample for batches in self.fetched.values() for batch in batches for sample in batch]
            self.fetched.clear()
        self.end_pending_step()
        for tensor in samples.tensors(output):
            if not tensor.is_floating_point():
                continue
            if late.is_late(tensor) and not self.is_looking:
                self.late.put_output(tensor, fetched)
            else:
                keep = []
                self.core.evaluated(self.figures(tensor.detach(), keep), fetched, None)
        if self.is_looking:
            self.look.know_all()
        self.spent += time.perf_counter() - began

    # Batches

    def choose(self, iterator):
        return None if self.screen is None else self.screen.choose(iterator)

    def asked(self, iterator, index):
        self.batches.setdefault(iterator, samples.Batches()).ask(index)

    def begin_fetch(self, iterator):
        if self.restart is not None:
            self.restart.draws.begin("batch")
        self.pause_look(True)
        if self.screen is not None:
            self.screen.begin_fetch(iterator)

    def end_fetch(self, iterator, data):
        self.pause_look(False)
        if data is None:
            # At its end: what came of it and never reached a backward pass was an evaluation's.
            self.fetched.pop(iterator, None)
            return
        batches = self.batches.setdefault(iterator, samples.Batches())
        taken = batches.take(iterator._dataset, data)
        if self.screen_plan is not None:
            self.begin()
            self.screen.came_from(iterator, batches.taken)
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
        if self.look is not None or self.is_skipping:
            self.look_at_batch(came)
        self.spent += time.perf_counter() - began

    def look_at_batch(self, came):
        self.recent.append(came)
        if self.look is not None:
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
            return None
        if self.is_plain and type(tensors) is torch.Tensor and self.is_plain_loss(tensors):
            return None
        losses = [tensors] if isinstance(tensors, torch.Tensor) else list(tensors)
        if self.is_screening:
            return "skip" if self.screen.takes(losses) else None
        began = time.perf_counter()
        core = self.begin()
        self.end_pending_step()
        self.evaluating = []
        if self.look is not None:
            self.look.begin_backward()
        if not self.optimizers and self.updates == 0:
            self.by_hand = self.by_hand or ByHand(self)
            if self.by_hand.begin_backward(losses):
                self.end_step()
        if self.is_full:
            self.note_carried()
        self.use_fetched()
        is_looking = self.is_looking
        self.late.tell(all=is_looking)
        for tensor in losses:
            loss = self.unscaled[id(tensor)][1] if id(tensor) in self.unscaled else tensor
            if late.is_late(loss) and not is_looking:
                self.late.put(loss)
            else:
                keep = []
                handed = self.figures(loss.detach(), keep)
                if _core.Watch.any_bad(handed):
                    if not self.networks.are_known:
                        # The break is told at once, and no step may follow by which parameters would get their names.
                        self.networks.learn_names()
                    if not is_looking:
                        self.examine(loss, keep)
                core.loss(handed)
        self.unscaled.clear()
        self.spent += time.perf_counter() - began
        return "skip" if self.screen is not None and self.screen.takes(losses) else None

    def is_plain_loss(self, loss):
        """Takes a loss in with as little as that can be done with: a finite number in the processor's memory, in a step
        that is not gone through. `False` if it is another."""
        if loss.dim() != 0 or not loss.is_cpu or self.unscaled:
            return False
        began = time.perf_counter()
        self.end_pending_step()
        if self.fetched or self.evaluating:
            self.evaluating = []
            self.use_fetched()
        is_taken = self.core.plain_loss(loss.data_ptr(), memory.NAMES.get(loss.dtype, "other"))
        self.spent += time.perf_counter() - began
        return is_taken

    def use_fetched(self):
        """The batches that came since the last backward pass are those of this one."""
        for batches in self.fetched.values():
            for batch in batches:
                self.core.batch(batch)
        self.fetched.clear()

    def examine(self, loss, keep):
        """A loss is bad and its graph still there."""
        found = autopsy.find(loss)
        if found is not None:
            name, *tensors = found
            self.core.examined(name, *([memory.handed(tensor.detach(), keep) for tensor in some] for some in tensors))

    def end_backward(self):
        self.backward_depth = max(0, self.backward_depth - 1)
        if self.backward_depth > 0:
            return
        if self.by_hand is not None:
            self.by_hand.end_backward()
        if self.look is not None:
            self.look.end_backward()
        if self.by_hand is not None and self.may_look:
            # The operations that follow are the next step's, whose beginning nothing else tells.
            self.enter_look(ahead=1)

    def note_carried(self):
        """Notes of each optimizer whether gradients other than 0 are there at the beginning of a backward pass.

        One that finds none since its last step sets them to zero; where all find some, they pile up.
        """
        for optimizer in self.carrying:
            if self.is_late(self.parameters_of(optimizer)):
                continue
            if self.carrying[optimizer] is not False:
                self.carrying[optimizer] = any(
                    is_nonzero(parameter.grad) for _, parameter in self.parameters_of(optimizer)
                )

    # The optimizer

    def know_optimizers(self):
        """Those that were made before the watching began."""
        # A scheduler and its optimizer hold each other: of a training that is over both are garbage.
        gc.collect()
        for one in gc.get_objects():
            if issubclass(type(one), torch.optim.Optimizer):
                self.optimizers.add(one)
                self.found_optimizers.add(one)

    def may_others_follow(self):
        """Whether another optimizer may be about to update its part in the same step."""
        if len(self.optimizers) < 2:
            return False
        numbers, found = self.optimizer_numbers, self.found_optimizers
        is_at_first = self.updates < FIRST_UPDATES
        at_work = (one for one in self.optimizers if one in numbers or one not in found or is_at_first)
        return sum(1 for _ in at_work) > 1

    def optimizer_made(self, optimizer):
        self.optimizers.add(optimizer)
        if self.intervention is not None:
            self.intervention.optimizer_made(optimizer)
        self.by_hand = None
        self.networks.watch_poolings(True)
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
            if self.networks.are_known:
                self.networks.name(*entry, variables_of(self.places.frame()))
        return entry[1]

    def before_update(self, optimizer, args, kwargs):
        """An optimizer steps. Where a closure makes the gradients, its update begins as that has made them."""
        if self.is_skipping:
            return None
        closure = args[1] if len(args) > 1 else kwargs.get("closure")
        if self.is_screening:
            self.screen.forget_gradients(optimizer)
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
        if self.is_screening:
            self.screen.forget_gradients(optimizer)
        if at < len(self.updating) and self.updating[at] is NOT_BEGUN:
            self.updating[at] = self.begin_update(optimizer)
        elif self.look is not None:
            self.look.begin_update(optimizer)

    def begin_update(self, optimizer):
        """Takes in what an optimizer is about to use. Its parameters, or None where they are not gone through."""
        if self.intervention is None:
            return self.see_gradients(optimizer)
        self.intervention.before_update(optimizer)
        parameters = self.see_gradients(optimizer)
        self.intervention.update(optimizer)
        return parameters

    def see_gradients(self, optimizer):
        if self.is_screening:
            return None
        if not self.is_full and optimizer in self.optimizer_numbers:
            # The gradients that are read are still there after the update.
            return None
        began = time.perf_counter()
        core = self.begin()
        self.networks.watch_poolings(False)
        number = self.optimizer_numbers.get(optimizer)
        if number is None:
            number = self.optimizer_numbers[optimizer] = len(self.optimizer_numbers)
            self.optimizers.add(optimizer)
            self.by_hand = None
        parameters = self.parameters_of(optimizer)
        if self.updates == 0:
            core.optimizer(type(optimizer).__name__, self.places.here())
        if not self.networks.are_known:
            self.networks.learn_names()
        carries = self.carrying.get(optimizer)
        at = self.addresses(parameters)
        if at is None and self.is_late(parameters):
            core.begin_late_update(number, rate_of(optimizer), carries)
            self.put_figures(True, [(slot, parameter.grad) for slot, parameter in parameters])
        elif at is not None:
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

    def is_late(self, parameters):
        """Whether to read gradients and values would wait for a device, in a run that has other things to do."""
        gradients = [parameter.grad for _, parameter in parameters if parameter.grad is not None]
        dense = (type(one) is torch.Tensor and one.layout is torch.strided for one in gradients)
        return self.may_be_late and any(late.is_late(one) for one in gradients) and all(dense)

    def put_figures(self, of_gradients, entries):
        entries = [(slot, tensor) for slot, tensor in entries if tensor is not None]
        self.late.put_figures(of_gradients, *zip(*entries))

    def addresses(self, parameters):
        """Slots and addresses of values and gradients, where all of them can be read as they lie; else None."""
        if self.is_looking:
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
        if self.is_looking:
            return self.look.storages.handed(tensor, keep)
        return memory.handed(tensor, keep)

    def after_update(self, optimizer, args, kwargs):
        if self.is_skipping:
            return
        if self.is_screening:
            self.updating.clear()
            return
        began = time.perf_counter()
        if self.intervention is not None:
            self.intervention.after_update(optimizer)
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
        self.is_pending = self.may_others_follow()
        if not self.is_pending:
            self.end_step()

    def see_update(self, parameters):
        at = self.addresses(parameters)
        if at is None and self.is_late(parameters):
            self.core.skipped()
            self.put_figures(False, [entry for entry in parameters if entry[1].grad is not None])
        elif at is not None:
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
        return self.begin_scaled_update()

    def begin_scaled_update(self):
        """A scaler has nothing to unscale where nothing was run backward."""
        return "skip" if self.is_screening or self.is_skipping else None

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

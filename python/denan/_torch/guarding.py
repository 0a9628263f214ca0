"""What a guard does to the steps of optimizers: makes them, skips them, goes back.

A step is skipped by letting the optimizer have no gradients for as long as it lasts: parameters, momentum and counts of
steps stay what they are, and whatever is called around the step is called as ever. A lower rate is in force for as long
as a step lasts, and the program's own rate stands in the groups before and after it: so no schedule undoes it, whether it
multiplies the rate that it finds or works it out anew.

Of several processes each tells the others what it found in each step, and all do the same.
"""

import functools
import gc
import json
import os
import sys
import weakref
from collections import deque

import torch
from torch.optim import optimizer as optimizers

from denan._guard import Act, GuardGaveUp
from denan._torch import finite, hooks, memory, saving, states, wrapping
from denan._torch.blame import Blame
from denan._torch.networks import plain_path
from denan._torch.networks import unwrapped as unwrapped_network
from denan._torch.steps import Entry, Found, parameters_of

# Acts that are said where no `denan run` says them.
MOST_SAID = 20
# How often the networks of an optimizer are looked for among all objects that there are.
MOST_SEARCHES = 16


class Guarding:
    """Guards the one training of this process. What is wrapped calls it."""

    def __init__(self, policy, acts, model=None, optimizer=None):
        self.policy = policy
        self.acts = acts
        self.is_on = False
        self.models = [] if model is None else list(model) if isinstance(model, (list, tuple)) else [model]
        given = optimizer if isinstance(optimizer, (list, tuple)) else [optimizer]
        self.only = None if optimizer is None else weakref.WeakSet(unwrapped(one) for one in given)
        self.entries = weakref.WeakKeyDictionary()
        # Names of parameters and buffers by identity, and those of buffers that are not finite from the beginning.
        self.names = {}
        self.searches = 0
        self.known_names = set()
        self.never_finite = set()
        self.buffers = states.Buffers()
        self.kept = []
        self.limit = None
        # The step before which a state was last to be kept.
        self.tried_at = None
        self.returned_to = None
        self.times_back = 0
        self.factor = 1.0
        self.step = 0
        self.stepped = weakref.WeakSet()
        self.recent = deque()
        self.counted = 0
        self.has_said = set()
        self.said = 0
        # Calls that are under way: of a scaler's step, of an optimizer's closure, of a backward pass.
        self.scaling = 0
        self.closures = 0
        self.depth = 0
        # Losses and samples that the gradients come from.
        self.losses = []
        self.blame = Blame(policy.leave_out_after)
        self.is_used = False
        self.hooks = []
        self.in_order_with = None
        self.saving = saving.Saving(self) if policy.save_guard else None
        # As what is wrapped calls them.
        self.safely_decide = self.safely(self.decide)
        self.safely_see_losses = self.safely(self.see_losses)
        self.safely_choose = self.safely(self.blame.choose)
        self.safely_asked = self.safely(self.blame.asked)
        self.safely_came = self.safely(self.blame.came)
        self.safely_made = self.safely(self.optimizer_made)
        self.safely_after_scaler = self.safely(self.after_scaler)
        for model in self.models:
            self.know_network(unwrapped_network(model))

    # The beginning and the end

    def start(self):
        self.is_on = True
        self.hooks = [
            optimizers.register_optimizer_step_pre_hook(self.safely(self.before_step)),
            optimizers.register_optimizer_step_post_hook(self.safely(self.after_step)),
        ]
        self.move_hooks()
        if not self.models:
            made = [one for one in gc.get_objects() if issubclass(type(one), torch.optim.Optimizer)]
            self.find_networks([parameter for one in made for parameter in parameters_of(one)])
        if self.saving is not None:
            self.saving.start()
        self.tell_watcher_that_it_is(True)

    def stop(self):
        self.let_go()
        if self.saving is not None:
            self.saving.stop()
        if wrapping._Current.guard is self:
            wrapping._Current.guard = None

    def let_go(self):
        """Ends the guarding of steps."""
        if not self.is_on:
            return
        self.is_on = False
        for hook in self.hooks:
            hook.remove()
        for entry in list(self.entries.values()):
            if entry.optimizer() is not None:
                entry.undo()
        self.entries.clear()
        self.kept.clear()
        self.buffers = states.Buffers()
        self.losses.clear()
        self.tell_watcher_that_it_is(False)

    def safely(self, method):
        """A hook that lets go of the training when it fails."""

        @functools.wraps(method)
        def call(*args):
            if not self.is_on:
                return None
            watcher = hooks._Current.watcher
            look = watcher.look if watcher is not None else None
            # What the guard computes is no operation of the training.
            pauses = look is not None and not look.is_paused
            try:
                if pauses:
                    look.is_paused = True
                return method(*args)
            except GuardGaveUp:
                raise
            except Exception as error:
                self.let_go()
                print(f"denan: the guard failed and let go of the training: {error!r}", file=sys.stderr)
                if os.environ.get("DENAN_DEBUG"):
                    raise
                return None
            finally:
                if pauses:
                    look.is_paused = False

        call._torchdynamo_disable = True
        return call

    def put_in_order(self):
        if self.in_order_with is not hooks._Current.watcher:
            self.in_order_with = hooks._Current.watcher
            self.move_hooks()

    def move_hooks(self):
        """The watcher sees gradients as they are: its hook comes before this one, and after it when the step is over."""
        pre, post = self.hooks[0].id, self.hooks[1].id
        if next(reversed(optimizers._global_optimizer_pre_hooks)) != pre:
            optimizers._global_optimizer_pre_hooks.move_to_end(pre)
        if next(iter(optimizers._global_optimizer_post_hooks)) != post:
            optimizers._global_optimizer_post_hooks.move_to_end(post, last=False)

    # Networks

    def optimizer_made(self, optimizer):
        """Its network has seen no batch yet."""
        self.find_networks(parameters_of(optimizer))

    def know_network(self, root):
        named = [*root.named_parameters(), *root.named_buffers()]
        for name, tensor in named:
            name = plain_path(name)
            self.names.setdefault(id(tensor), name)
            self.known_names.add(name)
        buffers = [(name, buffer) for name, buffer in root.named_buffers() if id(buffer) not in self.buffers.known]
        bad = set(finite.bad_among([buffer for _, buffer in buffers]))
        for at, (name, buffer) in enumerate(buffers):
            if at in bad:
                self.never_finite.add(plain_path(name))
            else:
                self.buffers.know(buffer)

    def find_networks(self, parameters):
        """The networks that these parameters belong to, among all that there are."""
        wanted = {id(parameter) for parameter in parameters} - set(self.names)
        if not wanted or self.models or self.searches == MOST_SEARCHES:
            return
        self.searches += 1
        modules = [one for one in gc.get_objects() if issubclass(type(one), torch.nn.Module)]
        parents = {}
        for module in modules:
            for child in module.__dict__.get("_modules", {}).values():
                parents.setdefault(id(child), []).append(module)
        queue = [
            module
            for module in modules
            if any(id(parameter) in wanted for parameter in module.__dict__.get("_parameters", {}).values())
        ]
        seen = set()
        while queue:
            module = queue.pop()
            if id(module) in seen:
                continue
            seen.add(id(module))
            above = parents.get(id(module), [])
            queue += above
            if not above:
                self.know_network(unwrapped_network(module))

    def name_of(self, parameter):
        return self.names.get(id(parameter), "a parameter")

    # Batches and losses

    def see_losses(self, tensors):
        """The backward pass begins at these."""
        if self.is_used:
            self.losses.clear()
            self.blame.batch.clear()
            self.is_used = False
            if self.stepped and not self.closures:
                # What follows a step is the next one, though it be another optimizer's.
                self.stepped.clear()
                self.step += 1
        self.blame.use_fetched()
        for tensor in (tensors,) if isinstance(tensors, torch.Tensor) else tensors:
            if isinstance(tensor, torch.Tensor) and tensor.numel() == 1:
                self.losses.append(tensor.detach())

    # The optimizer

    def entry_of(self, optimizer):
        entry = self.entries.get(optimizer)
        if entry is None:
            entry = self.entries[optimizer] = Entry(optimizer)
            self.find_networks(entry.parameters())
            # No state that was kept has its parameters.
            self.tried_at = None
        return entry

    def count(self, optimizer):
        """The number of the step: one that comes again has begun the next one."""
        watcher = watcher_now()
        if optimizer in self.stepped:
            self.stepped.clear()
            self.step += 1
        self.stepped.add(optimizer)
        if watcher is not None:
            self.step = watcher.core.step_number()
            if not watcher.is_guarded:
                # It has begun to watch after the guard did to guard.
                self.tell_watcher_that_it_is(True)

    def before_step(self, optimizer, args, kwargs):
        if self.only is not None and optimizer not in self.only:
            return None
        entry = self.entry_of(optimizer)
        # A step that failed has left something behind.
        entry.undo()
        self.count(optimizer)
        if self.scaling:
            # A scaler has looked at the gradients, or has the optimizer do so.
            self.decide(entry, looks_at_gradients=False)
            return None
        closure = args[1] if len(args) > 1 else kwargs.get("closure")
        if not callable(closure):
            self.decide(entry)
            return None
        if isinstance(optimizer, torch.optim.LBFGS):
            entry.before = [parameter.detach().clone() for parameter in entry.parameters()]
        decide = self.safely_decide

        @functools.wraps(closure)
        def guarded_closure(*args, **kwargs):
            self.closures += 1
            try:
                result = closure(*args, **kwargs)
            finally:
                self.closures -= 1
            if not entry.is_decided:
                decide(entry)
            elif entry.hidden is not None:
                entry.hide()
            return result

        if len(args) > 1:
            return (args[0], guarded_closure, *args[2:]), kwargs
        return args, {**kwargs, "closure": guarded_closure}

    def make(self, entry):
        entry.is_decided = entry.is_stepping = True
        entry.lower(self.factor)

    def decide(self, entry, looks_at_gradients=True):
        """Makes a step, or does what the policy says."""
        entry.is_decided = True
        self.is_used = True
        found = self.look_at_gradients(entry) if looks_at_gradients else None
        lost = self.look_at_values(entry)
        is_bad, is_lost = self.agree(found is not None, lost is not None)
        if not is_bad and not is_lost:
            entry.bad_in_a_row = 0
            out = self.blame.clear_or_convict()
            if out:
                times = self.policy.leave_out_after
                why = f"they were in {times} skipped batches, and in no good one between"
                self.tell(Act(self.step, "left-out", why, out))
            if self.is_due() and self.keep_state(entry):
                # What should have been kept was not finite.
                entry.hide()
                return
            self.make(entry)
            return
        entry.bad_in_a_row += 1
        if is_lost:
            why = lost.words if lost is not None else "parameters of another rank were not finite"
            self.roll_back(entry, why, lost)
        elif entry.bad_in_a_row > self.policy.roll_back_after:
            why = found.words if found is not None else "gradients of another rank were not finite"
            self.roll_back(entry, f"{entry.bad_in_a_row} bad steps in a row: {why}", found)
        elif self.policy.skip:
            why = found.words if found is not None else "loss or gradients of another rank were not finite"
            self.skip(entry, why, found)
        else:
            self.make(entry)
        if self.is_on and not entry.is_stepping:
            entry.hide()

    def look_at_gradients(self, entry):
        """What of the losses and gradients is not finite, in words for the first one."""
        parameters = entry.parameters()
        looked_at = [*self.losses, *[gradient for one in parameters if (gradient := one.grad) is not None]]
        bad = finite.bad_among(looked_at)
        if not bad:
            return None
        losses = len(self.losses)
        with_gradients = [parameter for parameter in parameters if parameter.grad is not None]
        first = looked_at[bad[0]]
        if bad[0] < losses:
            return Found("loss", first, None, f"the loss {finite.in_words(first)}")
        parameter = with_gradients[bad[0] - losses]
        others = f", and {len(bad) - 1} others" if len(bad) > 1 else ""
        words = f"the gradient of {self.name_of(parameter)} {finite.in_words(first)}{others}"
        return Found("gradient", first, parameter, words)

    def look_at_values(self, entry):
        """What of the parameters is not finite after the last update, if that has not been told yet."""
        look, entry.look = entry.look, None
        bad = look.bad() if look is not None else ()
        if not bad:
            entry.looked_at = ()
            return None
        parameter = entry.looked_at[bad[0]]
        entry.looked_at = ()
        others = f", and {len(bad) - 1} others" if len(bad) > 1 else ""
        words = f"{self.name_of(parameter)} {finite.in_words(parameter)} after its update{others}"
        return Found("value", parameter, parameter, words)

    def after_step(self, optimizer, args, kwargs):
        entry = self.entries.get(optimizer)
        if entry is None:
            return
        self.put_in_order()
        is_made, before = entry.is_stepping, entry.before
        entry.undo()
        entry.updates += 1
        if not is_made:
            return
        entry.looked_at = entry.parameters()
        entry.look = finite.Look(entry.looked_at)
        if before is not None:
            self.see_moved(entry, before)
        elif not entry.look.waiting and not self.is_one_of_several():
            found = self.look_at_values(entry)
            if found is not None:
                self.roll_back(entry, found.words, found)
                return
        self.keep_buffers()

    def keep_buffers(self):
        """The step is good, and so are the statistics of its batch; but where gradients are finite they need not be."""
        buffers = self.buffers
        if buffers.live and buffers.live[0].is_cpu:
            self.restore_buffers(finite.bad_among(buffers.live), "although loss and gradients are finite")
        buffers.keep()

    def restore_buffers(self, bad, when):
        if not bad:
            return
        buffer = self.buffers.live[bad[0]]
        words = f"{self.name_of(buffer)} {finite.in_words(buffer)} {when}"
        self.buffers.put_back(set(bad))
        self.tell(Act(self.step, "restored-buffers", words, self.blame.samples()))

    def see_moved(self, entry, before):
        """An optimizer has moved its parameters several times, which is undone as a whole."""
        optimizer = entry.optimizer()
        found = self.look_at_values(entry)
        state = [tensor for _, _, tensor in states.tensors_of(optimizer)]
        bad = finite.bad_among(state)
        (is_bad,) = self.agree(found is not None or bool(bad))
        if not is_bad or not self.may_act():
            return
        with torch.no_grad():
            for parameter, value in zip(entry.parameters(), before):
                parameter.copy_(value)
        # It begins again with the gradient alone.
        optimizer.state.clear()
        self.buffers.put_back()
        words = found.words if found is not None else "its state was not finite after it"
        self.act(Act(self.step, "skipped-step", words, self.blame.samples()), found)

    # What it does

    def skip(self, entry, why, found):
        if not self.may_act():
            return
        self.buffers.put_back()
        # Where several processes train, all need the same number of batches.
        if not self.is_one_of_several():
            self.blame.blame()
        self.act(Act(self.step, "skipped-step", why, self.blame.samples()), found)

    def roll_back(self, entry, why, found):
        self.blame.blamed = []
        kept = self.kept
        if not kept:
            # There is nothing to go back to.
            if self.policy.skip:
                self.skip(entry, f"{why}; there is no earlier state to go back to", found)
            else:
                self.make(entry)
            return
        if not self.may_act(is_back=True):
            return
        self.times_back += 1
        if kept[-1].step == self.returned_to and len(kept) > 1:
            # It has not helped the last time.
            kept.pop()
        state = kept[-1]
        # What is not finite is told before it is gone.
        self.factor *= self.policy.lower_rate
        act = Act(self.step, "rolled-back", why, self.blame.samples(), to=state.step, factor=self.factor)
        self.act(act, found)
        state.put_back()
        self.buffers.keep()
        self.returned_to = state.step
        self.tried_at = self.step
        for other in self.entries.values():
            other.bad_in_a_row = 0
            other.look = None
        entry.clears = True

    def may_act(self, is_back=False):
        """Whether the policy lets it act once more; if not, it gives up."""
        policy = self.policy
        while self.recent and self.recent[0] <= self.step - policy.window:
            self.recent.popleft()
        is_too_often_back = is_back and self.times_back >= policy.most_roll_backs
        if self.counted < policy.most_acts and len(self.recent) < policy.most_in_window and not is_too_often_back:
            return True
        if is_too_often_back:
            why = f"it has gone back {self.times_back} times, which is all that its policy allows"
        elif self.counted >= policy.most_acts:
            why = f"it has acted {self.counted} times, which is all that its policy allows"
        else:
            why = f"it has acted in {len(self.recent)} of the last {policy.window} steps"
        self.tell(Act(self.step, "gave-up", why))
        self.let_go()
        if policy.raise_at_end:
            raise GuardGaveUp(f"the guard gave up at step {self.step}: {why}")
        return False

    def act(self, act, found=None):
        self.counted += 1
        self.recent.append(self.step)
        self.tell(act, found)

    def tell(self, act, found=None):
        self.acts.append(act)
        watcher = watcher_now()
        if watcher is not None:
            keep = []
            handed = None
            if found is not None:
                slot = 0 if found.parameter is None else watcher.slots.get(id(found.parameter), (None, None))[1]
                if slot is not None:
                    handed = (found.kind, slot, memory.handed(found.tensor.detach(), keep))
            watcher.core.acted(act, handed)
            if json.loads(watcher.plan_text).get("socket") is not None:
                return
        self.say(str(act))

    def say(self, text):
        """Says something where no `denan run` says it, and of several processes one."""
        if self.is_one_of_several() and torch.distributed.get_rank() != 0:
            return
        self.said += 1
        if self.said <= MOST_SAID:
            print(f"denan: guard: {text}", file=sys.stderr)
        elif self.said == MOST_SAID + 1:
            print("denan: guard: it acts on, and says no more of it; its acts are in `.acts`", file=sys.stderr)

    def note(self, text):
        """Says once what a user should know of the guarding."""
        if text in self.has_said:
            return
        self.has_said.add(text)
        watcher = watcher_now()
        if watcher is not None:
            watcher.core.note(f"guard: {text}")
        self.say(text)

    def tell_watcher_that_it_is(self, is_on):
        watcher = hooks._Current.watcher
        if watcher is not None and not watcher.is_over:
            watcher.is_guarded = is_on
            if watcher.core is not None:
                watcher.core.is_guarded(is_on)

    # States

    def is_due(self):
        return self.tried_at is None or self.step - self.tried_at >= self.policy.keep_every

    def keep_state(self, entry):
        """Keeps the state that the training is in, if all of it is finite. Whether it is not, and the guard went back."""
        self.tried_at = self.step
        optimizers = [one.optimizer() for one in self.entries.values()]
        tensors, seen = [], set()
        for one in self.entries.values():
            for tensor in one.parameters():
                if id(tensor) not in seen:
                    seen.add(id(tensor))
                    tensors.append(tensor)
        state = [
            (f"{name} of {self.name_of(key)}" if isinstance(key, torch.Tensor) else str(name), tensor)
            for optimizer in optimizers
            for key, name, tensor in states.tensors_of(optimizer)
        ]
        bad = finite.bad_among([*tensors, *(tensor for _, tensor in state)])
        if self.limit is None:
            self.limit = states.limit_of(self.policy.memory)
        buffers = self.buffers.live
        size = states.size_of([*tensors, *buffers], optimizers)
        is_bad, is_large = self.agree(bool(bad), size > self.limit)
        if is_bad:
            return self.is_not_fit(entry, bad, tensors, state)
        if is_large or self.policy.keep < 1:
            if is_large:
                self.kept.clear()
                self.note(
                    f"the state of the training takes {in_bytes(size)}, of which {in_bytes(self.limit)} may be used: "
                    "there is none to go back to, and bad steps are skipped only"
                )
            return False
        old = None
        while self.kept and (
            len(self.kept) >= self.policy.keep
            or self.agree(sum(kept.bytes for kept in self.kept) + size > self.limit)[0]
        ):
            old = self.kept.pop(0)
        self.kept.append(states.Kept(self.step, [*tensors, *buffers], optimizers, old))
        self.returned_to = None
        return False

    def is_not_fit(self, entry, bad, tensors, state):
        """A state that is not finite although gradients and updates are: an optimizer's, or a frozen parameter."""
        if not bad:
            words = "the state of another rank was not finite"
        elif bad[0] < len(tensors):
            words = f"{self.name_of(tensors[bad[0]])} {finite.in_words(tensors[bad[0]])}"
        else:
            name, tensor = state[bad[0] - len(tensors)]
            words = f"{name} {finite.in_words(tensor)}"
        if not self.kept:
            self.note(f"{words} as the training began: there is no state to go back to")
            return False
        self.roll_back(entry, words, None)
        return self.is_on

    # Several processes

    def is_one_of_several(self):
        distributed = torch.distributed
        return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1

    def agree(self, *flags):
        """Whether any of the processes that train together says so, for each of some flags."""
        if not self.is_one_of_several():
            return flags
        distributed = torch.distributed
        on_device = "nccl" in str(distributed.get_backend()) and torch.cuda.is_available()
        told = torch.tensor(flags, dtype=torch.int32, device="cuda" if on_device else "cpu")
        distributed.all_reduce(told, op=distributed.ReduceOp.MAX)
        return [bool(flag) for flag in told.tolist()]

    # A loss scaler

    def after_scaler(self, optimizer, updates):
        """A scaler has stepped. If it has skipped the step, the batch has been in the buffers all the same."""
        entry = self.entries.get(optimizer)
        if entry is not None and entry.updates != updates or not self.is_on:
            return
        if self.only is not None and optimizer not in self.only:
            return
        self.count(optimizer)
        self.is_used = True
        self.restore_buffers(finite.bad_among(self.buffers.live), "in a step that the scaler skipped")


def unwrapped(optimizer):
    """The optimizer in what others put around it (Accelerate, Lightning)."""
    while isinstance(getattr(optimizer, "optimizer", None), torch.optim.Optimizer):
        optimizer = optimizer.optimizer
    return optimizer


def in_bytes(size):
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"


def watcher_now():
    """The watcher of this process, if there is one at work."""
    watcher = hooks._Current.watcher
    return watcher if watcher is not None and not watcher.is_over and watcher.core is not None else None

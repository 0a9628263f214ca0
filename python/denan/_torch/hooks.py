"""Which calls of torch are watched. Each hook is the thinnest that will do; what it means is in ``watcher``.

A failure of a hook is said once and ends the watching, never the training.
"""

import atexit
import functools
import os
import sys
import threading

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils.data import dataloader

from denan._torch.watcher import Watcher


def install(plan_text):
    """Sets the hooks of this process for a plan, and returns what they tell."""
    watcher = Watcher(plan_text)
    guarded = _Guard(watcher).guarded
    register_optimizer_step_pre_hook(guarded(watcher.before_update))
    register_optimizer_step_post_hook(guarded(watcher.after_update))
    _backward(watcher, guarded)
    _loader(watcher, guarded)
    _scaler(watcher, guarded)
    _optimizers(watcher, guarded)
    _modules(watcher, guarded)
    atexit.register(guarded(watcher.finish))
    os.register_at_fork(after_in_child=watcher.let_go)
    return watcher


class _Guard:
    def __init__(self, watcher):
        self.watcher = watcher
        self.owner = threading.get_ident()

    def guarded(self, hook):
        """A hook that does nothing once the watching is over, and lets go when it fails."""

        @functools.wraps(hook)
        def call(*args):
            if self.watcher.is_over:
                return None
            try:
                return hook(*args)
            except Exception as error:
                self.watcher.let_go()
                print(f"denan: watching failed and let go of the training: {error!r}", file=sys.stderr)
                if os.environ.get("DENAN_DEBUG"):
                    raise
                return None

        return call


def _backward(watcher, guarded):
    """Around the backward pass, whichever call begins it."""
    begin, end = guarded(watcher.begin_backward), guarded(watcher.end_backward)
    backward = torch.autograd.backward
    grad = torch.autograd.grad

    @functools.wraps(backward)
    def watched_backward(tensors, *args, **kwargs):
        begin(tensors)
        try:
            return backward(tensors, *args, **kwargs)
        finally:
            end()

    @functools.wraps(grad)
    def watched_grad(outputs, *args, **kwargs):
        begin(None)
        try:
            return grad(outputs, *args, **kwargs)
        finally:
            end()

    torch.autograd.backward = watched_backward
    torch.autograd.grad = watched_grad


def _loader(watcher, guarded):
    """What a loader asks for and what comes of it."""
    iterator = dataloader._BaseDataLoaderIter
    ask, begin, end = guarded(watcher.asked), guarded(watcher.begin_fetch), guarded(watcher.end_fetch)
    next_index = iterator._next_index
    next_batch = iterator.__next__

    @functools.wraps(next_index)
    def watched_index(self):
        index = next_index(self)
        ask(self, index)
        return index

    @functools.wraps(next_batch)
    def watched_next(self):
        begin()
        data = None
        try:
            data = next_batch(self)
            return data
        finally:
            end(self, data)

    iterator._next_index = watched_index
    iterator.__next__ = watched_next


def _scaler(watcher, guarded):
    """A loss scaler: what it scales, and the steps that it skips on purpose."""
    scaler = torch.amp.GradScaler
    scaled, skipped = guarded(watcher.scaled), guarded(watcher.maybe_skipped)
    scale, step = scaler.scale, scaler.step

    @functools.wraps(scale)
    def watched_scale(self, outputs):
        result = scale(self, outputs)
        scaled(outputs, result)
        return result

    @functools.wraps(step)
    def watched_step(self, optimizer, *args, **kwargs):
        before = watcher.updates
        result = step(self, optimizer, *args, **kwargs)
        skipped(before)
        return result

    scaler.scale = watched_scale
    scaler.step = watched_step


def _optimizers(watcher, guarded):
    """Each optimizer that is made: after it the training is about to begin."""
    base = torch.optim.Optimizer
    made = guarded(watcher.optimizer_made)
    init = base.__init__

    @functools.wraps(init)
    def watched_init(self, *args, **kwargs):
        init(self, *args, **kwargs)
        made(self)

    base.__init__ = watched_init


def _modules(watcher, guarded):
    """The modules that are called: the networks, by which parameters have names. Only until they are known."""
    pre = torch.nn.modules.module.register_module_forward_pre_hook(guarded(watcher.before_module))
    post = torch.nn.modules.module.register_module_forward_hook(guarded(watcher.after_module), always_call=True)
    watcher.module_hooks = [pre, post]

"""Which calls of torch are watched. Each hook is the thinnest that will do; what it means is in ``watcher``.

A failure of a hook is said once and ends the watching, never the training.
"""

import atexit
import functools
import operator
import os
import sys

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils.data import dataloader


class _Current:
    """The watcher of this process, if there is one; the hooks stay, and ask for it."""

    watcher = None


def watch(watcher):
    """Has the hooks call a watcher, in the place of the one before it."""
    if watcher.intervention is not None:
        # Before the hooks, which then see what it has changed.
        watcher.intervention.begin()
    if _Current.watcher is None:
        _set()
    elif not _Current.watcher.is_over:
        _Current.watcher.finish()
    _Current.watcher = watcher
    watcher.networks.watch()
    if watcher.looks_at_once:
        watcher.enter_look()
    return watcher


def _set():
    """Sets the hooks, which stay for as long as the process."""
    register_optimizer_step_pre_hook(guarded("before_update"))
    register_optimizer_step_post_hook(guarded("after_update"))
    _backward()
    _loader()
    _scaler()
    _optimizers()
    _compiler()
    _modes()
    atexit.register(guarded("finish"))
    os.register_at_fork(after_in_child=_let_go)


def _let_go():
    if _Current.watcher is not None:
        _Current.watcher.let_go()


def _compiler():
    """Networks that are compiled."""
    compiles = guarded("networks.compiles")
    compile = torch.compile

    @functools.wraps(compile)
    def watched_compile(model=None, *args, **kwargs):
        if model is not None:
            compiles(model)
        return compile(model, *args, **kwargs)

    torch.compile = watched_compile


def _modes():
    """Networks that are set to train or to be evaluated."""
    mode_set = guarded("networks.mode_set")
    train = torch.nn.Module.train

    @functools.wraps(train)
    def watched_train(self, mode=True):
        result = train(self, mode)
        mode_set(self)
        return result

    torch.nn.Module.train = watched_train


def guarded(name):
    """A hook: the watcher's method of a name, or of its ``networks``. It does nothing once the watching is over, and lets go
    when it fails."""
    method = operator.attrgetter(name)

    def call(*args):
        watcher = _Current.watcher
        if watcher is None or watcher.is_over:
            return None
        try:
            return method(watcher)(*args)
        except Exception as error:
            watcher.failed(error)
            print(f"denan: watching failed and let go of the training: {error!r}", file=sys.stderr)
            if os.environ.get("DENAN_DEBUG"):
                raise
            return None

    # The compiler is to run a hook as it is.
    call._torchdynamo_disable = True
    return call


def _backward():
    """Around the backward pass, whichever call begins it."""
    begin, end = guarded("begin_backward"), guarded("end_backward")
    backward = torch.autograd.backward
    grad = torch.autograd.grad

    @functools.wraps(backward)
    def watched_backward(tensors, *args, **kwargs):
        if begin(tensors) == "skip":
            end()
            return None
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


def _loader():
    """What a loader asks for and what comes of it."""
    iterator = dataloader._BaseDataLoaderIter
    choose, ask, begin, end = (guarded(name) for name in ("choose", "asked", "begin_fetch", "end_fetch"))
    next_index = iterator._next_index
    next_batch = iterator.__next__

    @functools.wraps(next_index)
    def watched_index(self):
        # In a run that goes through samples: a list with one index, or an empty one at the end.
        chosen = choose(self)
        if chosen is None:
            index = next_index(self)
        elif chosen:
            index = chosen[0]
        else:
            raise StopIteration
        ask(self, index)
        return index

    @functools.wraps(next_batch)
    def watched_next(self):
        begin(self)
        data = None
        try:
            data = next_batch(self)
            return data
        finally:
            end(self, data)

    iterator._next_index = watched_index
    iterator.__next__ = watched_next


def _scaler():
    """A loss scaler: what it scales, and the steps that it skips on purpose."""
    scaler = torch.amp.GradScaler
    scaled, begin, end = guarded("scaled"), guarded("begin_scaled_step"), guarded("end_scaled_step")
    may_update = guarded("begin_scaled_update")
    scale, step, update = scaler.scale, scaler.step, scaler.update

    @functools.wraps(scale)
    def watched_scale(self, outputs):
        result = scale(self, outputs)
        scaled(outputs, result)
        return result

    @functools.wraps(step)
    def watched_step(self, optimizer, *args, **kwargs):
        if begin() == "skip":
            return None
        result = step(self, optimizer, *args, **kwargs)
        end()
        return result

    @functools.wraps(update)
    def watched_update(self, *args, **kwargs):
        if may_update() == "skip":
            return None
        return update(self, *args, **kwargs)

    scaler.scale = watched_scale
    scaler.step = watched_step
    scaler.update = watched_update


def _optimizers():
    """Each optimizer that is made: after it the training is about to begin."""
    base = torch.optim.Optimizer
    made = guarded("optimizer_made")
    init = base.__init__

    @functools.wraps(init)
    def watched_init(self, *args, **kwargs):
        init(self, *args, **kwargs)
        made(self)

    base.__init__ = watched_init

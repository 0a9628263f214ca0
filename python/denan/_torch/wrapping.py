"""Which calls a guard comes between: the backward pass, loaders, loss scalers and the making of optimizers. Optimizers'
steps have hooks of their own. What is wrapped stays wrapped, and asks for the guard of this process.
"""

import functools

import torch
from torch.utils.data import dataloader

from denan._torch import hooks


class _Current:
    """The guard of this process, if there is one; what is wrapped stays, and asks for it."""

    guard = None
    is_set = False


def begin(guard):
    """Has a guard guard the training, in the place of the one before it."""
    if not _Current.is_set:
        _Current.is_set = True
        _backward()
        _loader()
        _scaler()
        _optimizers()
    if _Current.guard is not None:
        _Current.guard.stop()
    _Current.guard = guard
    guard.start()
    return guard


def _backward():
    backward = torch.autograd.backward

    @functools.wraps(backward)
    def guarded_backward(tensors, *args, **kwargs):
        guard = _Current.guard
        if guard is None or not guard.is_on:
            return backward(tensors, *args, **kwargs)
        if guard.depth == 0:
            guard.safely_see_losses(tensors)
        guard.depth += 1
        try:
            return backward(tensors, *args, **kwargs)
        finally:
            guard.depth -= 1

    torch.autograd.backward = guarded_backward


def _loader():
    iterator = dataloader._BaseDataLoaderIter
    next_index, next_batch = iterator._next_index, iterator.__next__

    @functools.wraps(next_index)
    def guarded_index(self):
        index = next_index(self)
        guard = _Current.guard
        if guard is None or not guard.is_on:
            return index
        chosen = guard.safely_choose(self, index, next_index) if guard.blame.left_out else index
        if chosen is not index and chosen is not None:
            watcher = hooks._Current.watcher
            asked = watcher.batches.get(self) if watcher is not None else None
            if asked is not None and asked.asked:
                # It has been told what was asked for first.
                asked.asked[-1] = chosen
            index = chosen
        guard.safely_asked(self, index)
        return index

    @functools.wraps(next_batch)
    def guarded_next(self):
        data = next_batch(self)
        guard = _Current.guard
        if guard is not None and guard.is_on:
            guard.safely_came(self, data)
        return data

    iterator._next_index = guarded_index
    iterator.__next__ = guarded_next


def _scaler():
    scaler = torch.amp.GradScaler
    step = scaler.step

    @functools.wraps(step)
    def guarded_step(self, optimizer, *args, **kwargs):
        guard = _Current.guard
        if guard is None or not guard.is_on or not self.is_enabled():
            return step(self, optimizer, *args, **kwargs)
        entry = guard.entries.get(optimizer)
        updates = entry.updates if entry is not None else 0
        guard.scaling += 1
        try:
            result = step(self, optimizer, *args, **kwargs)
        finally:
            guard.scaling -= 1
        guard.safely_after_scaler(optimizer, updates)
        return result

    scaler.step = guarded_step


def _optimizers():
    base = torch.optim.Optimizer
    init = base.__init__

    @functools.wraps(init)
    def guarded_init(self, *args, **kwargs):
        init(self, *args, **kwargs)
        guard = _Current.guard
        if guard is not None and guard.is_on:
            guard.safely_made(self)

    base.__init__ = guarded_init

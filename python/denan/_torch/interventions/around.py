"""Calls of torch that an intervention is put around: only in a run that has one, and beneath the hooks of the watcher."""

import functools

import torch
from torch.utils.data import dataloader


def loader(intervention):
    """Has a loader ask for the indices that ``intervention.indices`` leaves, and hand on what ``intervention.batch`` makes of
    a batch."""
    iterator = dataloader._BaseDataLoaderIter
    next_index, next_batch = iterator._next_index, iterator.__next__

    @functools.wraps(next_index)
    def changed_index(self):
        while True:
            index = next_index(self)
            changed = intervention.tries(intervention.indices, self, index)
            # A batch of which nothing is left is none.
            if changed != []:
                return index if changed is None else changed

    @functools.wraps(next_batch)
    def changed_batch(self):
        data = next_batch(self)
        changed = intervention.tries(intervention.batch, self, data)
        return data if changed is None else changed

    iterator._next_index, iterator.__next__ = changed_index, changed_batch


def backward(intervention):
    """Begins a backward pass with the further arguments that ``intervention.backward`` makes."""
    begin = torch.autograd.backward

    @functools.wraps(begin)
    def changed_backward(tensors, *args, **kwargs):
        # One inside of another (a checkpoint's) is part of it.
        if intervention.watcher.backward_depth == 1:
            changed = intervention.tries(intervention.backward, tensors, args, kwargs)
            args, kwargs = changed or (args, kwargs)
        return begin(tensors, *args, **kwargs)

    torch.autograd.backward = changed_backward

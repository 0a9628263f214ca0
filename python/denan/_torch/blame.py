"""The samples of the batches that a guard sees, and which of them are to be left out.

A sample that is in skipped batches alone never contributes to the training, but takes its batches with it.
"""

import weakref

import torch
from torch.utils.data import IterableDataset, Subset

from denan._torch import samples

# Samples that are told of an act.
MOST_SAMPLES = 1024


class Blame:
    """Knows the samples that the gradients of a step come from, with their data sets."""

    def __init__(self, leave_out_after):
        self.leave_out_after = leave_out_after
        self.batches = weakref.WeakKeyDictionary()
        # What came since the last backward pass, and what the gradients come from.
        self.fetched = {}
        self.batch = []
        # Of the skipped step before this one, and how often those of others were blamed.
        self.blamed = []
        self.times_blamed = {}
        # Indices by the identity of the data set.
        self.left_out = {}

    def use_fetched(self):
        """The batches that came are those of the backward pass that begins."""
        for batches in self.fetched.values():
            self.batch += batches
        self.fetched.clear()

    def samples(self):
        return tuple(sample for sample, _ in self.batch[:MOST_SAMPLES])

    def asked(self, iterator, index):
        self.batches.setdefault(iterator, samples.Batches()).ask(index)

    def came(self, iterator, data):
        taken = self.batches.setdefault(iterator, samples.Batches()).take(iterator._dataset, data)
        if torch.is_grad_enabled():
            base = base_of(iterator._dataset)
            self.fetched.setdefault(iterator, []).extend((sample, base) for sample in taken)

    def choose(self, iterator, index, following):
        """The samples that a loader is to ask for, some of which may be left out."""
        left = self.left_out.get(id(base_of(iterator._dataset)))
        if not left or isinstance(iterator._dataset, IterableDataset) or not torch.is_grad_enabled():
            return index
        while True:
            if not isinstance(index, list):
                if not hasattr(index, "__index__") or samples.resolve(iterator._dataset, int(index))[0] not in left:
                    return index
            elif all(hasattr(one, "__index__") for one in index):
                known = samples.resolve_all(iterator._dataset, [int(one) for one in index])
                good = [one for one, (number, _) in zip(index, known) if number not in left]
                if len(good) == len(index):
                    return index
                if good:
                    # Another sample in the place of each, so that the batch keeps its size.
                    others = iter(good * len(index))
                    return [next(others) if number in left else one for one, (number, _) in zip(index, known)]
            else:
                return index
            index = following(iterator)

    def blame(self):
        """Notes the samples of a skipped step, until it is known that the next one is good: then it was not the state of
        the training."""
        self.blamed = list(self.batch) if self.leave_out_after else []

    def clear_or_convict(self):
        """A step is good: so are its samples, and those of the skipped one before it are blamed. Those that are left out
        from now on."""
        if not self.blamed and not self.times_blamed:
            return ()
        for (index, _), base in self.batch:
            self.times_blamed.pop((id(base), index), None)
        out = []
        for (index, name), base in self.blamed:
            key = (id(base), index)
            self.times_blamed[key] = self.times_blamed.get(key, 0) + 1
            if self.times_blamed[key] >= self.leave_out_after:
                del self.times_blamed[key]
                # The data set is held on to, since it is known by its identity.
                self.left_out.setdefault(id(base), {})[index] = base
                out.append((index, name))
        self.blamed = []
        return tuple(out[:MOST_SAMPLES])


def base_of(dataset):
    """The data set that the user made, below any subset of it."""
    while isinstance(dataset, Subset):
        dataset = dataset.dataset
    return dataset

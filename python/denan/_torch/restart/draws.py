"""Random numbers between two steps: what loaders draw there, in an order that must not depend on what was skipped.

A network draws, too (dropout), and does not where its steps are skipped. So the state of the generators is noted where a
loader begins a pass over its data, and before each of the last batches that come before a state is kept; a run that begins
with that state has them put back at the same places.
"""

import collections
import functools
import random
import sys

import torch
from torch.utils.data import dataloader

# Passes whose beginning is remembered: those of an evaluation come between two of the training.
PASSES = 256
# Steps before a state whose batches are drawn under its eyes: a loader may be this far ahead of the step.
AHEAD = 3


def taken():
    """The states of the process's own generators."""
    states = {"python": random.getstate(), "torch": torch.get_rng_state()}
    if "numpy" in sys.modules:
        states["numpy"] = sys.modules["numpy"].random.get_state()
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states["cuda"] = torch.cuda.get_rng_state_all()
    return states


def put_back(states):
    random.setstate(states["python"])
    torch.set_rng_state(states["torch"])
    if "numpy" in states:
        import numpy

        numpy.random.set_state(states["numpy"])
    if "cuda" in states:
        torch.cuda.set_rng_state_all(states["cuda"])


class Draws:
    """What is drawn between two steps of the loop, by the step before and by what draws: a ``pass`` that begins, or the
    next ``batch``. Of several between the same two steps the last one counts, which is the training's."""

    def __init__(self):
        self.after = None
        self.passes = collections.OrderedDict()
        self.batches = {}
        # Whether those of batches are noted.
        self.is_close = False
        # What is put back, in a run that skips steps.
        self.known = None

    def begin(self, what):
        """Something is about to draw."""
        if self.known is not None:
            states = self.known[what].get(self.after)
            if states is not None:
                put_back(states)
        elif what == "pass":
            self.passes[self.after] = taken()
            if len(self.passes) > PASSES:
                self.passes.popitem(last=False)
        elif self.is_close:
            self.batches[self.after] = taken()

    def noted(self):
        return {"pass": dict(self.passes), "batch": dict(self.batches)}


def watch(begin):
    """Has ``begin`` called where a loader begins a pass over its data. Stays for as long as the process."""
    iterator = dataloader._BaseDataLoaderIter
    init, reset = iterator.__init__, iterator._reset

    @functools.wraps(init)
    def watched_init(self, *args, **kwargs):
        begin()
        init(self, *args, **kwargs)

    @functools.wraps(reset)
    def watched_reset(self, loader, first_iter=False):
        # The first time it is a part of the making.
        if not first_iter:
            begin()
        return reset(self, loader, first_iter)

    iterator.__init__ = watched_init
    iterator._reset = watched_reset

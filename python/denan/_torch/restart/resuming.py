"""A re-run: the steps before a kept state are skipped, and what follows begins with it."""

import os
import sys

import torch

from denan._torch.restart import draws, state


class Resuming:
    """Skips the steps before the one of a state."""

    def __init__(self, watcher, plan):
        self.watcher = watcher
        self.draws = draws.Draws()
        try:
            # On the processor and, as far as that can be, where it lies on the disk; parts copy from it.
            self.content = torch.load(plan["file"], map_location="cpu", weights_only=False, mmap=True)
        except Exception as error:
            self.give_up(f"it cannot be read: {error}")
        self.draws.known = self.content["draws"]
        self.is_skipping = True
        self.own = None
        self.hook, sys.excepthook = sys.excepthook, self.ended_by

    def take(self, number, parts):
        """A step of the loop begins; False if it is to be skipped."""
        self.draws.after = number
        if not self.is_skipping or not parts:
            return True
        try:
            return self.skips(number, parts)
        except Exception as error:
            self.give_up(str(error))

    def skips(self, number, parts):
        watcher, kept_at = self.watcher, self.content["number"]
        watcher.begin()
        if self.own is None:
            self.own = state.settings_of(parts)
        if number > kept_at:
            raise ValueError(f"the loop came to step {number} without step {kept_at}, of which the state is")
        if number < kept_at:
            # As a backward pass would have.
            watcher.fetched.clear()
            return False
        state.put_back(parts, self.content["states"], self.content["first"], self.own)
        draws.put_back(self.content["generators"])
        self.draws.known = {"pass": {}, "batch": {}}
        self.content = None
        self.is_skipping = False
        sys.excepthook = self.hook
        if watcher.may_look:
            watcher.enter_look()
        return True

    def ended_by(self, kind, error, trace):
        """The program has failed while steps were skipped: it makes something of steps that were not made."""
        while trace.tb_next is not None:
            trace = trace.tb_next
        place = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"
        self.give_up(f"{kind.__name__} at {place} while steps were skipped: {error}")

    def give_up(self, why):
        """The run is none of the training that the state is of."""
        core = self.watcher.begin()
        core.note(f"the state was not put back: {why}")
        core.finish()
        os._exit(1)

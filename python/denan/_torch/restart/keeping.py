"""The first run: a state of the training is written now and then, so seldom that it costs next to nothing."""

import os
import shutil
import time

import torch

from denan._torch import finite
from denan._torch.restart import draws, state

# Steps from one state to the next: a break wants some steps between it and the state.
STEPS = 50
# Keeping states takes up to this share of the time.
SHARE = 0.01
# States that are there at the same time, beside the one that is being written.
KEPT = 2
# Until the first one has been written: bytes of a state that are written in a second, on a slow disk.
SPEED = 200e6
# The share of the free disk that they may take together.
DISK = 0.25


class Keeping:
    """Keeps states in a folder."""

    is_skipping = False

    def __init__(self, watcher, plan):
        self.watcher = watcher
        self.folder = plan["folder"]
        # Until a training has run this long, and from one state to the next: to run that again is no loss.
        self.pause = plan["seconds"]
        self.due = time.monotonic() + self.pause
        self.draws = draws.Draws()
        self.first = None
        self.kept_at = None
        self.close_steps = 0
        self.updates = 0
        self.files = []
        self.is_over = False

    def take(self, number, parts):
        """A step of the loop begins."""
        before, self.draws.after = self.draws.after, number
        if self.is_over or not parts:
            return True
        if before is not None and number <= before:
            self.give_up(f"after step {before} of the loop came step {number}, and numbers of steps are to rise")
            return True
        if self.first is None:
            self.begin(parts)
        updates, self.updates = self.updates, self.watcher.updates
        if time.monotonic() < self.due or (self.kept_at is not None and number < self.kept_at + STEPS):
            return True
        # The batches of the steps to come are drawn under observation.
        self.draws.is_close = True
        self.close_steps += 1
        # Right behind an update no gradients are on their way.
        if self.close_steps > draws.AHEAD + 1 and self.updates > updates:
            try:
                self.keep(number, parts)
            except Exception as error:
                self.give_up(f"{type(error).__name__}: {error}")
        return True

    def begin(self, parts):
        from denan._torch.watcher import rank

        self.first = state.settings_of(parts)
        # Each rank would keep its own, at a time of its own.
        self.is_over = rank() is not None or self.watcher.is_guarded
        models = [part for part in parts if isinstance(part, torch.nn.Module)]
        # With two more of each for the optimizer.
        size = 3 * sum(parameter.nbytes for model in models for parameter in model.parameters())
        self.due += size / SPEED / SHARE

    def keep(self, number, parts):
        began = time.monotonic()
        self.draws.is_close = False
        self.close_steps = 0
        self.watcher.end_pending_step()
        if self.watcher.core.has_broken():
            # No later one is of use.
            self.is_over = True
            return
        self.kept_at = number
        states = [state.of(part) for part in parts]
        tensors = list(tensors_of(states))
        size = sum(tensor.nbytes for tensor in tensors)
        if size * (KEPT + 1) > DISK * shutil.disk_usage(self.folder).free:
            self.give_up(f"each takes {size / 1e9:.1f} GB, and the disk of {self.folder} has no room for them")
            return
        if not finite.bad_among([tensor for tensor in tensors if tensor.is_floating_point()]):
            self.write(number, states)
        self.draws.batches.clear()
        took = time.monotonic() - began
        self.due = began + max(self.pause, took / SHARE)

    def write(self, number, states):
        steps = self.watcher.core.step_number()
        content = {
            "number": number,
            "states": states,
            "first": self.first,
            "draws": self.draws.noted(),
            "generators": draws.taken(),
        }
        path = os.path.join(self.folder, f"{steps}.state")
        torch.save(content, path + ".part")
        os.rename(path + ".part", path)
        self.files.append(path)
        for old in self.files[:-KEPT]:
            os.remove(old)
        del self.files[:-KEPT]

    def give_up(self, why):
        """No states any more: re-runs begin at the beginning. That is of interest only where something breaks."""
        self.is_over = True
        for name in os.listdir(self.folder):
            os.remove(os.path.join(self.folder, name))
        with open(os.path.join(self.folder, "why"), "w", encoding="utf-8") as file:
            file.write(why)


def tensors_of(content):
    """The tensors in states."""
    if isinstance(content, torch.Tensor):
        yield content
    elif isinstance(content, dict):
        for value in content.values():
            yield from tensors_of(value)
    elif isinstance(content, (list, tuple)):
        for value in content:
            yield from tensors_of(value)

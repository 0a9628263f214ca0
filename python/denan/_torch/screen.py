"""Samples gone through forward and loss only, to find those whose loss is not finite by itself.

The program's own loop does it. From the backward pass on at which the screen begins, its loader is asked for batches of
the screen's choice, nothing is run backward and no parameter is updated. A batch with a bad loss is halved until the
samples are found that are bad alone; to keep the batch's size, which networks and losses may rely on, good samples take
the place of those left out.
"""

import math
import os
from collections import deque

import torch

from denan._torch.samples import resolve

# Good samples that are kept to fill batches.
MOST_GOOD = 4096


class Group:
    """Samples that are tried together: positions in the loader's data set."""

    def __init__(self, members, parent=None):
        self.members = members
        self.parent = parent
        self.open_halves = 0
        self.is_explained = False


class Screen:
    """Goes through a data set from a step on, or through the batch of that step."""

    def __init__(self, watcher, step, is_whole):
        self.watcher = watcher
        self.core = watcher.core
        self.step = step
        self.is_whole = is_whole
        self.is_over = False
        # The loader's iterator, once it has begun; and the batches that came before, since the last backward pass.
        self.iterator = None
        self.latest = []
        # Groups to be asked for, those that are on their way, and those that came and wait for their loss.
        self.waiting, self.asked, self.came = deque(), deque(), deque()
        self.good, self.size = deque(maxlen=MOST_GOOD), 0
        self.checked, self.bad, self.together = 0, [], []

    @property
    def is_active(self):
        return self.iterator is not None

    # The loader

    def choose(self, iterator):
        """A list with what a loader is to be asked for, empty at the end; None where it chooses by itself."""
        if iterator is not self.iterator or self.iterator is None:
            return None
        if not self.waiting:
            return []
        group = self.waiting.popleft()
        self.asked.append(group)
        return [self.filled(group.members) if self.in_batches else group.members[0]]

    def filled(self, members):
        missing = self.size - len(members)
        others = list(self.good)[-missing:] if missing > 0 else []
        rest = missing - len(others)
        return members + others + [members[at % len(members)] for at in range(rest)]

    def begin_fetch(self, iterator):
        """A batch is about to be taken. Workers that have nothing to do are told of what has come up since."""
        is_served = hasattr(iterator, "_try_put_index") and iterator._send_idx == iterator._rcvd_idx
        if iterator is self.iterator and self.waiting and is_served:
            iterator._try_put_index()

    def came_from(self, iterator, index):
        """A batch of these positions has come."""
        if not self.is_active:
            self.latest.append((iterator, index))
        elif iterator is self.iterator:
            members = as_list(index)
            if self.asked and members[: len(self.asked[0].members)] == self.asked[0].members:
                self.came.append(self.asked.popleft())
            else:
                # It was under way when the screen began.
                self.came.append(Group(members))

    # The losses

    def takes(self, losses):
        """The backward pass would begin at these. `True` if nothing is to be trained."""
        loss = sum(float(loss.detach().sum()) for loss in losses)
        latest, self.latest = self.latest, []
        if not self.is_active:
            if self.core.step_number() < self.step:
                if math.isfinite(loss):
                    self.good.extend(member for _, index in latest for member in as_list(index))
                return False
            self.begin(*latest[-1] if latest else (None, None))
        if self.judge(loss):
            self.end()
        for optimizer in self.watcher.optimizers:
            for parameter in parameters_of(optimizer):
                # What the program does with gradients finds some.
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
        return True

    def begin(self, iterator, index):
        if iterator is None:
            self.end("its batches come from no DataLoader")
        try:
            count = len(iterator._dataset)
            first = as_list(index)
        except TypeError:
            self.end("its data set has no indices")
        self.iterator = iterator
        self.in_batches = isinstance(index, (list, tuple))
        self.size = len(first)
        self.came.append(Group(first))
        if self.is_whole:
            for start in range(0, count, self.size):
                self.waiting.append(Group(list(range(start, min(start + self.size, count)))))

    def judge(self, loss):
        """The loss of the batch that came first and has none yet. `True` once nothing is left to do."""
        if self.came:
            group = self.came.popleft()
            if math.isfinite(loss):
                self.good.extend(group.members)
                self.finished(group)
            elif len(group.members) == 1:
                self.bad.append((group.members[0], loss))
                self.explain(group)
                self.finished(group)
            else:
                middle = len(group.members) // 2
                halves = [Group(part, group) for part in (group.members[:middle], group.members[middle:])]
                group.open_halves = 2
                self.waiting.extendleft(reversed(halves))
            if group.parent is None:
                self.checked += len(group.members)
        return not (self.waiting or self.asked or self.came)

    def explain(self, group):
        while group is not None:
            group.is_explained = True
            group = group.parent

    def finished(self, group):
        parent = group.parent
        while parent is not None:
            parent.open_halves -= 1
            if parent.open_halves > 0:
                return
            if not parent.is_explained:
                self.together.append(parent.members)
                self.explain(parent)
            parent = parent.parent

    def forget_gradients(self, optimizer):
        """Without gradients an optimizer updates nothing."""
        for parameter in parameters_of(optimizer):
            parameter.grad = None

    # The end

    def give_up(self):
        """The program ends."""
        if not self.is_over:
            self.tell("the program ended before" if self.is_active else "the program ended before it began")

    def tell(self, gave_up=None):
        """Tells what was found, by the indices and names of the user's data set."""
        self.is_over = True
        name = lambda position: resolve(self.iterator._dataset, position)
        # Batches that were under way when the screen began hold samples that come again.
        bad = dict(self.bad)
        self.core.screened(
            min(self.checked, len(self.iterator._dataset)) if self.is_active else 0,
            sorted((*name(position), loss) for position, loss in bad.items()),
            [[name(position) for position in group] for group in self.together],
            gave_up,
        )

    def end(self, gave_up=None):
        """Ends the program: it is there for this alone."""
        self.tell(gave_up)
        self.watcher.finish()
        os._exit(0)


def parameters_of(optimizer):
    return (parameter for group in optimizer.param_groups for parameter in group["params"])


def as_list(index):
    return [int(one) for one in index] if isinstance(index, (list, tuple)) else [int(index)]

"""Trainings that update their parameters by hand, ``parameter -= rate * parameter.grad``, with no optimizer of torch.

Which parameters there are is read off the graph of the loss. Whether they have been updated shows when the next backward
pass begins: a step ends there.
"""

import torch

from denan._torch import memory
from denan._torch.places import variables_of

# Nodes of a graph that are gone through in each step; a larger network keeps the parameters of its first step.
MOST = 2000


class ByHand:
    """The parameters of such a training, in the order in which the graph leads to them."""

    def __init__(self, watcher):
        self.watcher = watcher
        self.leaves = []
        self.slots = []

    def begin_backward(self, losses):
        """A backward pass begins. `True` if the parameters have been updated since the one before it."""
        leaves, is_whole = leaves_of(losses)
        if not self.slots:
            self.leaves = leaves
            self.slots = [self.slot_of(leaf) for leaf in leaves]
            return False
        # Parameters may be new tensors in each step (`w = (w - rate * w.grad).detach()`).
        if is_whole and [leaf.shape for leaf in leaves] == [leaf.shape for leaf in self.leaves]:
            self.leaves = leaves
        return self.have_changed()

    def have_changed(self):
        """Hands the values over. Whether they differ from those before the update."""
        keep = []
        figures = self.watcher.figures
        values = [(slot, figures(leaf.detach(), keep)) for slot, leaf in zip(self.slots, self.leaves)]
        return self.watcher.core.after_update_by_hand(values)

    def end_backward(self):
        """The gradients are there, and the parameters as they were."""
        values, gradients, keep = [], [], []
        for slot, leaf in zip(self.slots, self.leaves):
            if leaf.grad is not None:
                values.append((slot, memory.handed(leaf.detach(), keep)))
                gradients.append((slot, self.watcher.figures(leaf.grad.detach(), keep)))
        self.watcher.core.before_update(0, values, gradients, None, None)

    def slot_of(self, leaf):
        core, keep = self.watcher.core, []
        name = variables_of(self.watcher.places.frame()).get(id(leaf))
        dtype = memory.NAMES.get(leaf.dtype, "other")
        return core.parameter(name, tuple(leaf.shape), dtype, memory.handed(leaf.detach(), keep))


def leaves_of(losses):
    """The tensors at the leaves of a graph that gather gradients, in its order, and whether all of it was seen."""
    waiting = [loss.grad_fn for loss in losses if isinstance(loss, torch.Tensor) and loss.grad_fn is not None]
    seen, leaves = set(waiting), []
    while waiting and len(seen) <= MOST:
        node = waiting.pop()
        variable = getattr(node, "variable", None)
        if variable is not None:
            leaves.append(variable)
        for following, _ in reversed(node.next_functions):
            if following is not None and following not in seen:
                seen.add(following)
                waiting.append(following)
    return leaves, not waiting

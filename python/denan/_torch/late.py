"""Values that a device is still at work on: copied without waiting, and told when they are there."""

import functools
from collections import deque

import torch

from denan._torch import memory

# Values that may be under way. The program waits for one that is older.
MOST = 8


class Late:
    """Losses of a training on a device, figures of its parameters, and what it made in evaluations, in their order."""

    def __init__(self, core):
        self.core = core
        self.waiting = deque()

    def put(self, loss):
        """Begins the copy of a loss."""
        self.core.loss_later()
        self.waiting.append((*copy_of(loss.detach()), self.core.late_loss))

    def put_output(self, output, samples):
        """Begins the copy of one value of an output: NaN if there is a NaN in it."""
        output = output.detach()
        value = torch.where(output.isnan().any(), torch.nan, 0.0)
        step = self.core.step_number()
        self.waiting.append((*copy_of(value), lambda handed: self.core.evaluated(handed, samples, step)))

    def put_figures(self, of_gradients, slots, tensors):
        """Begins the copy of largest magnitudes and norms of gradients, or of parameters after their update."""
        by_device = {}
        for slot, tensor in zip(slots, tensors):
            by_device.setdefault((tensor.device, tensor.dtype), ([], []))
            for some, one in zip(by_device[tensor.device, tensor.dtype], (slot, tensor.detach())):
                some.append(one)
        for slots, tensors in by_device.values():
            with torch.no_grad():
                # A norm may overflow where no value has, in half precision above all.
                largest, norms = (norms_of(tensors, order) for order in (float("inf"), 2))
                figures = torch.stack([norm.float() for norm in (*largest, *norms)])
            self.core.figures_later()
            tell = functools.partial(self.core.late_figures, of_gradients, slots)
            self.waiting.append((*copy_of(figures), tell))

    def tell(self, *, all=False):
        """Tells the values that are there; with `all` those that are not, too, once they are."""
        while self.waiting:
            host, done, tell = self.waiting[0]
            if not all and len(self.waiting) <= MOST and not done.query():
                return
            done.synchronize()
            self.waiting.popleft()
            tell(memory.handed(host, []))


def norms_of(tensors, order):
    """The norm of each of some tensors of one type, all together on their device."""
    if tensors[0].dtype in (torch.float16, torch.bfloat16):
        try:
            return torch._foreach_norm(tensors, order, torch.float32)
        except TypeError:
            # A version of torch that knows no type of the result.
            pass
    return torch._foreach_norm(tensors, order)


def is_late(tensor):
    """Whether to read a tensor now would wait for a device."""
    return not tensor.is_cpu and tensor.device.type in ("cuda", "xpu")


def copy_of(tensor):
    """A copy in the processor's memory that is being made, and the event of its end."""
    host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    host.copy_(tensor, non_blocking=True)
    done = getattr(torch, tensor.device.type).Event()
    done.record()
    return host, done

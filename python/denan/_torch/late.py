"""Values that a device is still at work on: copied without waiting, and told when they are there."""

from collections import deque

import torch

from denan._torch import memory

# Values that may be under way. The program waits for one that is older.
MOST = 8


class Late:
    """Losses of a training on a device, and what it made in evaluations, in their order."""

    def __init__(self, core):
        self.core = core
        self.waiting = deque()

    def put(self, loss):
        """Begins the copy of a loss."""
        self.core.loss_later()
        self.waiting.append((*copy_of(loss.detach()), None))

    def put_output(self, output, samples):
        """Begins the copy of one value of an output: NaN if there is a NaN in it."""
        output = output.detach()
        value = torch.where(output.isnan().any(), torch.nan, 0.0)
        self.waiting.append((*copy_of(value), (samples, self.core.step_number())))

    def tell(self, *, all=False):
        """Tells the values that are there; with `all` those that are not, too, once they are."""
        while self.waiting:
            host, done, evaluated = self.waiting[0]
            if not all and len(self.waiting) <= MOST and not done.query():
                return
            done.synchronize()
            self.waiting.popleft()
            if evaluated is None:
                self.core.late_loss(memory.handed(host, []))
            else:
                self.core.evaluated(memory.handed(host, []), *evaluated)


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

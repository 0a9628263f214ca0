"""Kernels and strides of the poolings of a network, modules and calls, seen in its first step."""

from torch import overrides
from torch.overrides import TorchFunctionMode

from denan._torch import modes


class Poolings(TorchFunctionMode):
    """Tells each pooling that is called until it is left."""

    def __init__(self, tell):
        super().__init__()
        self.tell = tell

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = getattr(function, "__name__", "")
        if name.startswith(("max_pool", "avg_pool")):
            kernel = args[1] if len(args) > 1 else kwargs.get("kernel_size")
            stride = args[2] if len(args) > 2 else kwargs.get("stride")
            self.tell(name.removesuffix("_with_indices"), kernel, stride)
        return function(*args, **kwargs)

    def leave(self):
        modes.leave(self, overrides)


def sizes(op, size):
    """A size for each dimension that a pooling such as `max_pool2d` has; None if it is no such thing."""
    dims = int(op[-2]) if op.endswith("d") and op[-2].isdigit() else 1
    sizes = list(size) if isinstance(size, (tuple, list)) else [size]
    if not all(isinstance(one, int) for one in sizes):
        return None
    return sizes * dims if len(sizes) == 1 else sizes

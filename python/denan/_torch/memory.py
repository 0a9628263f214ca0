"""A tensor as the native half reads it: ``(storage, pointer, dtype, shape, strides)``."""

import torch
from torch.multiprocessing.reductions import StorageWeakRef

NAMES = {
    getattr(torch, name): name
    for name in (
        "float32 float64 float16 bfloat16 int64 int32 int16 int8 uint8 bool complex64 complex128"
    ).split()
}


def plain(tensor):
    """The local, dense part of a tensor: of a shard (DTensor) the own one, of a sparse gradient its values."""
    if type(tensor) is torch.Tensor or type(tensor) is torch.nn.Parameter:
        return tensor._values() if tensor.layout is torch.sparse_coo else tensor
    local = getattr(tensor, "_local_tensor", None)
    return local if local is not None else tensor


def is_readable(tensor):
    """Whether the processor can read its memory as it is."""
    return tensor.is_cpu and tensor.layout is torch.strided and not tensor.is_quantized


def handed(tensor, keep):
    """For figures alone: the storage is of no interest.

    The tensor, and the copies that are added to `keep`, must live until the call returns.
    """
    if type(tensor) is not torch.Tensor or not is_readable(tensor):
        tensor = plain(tensor)
        if not is_readable(tensor):
            tensor = readable(tensor)
            keep.append(tensor)
    return (0, tensor.data_ptr(), NAMES.get(tensor.dtype, "other"), tuple(tensor.shape), tensor.stride())


def readable(tensor):
    """A copy in the processor's memory; an empty one of what has no memory (meta)."""
    with torch.no_grad():
        tensor = tensor.detach()
        if tensor.layout is not torch.strided:
            tensor = tensor.to_dense()
        return tensor.cpu()


class Storages:
    """Numbers of storages. A number is not given again while the object lives."""

    def __init__(self):
        self.seen = {}

    def number(self, tensor):
        storage = tensor.untyped_storage()
        number = storage._cdata
        if number not in self.seen:
            # As long as a weak reference is held, no other storage gets this address.
            self.seen[number] = StorageWeakRef(storage)
        return number

    def forget_dead(self):
        """Gives the numbers of storages that are gone free."""
        self.seen = {number: seen for number, seen in self.seen.items() if not seen.expired()}

    def handed(self, tensor, keep):
        """A tensor with its storage. Copies that had to be made are added to `keep`, which must outlive the call."""
        tensor = plain(tensor)
        shape = tuple(tensor.shape)
        name = NAMES.get(tensor.dtype, "other")
        try:
            number = self.number(tensor)
            pointer, strides = tensor.data_ptr(), tensor.stride()
        except (RuntimeError, NotImplementedError):
            # Fake tensors, wrappers of transforms and sparse tensors have no storage.
            return (id(tensor), 0, name, shape, (0,) * len(shape))
        if not is_readable(tensor):
            copy = readable(tensor)
            keep.append(copy)
            return (number, pointer, name, shape, strides, copy.data_ptr(), copy.stride())
        return (number, pointer, name, shape, strides)

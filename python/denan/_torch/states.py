"""States of a training that a guard can go back to: parameters, buffers and the optimizers' states, in the processor's
memory and bounded.

A state is put back in place, so that whoever holds on to a tensor holds on to the right one. Rates, schedules and random
generators are left as they are.
"""

import os

import torch

from denan._torch import memory


class Kept:
    """A state: the training was in it before a step."""

    def __init__(self, step, tensors, optimizers, old=None):
        self.step = step
        spare = old.copies if old is not None else {}
        self.copies = {}
        self.bytes = 0
        self.tensors = [(tensor, self.copy(id(tensor), tensor, spare)) for tensor in tensors]
        self.states = []
        for optimizer in optimizers:
            state = {}
            for key, values in optimizer.state.items():
                if isinstance(values, dict):
                    values = {name: self.copy((id(key), name), value, spare) for name, value in values.items()}
                else:
                    values = self.copy((id(key), None), values, spare)
                state[key] = values
            self.states.append((optimizer, state))

    def copy(self, key, value, spare):
        """A copy of a value; the memory of an older state's is used again."""
        if isinstance(value, torch.Tensor):
            value = memory.plain(value).detach()
            copy = spare.get(key)
            if copy is None or copy.shape != value.shape or copy.dtype != value.dtype:
                copy = torch.empty(value.shape, dtype=value.dtype, device="cpu")
            copy.copy_(value)
            self.copies[key] = copy
            self.bytes += copy.numel() * copy.element_size()
            return copy
        return copied(value)

    def put_back(self):
        """The training is again in this state."""
        with torch.no_grad():
            for tensor, copy in self.tensors:
                memory.plain(tensor).detach().copy_(copy)
            for optimizer, state in self.states:
                for key in [key for key in optimizer.state if key not in state]:
                    del optimizer.state[key]
                for key, values in state.items():
                    if not isinstance(values, dict):
                        optimizer.state[key] = copied(values)
                        continue
                    live = optimizer.state[key]
                    for name in [name for name in live if name not in values]:
                        del live[name]
                    for name, value in values.items():
                        there = live.get(name)
                        if isinstance(value, torch.Tensor) and isinstance(there, torch.Tensor):
                            local = memory.plain(there).detach()
                            if local.shape == value.shape:
                                local.copy_(value)
                                continue
                            value = value.to(local.device)
                        live[name] = copied(value)


def copied(value):
    """A copy of a state's value with everything in it."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, (list, tuple)):
        return type(value)(copied(one) for one in value) if type(value) in (list, tuple) else value
    if type(value) is dict:
        return {key: copied(one) for key, one in value.items()}
    return value


def tensors_of(optimizer):
    """The tensors of an optimizer's state, with words for each."""
    for key, values in optimizer.state.items():
        for name, value in values.items() if isinstance(values, dict) else ((None, values),):
            for tensor in value if isinstance(value, (list, tuple)) else (value,):
                if isinstance(tensor, torch.Tensor):
                    yield key, name, tensor


def size_of(tensors, optimizers):
    """Bytes that a state takes."""
    sizes = [memory.plain(tensor).nbytes for tensor in tensors]
    sizes += [memory.plain(tensor).nbytes for optimizer in optimizers for _, _, tensor in tensors_of(optimizer)]
    return sum(sizes)


def limit_of(share):
    """Bytes that states may take together: up to 1 a share of what is free, above it bytes."""
    if share > 1:
        return int(share)
    try:
        with open("/proc/meminfo") as file:
            lines = dict(line.split(":", 1) for line in file)
        free = int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        try:
            free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
        except (OSError, ValueError):
            free = 1 << 31
    return int(share * free)


class Buffers:
    """Copies of the networks' buffers as they were after the last good step, where they lie: a batch that is dropped has
    gone through the forward pass, and its statistics with it."""

    # Larger ones are tables that no batch changes.
    MOST_ELEMENTS = 1 << 20

    def __init__(self):
        self.live = []
        self.copies = []
        self.known = set()

    def know(self, buffer):
        if id(buffer) in self.known or buffer.numel() > self.MOST_ELEMENTS or buffer.layout is not torch.strided:
            return
        self.known.add(id(buffer))
        self.live.append(buffer)
        self.copies.append(memory.plain(buffer).detach().clone())

    def keep(self):
        if self.live:
            with torch.no_grad():
                torch._foreach_copy_(self.copies, [memory.plain(buffer) for buffer in self.live])

    def put_back(self, only=None):
        with torch.no_grad():
            for at, (buffer, copy) in enumerate(zip(self.live, self.copies)):
                if only is None or at in only:
                    memory.plain(buffer).copy_(copy)

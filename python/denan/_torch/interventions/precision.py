"""float32 in the place of float16, and the size of the loss that the backward pass starts from."""

import functools

import torch

from denan._torch.interventions import Intervention, around
from denan._torch.interventions.calls import AtCalls
from denan._torch.interventions.data import mapped
from denan._torch.interventions.gradients import parameters


def float32(watcher, plan):
    """One call, or all of the training."""
    return OneCall(watcher, plan) if plan.get("only") else Everywhere(watcher, plan)


class OneCall(AtCalls):
    """Calls of one name at one line get their float16 tensors as float32, autocast or not."""

    def call(self, name, function, args, kwargs):
        only = self.plan["only"]
        if name != only["op"] or not self.is_at(only):
            return function(*args, **kwargs)
        self.acts()
        device = next((one.device.type for one in args if isinstance(one, torch.Tensor)), "cpu")
        with torch.autocast(device, enabled=False):
            return function(*mapped(args, wide), **mapped(kwargs, wide))


class Everywhere(AtCalls):
    """Nothing is made float16: no autocast, no cast."""

    def begin(self):
        super().begin()
        enter = torch.autocast.__enter__
        intervention = self

        @functools.wraps(enter)
        def entered(region, *args, **kwargs):
            if region._enabled and region.fast_dtype == torch.float16:
                intervention.acts()
                region._enabled = False
            return enter(region, *args, **kwargs)

        torch.autocast.__enter__ = entered
        set_default = torch.set_default_dtype

        @functools.wraps(set_default)
        def watched_set_default(dtype):
            set_default(torch.float32 if dtype is torch.float16 else dtype)

        torch.set_default_dtype = watched_set_default

    def call(self, name, function, args, kwargs):
        if name == "half":
            self.acts()
            return args[0].float()
        is_half = any(one is torch.float16 for one in (*args, *kwargs.values()))
        if not is_half or name in ("finfo", "eq", "ne"):
            return function(*args, **kwargs)
        self.acts()
        return function(*map(single, args), **{key: single(value) for key, value in kwargs.items()})


class ScaleLoss(Intervention):
    """The backward pass starts from a factor instead of 1, and the optimizer reads gradients divided by it."""

    def __init__(self, watcher, plan):
        super().__init__(watcher, plan)
        self.scaled = False

    def begin(self):
        around.backward(self)

    def backward(self, tensors, args, kwargs):
        self.acts()
        self.scaled = True
        return starting_from(self.plan["factor"], tensors, args, kwargs)

    def before_update(self, optimizer):
        if not self.scaled:
            return
        with torch.no_grad():
            for parameter in parameters(optimizer):
                if parameter.grad is not None:
                    parameter.grad.div_(self.plan["factor"])


class MeanLoss(Intervention):
    """The backward pass starts from 1 over the number of elements that the loss adds up."""

    def begin(self):
        around.backward(self)

    def backward(self, tensors, args, kwargs):
        self.acts()
        return starting_from(1.0 / self.plan["elements"], tensors, args, kwargs)


def starting_from(factor, tensors, args, kwargs):
    """Arguments of `torch.autograd.backward` that start it from a factor times what it would start from."""
    given = args[0] if args else kwargs.get("grad_tensors")
    tensors = [tensors] if isinstance(tensors, torch.Tensor) else list(tensors)
    given = [given] * len(tensors) if given is None or isinstance(given, torch.Tensor) else list(given)
    starts = [
        (torch.ones_like(tensor) if start is None else start) * factor for tensor, start in zip(tensors, given)
    ]
    if args:
        return (starts, *args[1:]), kwargs
    return args, {**kwargs, "grad_tensors": starts}


def wide(tensor):
    return tensor.float() if tensor.dtype == torch.float16 else tensor


def single(argument):
    return torch.float32 if argument is torch.float16 else argument

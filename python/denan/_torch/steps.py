"""A step of an optimizer that a guard lets be made, at a lower rate, or has nothing to do."""

import weakref

import torch


class Found:
    """Something that is not finite: a ``loss``, a ``gradient`` or a ``value``, and in words."""

    def __init__(self, kind, tensor, parameter, words):
        self.kind = kind
        self.tensor = tensor
        self.parameter = parameter
        self.words = words


class Entry:
    """An optimizer, and what is kept of it from call to call."""

    def __init__(self, optimizer):
        self.optimizer = weakref.ref(optimizer)
        self.bad_in_a_row = 0
        self.updates = 0
        # Whether the step under way is made, and not skipped.
        self.is_stepping = False
        self.is_decided = False
        # Parameters and the gradients that they have outside of a step that is skipped.
        self.hidden = None
        # Whether these are to be 0 from then on: a program may add to them for ever.
        self.clears = False
        self.groups = None
        self.rates = None
        # Parameters as they were before a step that moves them several times.
        self.before = None
        # The look at the parameters after the last update, until it is known what came of it.
        self.look = None
        self.looked_at = ()

    def parameters(self):
        return parameters_of(self.optimizer())

    def hide(self):
        """Lets the optimizer have no gradients."""
        if self.hidden is None:
            optimizer = self.optimizer()
            self.hidden = []
            # Some count their steps there.
            self.groups = [
                {name: value for name, value in group.items() if isinstance(value, (int, float))}
                for group in optimizer.param_groups
            ]
        for parameter in self.parameters():
            if parameter.grad is not None:
                self.hidden.append((parameter, parameter.grad))
                parameter.grad = None

    def lower(self, factor):
        """Multiplies the rates for as long as the step lasts."""
        if factor == 1 or self.rates is not None:
            return
        self.rates = []
        for group in self.optimizer().param_groups:
            rate = group.get("lr")
            if isinstance(rate, torch.Tensor):
                self.rates.append((group, rate, rate.detach().clone()))
                rate.detach().mul_(factor)
            elif isinstance(rate, (int, float)):
                self.rates.append((group, None, rate))
                group["lr"] = rate * factor

    def undo(self):
        """The step is over: gradients and rates are again what the program made them."""
        if self.rates is not None:
            for group, tensor, rate in self.rates:
                if tensor is None:
                    group["lr"] = rate
                else:
                    tensor.detach().copy_(rate)
            self.rates = None
        if self.hidden is not None:
            for parameter, gradient in self.hidden:
                if self.clears:
                    gradient.detach().zero_()
                if parameter.grad is None:
                    parameter.grad = gradient
            for group, values in zip(self.optimizer().param_groups, self.groups):
                group.update(values)
            self.hidden = self.groups = None
        self.clears = False
        self.before = None
        self.is_stepping = self.is_decided = False


def parameters_of(optimizer):
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]

"""What an optimizer makes of the gradients: its rate and its other settings, or another optimizer in its place.

A rate is changed for the time of one update and put back, so that whatever sets it (a scheduler, the program) goes on as
it would.
"""

import torch

from denan._torch.interventions import Intervention
from denan._torch.interventions.gradients import parameters


class _Rate(Intervention):
    """Another rate for the time of an update."""

    def __init__(self, watcher, plan):
        super().__init__(watcher, plan)
        self.old = {}
        self.updates = {}

    def rate(self, old, updates):
        """The rate of an optimizer's update of this number, in the place of the old one."""
        raise NotImplementedError

    def before_update(self, optimizer):
        number = self.updates.get(id(optimizer), 0)
        self.updates[id(optimizer)] = number + 1
        self.old[id(optimizer)] = [group.get("lr") for group in optimizer.param_groups]
        for group in optimizer.param_groups:
            old = group.get("lr")
            if old is None:
                continue
            new = self.rate(float(old), number)
            if new != float(old):
                self.acts()
                group["lr"] = torch.full_like(old, new) if isinstance(old, torch.Tensor) else new

    def after_update(self, optimizer):
        for group, old in zip(optimizer.param_groups, self.old.pop(id(optimizer), [])):
            if old is not None:
                group["lr"] = old


class LowerLearningRate(_Rate):
    """A fraction of the rate."""

    def rate(self, old, updates):
        return old * self.plan["factor"]


class ConstantLearningRate(_Rate):
    """The same rate in every update."""

    def rate(self, old, updates):
        return self.plan["rate"]


class WarmUp(_Rate):
    """A rate that rises evenly over the first updates."""

    def rate(self, old, updates):
        return old * min(1.0, (updates + 1) / max(1, self.plan["steps"]))


class LowerReleasedRate(Intervention):
    """A fraction of each update of a part of the network, which is what a lower rate of that part makes."""

    def __init__(self, watcher, plan):
        super().__init__(watcher, plan)
        self.slots = {chosen["slot"] for chosen in plan["parameters"]}
        self.before = []

    def before_update(self, optimizer):
        self.before = [
            (parameter, parameter.detach().clone())
            for slot, parameter in self.watcher.parameters_of(optimizer)
            if slot in self.slots and parameter.grad is not None
        ]

    def after_update(self, optimizer):
        with torch.no_grad():
            for parameter, before in self.before:
                if not torch.equal(parameter, before):
                    self.acts()
                    # A rate of 0 makes an update of 0, whatever the gradient.
                    parameter.copy_(before + self.plan["factor"] * (parameter - before))
        self.before = []


class _Setting(Intervention):
    """Another value of a setting that every group of an optimizer has."""

    name, value = "", ""

    def before_update(self, optimizer):
        for group in optimizer.param_groups:
            if self.name in group and group[self.name] != self.plan[self.value]:
                self.acts()
                group[self.name] = self.plan[self.value]


class RaiseEpsilon(_Setting):
    """What keeps the divisor of an adaptive optimizer away from 0."""

    name, value = "eps", "epsilon"


class WeightDecay(_Setting):
    """L2 regularisation, in the optimizer's own way: of AdamW decoupled from the gradient, of others added to it."""

    name, value = "weight_decay", "penalty"


class ChangeOptimizer(Intervention):
    """Another optimizer for the same parameters. The old one makes its step without gradients, which moves nothing."""

    def __init__(self, watcher, plan):
        super().__init__(watcher, plan)
        self.others = {}
        self.first_rates = {}
        self.gradients = []

    def update(self, optimizer):
        other = self.others.get(id(optimizer))
        if other is None:
            other = self.others[id(optimizer)] = self.make(optimizer)
            self.first_rates[id(optimizer)] = [float(group.get("lr") or 1.0) for group in optimizer.param_groups]
        self.acts()
        rates = self.first_rates[id(optimizer)]
        for group, own, first in zip(other.param_groups, optimizer.param_groups, rates):
            # A schedule multiplies the rate that it finds, whatever that is.
            scheduled = float(own.get("lr") or first) / first if first else 1.0
            group["lr"] = self.plan["rate"] * scheduled
        type(other).step.__wrapped__(other) if hasattr(type(other).step, "__wrapped__") else other.step()
        self.gradients = [(parameter, parameter.grad) for parameter in parameters(optimizer)]
        for parameter, _ in self.gradients:
            parameter.grad = None

    def after_update(self, optimizer):
        for parameter, gradient in self.gradients:
            parameter.grad = gradient
        self.gradients = []

    def make(self, optimizer):
        groups = []
        for group in optimizer.param_groups:
            own = {"params": list(group["params"])}
            if group.get("weight_decay"):
                own["weight_decay"] = group["weight_decay"]
            groups.append(own)
        rate = self.plan["rate"]
        optimizers = self.watcher.optimizers
        made = {
            "sgd": lambda: torch.optim.SGD(groups, lr=rate),
            "adam": lambda: torch.optim.Adam(groups, lr=rate),
            "adam-w": lambda: torch.optim.AdamW(groups, lr=rate),
            "ams-grad": lambda: torch.optim.Adam(groups, lr=rate, amsgrad=True),
        }[self.plan["to"]]()
        # It is no optimizer of the program.
        optimizers.discard(made)
        return made

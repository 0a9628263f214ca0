"""Gradients, after the backward pass and before the optimizer reads them."""

import torch

from denan._torch.interventions import Intervention, around


class ZeroGrad(Intervention):
    """Sets the gradients of an optimizer to zero before the first backward pass after each of its updates."""

    def __init__(self, watcher, plan):
        super().__init__(watcher, plan)
        self.updated = []

    def begin(self):
        around.backward(self)

    def after_update(self, optimizer):
        if optimizer not in self.updated:
            self.updated.append(optimizer)

    def backward(self, tensors, args, kwargs):
        for optimizer in self.updated:
            for parameter in parameters(optimizer):
                if parameter.grad is not None:
                    self.acts()
                    parameter.grad = None
        self.updated.clear()
        return args, kwargs


class ClipGradients(Intervention):
    """Bounds gradients: each by its norm, all of an optimizer together, or element by element."""

    def before_update(self, optimizer):
        with torch.no_grad():
            gradients = [one.grad for one in parameters(optimizer) if one.grad is not None]
            by, limit = self.plan["by"], self.plan["limit"]
            if by == "value":
                if any(bool((one.abs() > limit).any()) for one in gradients):
                    self.acts()
                    for one in gradients:
                        one.clamp_(-limit, limit)
            elif by == "global-norm":
                self.shrink(gradients, torch.nn.utils.get_total_norm(gradients) if gradients else 0.0, limit)
            else:
                for one in gradients:
                    self.shrink([one], torch.linalg.vector_norm(one), limit)

    def shrink(self, gradients, norm, limit):
        # As torch's own `clip_grad_norm_`.
        factor = limit / (float(norm) + 1e-6)
        if factor < 1.0:
            self.acts()
            for one in gradients:
                one.mul_(factor)


class Held(Intervention):
    """Holds some parameters as they are: a part that was released, weights and biases of BatchNorm layers."""

    def __init__(self, watcher, plan):
        super().__init__(watcher, plan)
        self.slots = {chosen["slot"] for chosen in plan["parameters"]}

    def before_update(self, optimizer):
        for slot, parameter in self.watcher.parameters_of(optimizer):
            if slot in self.slots and parameter.grad is not None:
                self.acts()
                parameter.grad = None


def parameters(optimizer):
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]

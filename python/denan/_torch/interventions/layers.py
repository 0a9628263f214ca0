"""The network itself: the values it begins with, its normalisation."""

import functools

import torch
import torch.nn.functional as F

from denan._torch.interventions import Intervention
from denan._torch.interventions.calls import AtCalls
from denan._torch.interventions.gradients import Held, parameters
from denan._torch.networks import plain_path, unwrapped

# Always the same numbers, and none of the program's own generators.
SEED = 0x64656E


class Reinitialize(Intervention):
    """Other values for parameters and buffers, before the network is first called; once more if the program has written
    others in between (a checkpoint)."""

    def __init__(self, watcher, plan):
        super().__init__(watcher, plan)
        self.versions = {}
        self.hook = None

    def begin(self):
        self.hook = torch.nn.modules.module.register_module_forward_pre_hook(self.before_module)

    def optimizer_made(self, optimizer):
        if self.watcher.updates == 0:
            known = {id(one): one for other in self.watcher.optimizers for one in parameters(other)}
            self.fill(list(known.values()), {})

    def before_module(self, module, args):
        if self.is_paused:
            return
        if self.watcher.updates > 0 or self.hook is None:
            self.hook and self.hook.remove()
            self.hook = None
            return
        root = unwrapped(module)
        names = {plain_path(name): one for name, one in root.named_parameters()}
        names.update((plain_path(name), one) for name, one in root.named_buffers())
        of_optimizers = [one for other in self.watcher.optimizers for one in parameters(other)]
        self.fill(of_optimizers, names)

    def fill(self, in_order, names):
        for new in self.plan["parameters"]:
            chosen, shape = new["parameter"], tuple(new["shape"])
            name = chosen.get("name")
            tensor = names.get(name) if name else None
            if tensor is None and name and names:
                # Of several networks each has a name of its own before the path in it.
                tensor = names.get(name.partition(".")[2])
            is_first = len(self.watcher.optimizers) == 1
            if tensor is None and not names and is_first and chosen["slot"] < len(in_order):
                tensor = in_order[chosen["slot"]]
            if tensor is None or tuple(tensor.shape) != shape:
                continue
            if self.versions.get(id(tensor)) == tensor._version:
                continue
            self.acts()
            with torch.no_grad():
                values = filled(shape, new["initializer"], chosen["slot"]).to(tensor.device, tensor.dtype)
                if new["only_non_finite"]:
                    values = torch.where(torch.isfinite(tensor), tensor, values)
                tensor.copy_(values)
            self.versions[id(tensor)] = tensor._version


def filled(shape, initializer, number):
    """Values of an initialiser, the same in every run."""
    generator = torch.Generator().manual_seed(SEED + number)
    made = torch.empty(shape, device="cpu", dtype=torch.float32)
    kind = initializer["kind"]
    if kind == "uniform":
        return made.uniform_(initializer["low"], initializer["high"], generator=generator)
    if kind == "normal":
        return made.normal_(initializer["mean"], initializer["std"], generator=generator)
    return made.fill_(initializer["value"])


def insert_norm(watcher, plan):
    """After layers of the network, or after calls at a line."""
    is_of_modules = all(call.get("module") for call in plan["after"])
    return NormAfterModules(watcher, plan) if is_of_modules else NormAfterCalls(watcher, plan)


class NormAfterModules(Intervention):
    """What a layer makes is normalised."""

    def __init__(self, watcher, plan):
        super().__init__(watcher, plan)
        self.paths = {call["module"] for call in plan["after"]}
        self.chosen = {}
        self.depth = 0

    def begin(self):
        module = torch.nn.modules.module
        module.register_module_forward_pre_hook(self.before_module)
        module.register_module_forward_hook(self.after_module, always_call=True)

    def before_module(self, module, args):
        if self.depth == 0 and not self.is_paused:
            for path, part in unwrapped(module).named_modules():
                path = plain_path(path)
                if path and any(known == path or known.partition(".")[2] == path for known in self.paths):
                    self.chosen[id(part)] = part
        self.depth += 1

    def after_module(self, module, args, output):
        self.depth = max(0, self.depth - 1)
        if id(module) in self.chosen and isinstance(output, torch.Tensor) and not self.is_paused:
            self.acts()
            return normalised(output, type(module).__name__.startswith("Conv"))
        return None


class NormAfterCalls(AtCalls):
    """What a call at a line makes is normalised."""

    def call(self, name, function, args, kwargs):
        result = function(*args, **kwargs)
        calls = [call for call in self.plan["after"] if call["op"] == name]
        if calls and isinstance(result, torch.Tensor) and any(self.is_at(call) for call in calls):
            self.acts()
            return normalised(result, name.startswith("conv"))
        return result


def normalised(output, is_convolution):
    """To mean 0 and variance 1, over the last dimension; over channels and places of a convolution."""
    first = 1 if is_convolution and output.dim() > 2 else output.dim() - 1
    return F.layer_norm(output, output.shape[max(first, 0) :]) if output.dim() > 0 else output


def freeze_batch_norm(watcher, plan):
    """Weights and biases, or statistics."""
    kinds = {"affine": Held, "group": Grouped}
    return kinds.get(plan["how"], OtherStatistics)(watcher, plan)


class Grouped(Intervention):
    """A GroupNorm in the place of each BatchNorm: as many groups of four channels or more as divide them, 32 at most."""

    def begin(self):
        intervention = self

        @functools.wraps(F.batch_norm)
        def grouped(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
            intervention.acts()
            channels = input.shape[1]
            groups = next(count for count in range(max(1, min(32, channels // 4)), 0, -1) if channels % count == 0)
            return F.group_norm(input, groups, weight, bias, eps)

        F.batch_norm = grouped


class OtherStatistics(Intervention):
    """BatchNorm with its running statistics in the place of the batch's, or the other way round."""

    def begin(self):
        batch_norm = F.batch_norm
        intervention = self
        uses_running = self.plan["how"] == "statistics"

        @functools.wraps(batch_norm)
        def changed(input, running_mean, running_var, weight=None, bias=None, training=False, *args, **kwargs):
            if not intervention.is_paused and training == uses_running:
                if uses_running and running_mean is not None:
                    intervention.acts()
                    training = False
                elif not uses_running:
                    intervention.acts()
                    running_mean, running_var, training = None, None, True
            return batch_norm(input, running_mean, running_var, weight, bias, training, *args, **kwargs)

        F.batch_norm = changed

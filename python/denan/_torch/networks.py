"""The networks of a training: which modules are called, their paths, the names of parameters, and their poolings."""

import sys

import torch

from denan._torch import poolings
from denan._torch.places import variables_of

# What torch calls the module inside a wrapper of its own.
WRAPPED = ("_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module")


class Networks:
    """Knows the networks of the training that a watcher follows."""

    def __init__(self, watcher, model=None):
        self.watcher = watcher
        # Modules that were called, each once, until the parameters have their names.
        self.called = {id(model): model} if model is not None else {}
        self.are_known = False
        self.roots = []
        self.root_ids = set()
        # Of parameters and of modules, by identity.
        self.names = {}
        self.module_names = {}
        # The modules that are being called, the innermost last.
        self.path = []
        self.hooks = []
        self.is_compiled = False
        # None before the first step, False after it.
        self.poolings = None

    # Calls

    def watch(self):
        """Looks at the modules that are called: the networks, by which parameters have names."""
        from denan._torch.hooks import guarded

        if self.hooks:
            return
        module = torch.nn.modules.module
        self.hooks = [
            module.register_module_forward_pre_hook(guarded("networks.before_module")),
            module.register_module_forward_hook(guarded("networks.after_module"), always_call=True),
        ]

    def forget(self):
        """Looks at no module and no pooling any more."""
        self.watch_poolings(False)
        self.forget_modules()

    def forget_modules(self):
        for hook in self.hooks:
            hook.remove()
        self.hooks = []
        self.path.clear()

    def before_module(self, module, args):
        if not self.are_known:
            self.note_called(module)
        watcher = self.watcher
        if watcher.may_look:
            watcher.end_pending_step()
            if watcher.core is None or watcher.look is None:
                watcher.enter_look()
            if not self.path and watcher.look is not None:
                watcher.look.know_buffers(module)
            self.path.append(module)

    def note_called(self, module):
        """Notes a module that is called, and those in whose methods it is: a network may have a method for a step of its
        training, and never be called itself."""
        self.called[id(module)] = module
        frame = sys._getframe(1)
        while frame is not None:
            owner = frame.f_locals.get("self")
            if owner is not module and issubclass(type(owner), torch.nn.Module):
                if id(owner) in self.called:
                    return
                self.called[id(owner)] = owner
            frame = frame.f_back

    def after_module(self, module, args, output):
        if self.path:
            self.path.pop()
        if id(module) in self.root_ids and not module.training and not torch.is_grad_enabled():
            self.watcher.see_evaluation(output)

    def mode_set(self, module):
        """A network is to train or to be evaluated. Its calls are of interest in an evaluation alone."""
        if id(module) not in self.root_ids or self.is_compiled or self.watcher.may_look:
            return
        if module.training:
            self.forget_modules()
        else:
            self.watch()

    def compiles(self, model):
        """A network is about to be compiled. Its hooks would be compiled with it, so there are none from now on."""
        model = getattr(model, "__self__", model)
        if isinstance(model, torch.nn.Module) and not self.are_known:
            self.called[id(model)] = model
        self.is_compiled = True
        self.watch_poolings(False)
        if not self.watcher.may_look:
            self.forget_modules()

    # Names

    def module_now(self):
        """Path of the innermost module that is being called, as far as it has a name."""
        if not self.path:
            return None
        module = self.path[-1]
        name = self.module_names.get(id(module))
        if name is None:
            root = self.path[0]
            for path, inner in root.named_modules():
                self.module_names.setdefault(id(inner), plain_path(path))
            name = self.module_names.get(id(module), "")
        return name or None

    def learn_names(self):
        """Names of parameters, once the networks have been called."""
        self.are_known = True
        called = list(self.called.values())
        inner = {id(part) for module in called for part in module.modules() if part is not module}
        outer = [module for module in called if id(module) not in inner]
        wrapped = [module for module in outer if next(module.parameters(), None) is not None]
        roots = self.roots = [unwrapped(module) for module in wrapped]
        self.root_ids = {id(root) for root in roots}
        self.called = {}
        variables = variables_of(self.watcher.places.frame())
        for outside, root in zip(wrapped, roots):
            prefix = ""
            if len(roots) > 1:
                name = variables.get(id(root)) or variables.get(id(outside)) or type(root).__name__.lower()
                prefix = name + "."
            for name, parameter in root.named_parameters():
                self.names[id(parameter)] = prefix + plain_path(name)
            for path, part in root.named_modules():
                self.module_names[id(part)] = (prefix + plain_path(path)).rstrip(".")
                self.tell_window(part)
        for known, slot in self.watcher.slots.values():
            self.name(known, slot, variables)
        if not self.watcher.may_look:
            self.forget_modules()

    def name(self, parameter, slot, variables):
        name = self.names.get(id(parameter)) or variables.get(id(parameter))
        if name is not None:
            self.watcher.core.name_parameter(slot, name)

    # Poolings

    def watch_poolings(self, is_wanted):
        """Sees the calls of the first step; none while something is compiled, which would be compiled with it."""
        is_first = self.poolings is None and self.watcher.updates == 0
        if is_wanted and is_first and not self.is_compiled and not self.watcher.may_look:
            from denan._torch.hooks import guarded

            self.poolings = poolings.Poolings(guarded("networks.pooling_called"))
            self.poolings.__enter__()
        elif not is_wanted and self.poolings not in (None, False):
            self.poolings.leave()
            self.poolings = False

    def tell_window(self, module):
        """Kernel and stride of a pooling that may not have been called yet, or not by Python."""
        name = type(module).__name__
        if "Pool" in name and hasattr(module, "kernel_size") and hasattr(module, "stride"):
            dims = name[-2:] if name.endswith("d") else ""
            op = f"{'avg' if 'Avg' in name else 'max'}_pool{dims}"
            self.pooling(op, module.kernel_size, module.stride, None)

    def pooling(self, op, kernel, stride, place):
        # Without a stride of its own a pooling moves by its kernel.
        kernel, stride = (poolings.sizes(op, size) for size in (kernel, kernel if stride in (None, []) else stride))
        if kernel is not None and stride is not None:
            self.watcher.core.pooling(op, kernel, stride, place)

    def pooling_called(self, op, kernel, stride):
        self.watcher.begin()
        self.pooling(op, kernel, stride, self.watcher.places.here())


def unwrapped(module):
    """The user's network in what torch puts around it."""
    while True:
        if isinstance(module, (torch.nn.parallel.DistributedDataParallel, torch.nn.DataParallel)):
            module = module.module
            continue
        inner = next((module._modules[name] for name in WRAPPED if name in module._modules), None)
        if inner is None:
            return module
        module = inner


def plain_path(path):
    """A path without the parts that torch adds where it wraps a module."""
    return ".".join(part for part in path.split(".") if part not in WRAPPED)

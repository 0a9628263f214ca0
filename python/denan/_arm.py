"""Waits for the training to import torch, and then sets the hooks.

Generators that the program does not seed are seeded, so that a second run is the same training.
"""

import importlib.abc
import importlib.util
import json
import os
import random
import sys


def wait_for_torch(plan_text: str) -> None:
    """Sets the hooks once torch is imported; at once if it has been."""
    plan = json.loads(plan_text)
    scratch = _keep_files(plan["scratch"]) if plan.get("scratch") is not None else None
    seed = plan.get("seed", 0)
    random.seed(seed)
    if plan.get("look-from") is not None:
        # What is compiled shows none of its operations: a close look runs it as it is written.
        os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")

    def seed_numpy(numpy) -> None:
        numpy.random.seed(seed % 2**32)

    def watch_torch(torch) -> None:
        torch.manual_seed(seed)
        if scratch is not None:
            scratch.watch_torch(torch)
        from denan._torch import hooks
        from denan._torch.watcher import Watcher

        hooks.watch(Watcher(plan_text))
        if plan.get("guard"):
            from denan._guard import Guard

            Guard()

    waiting = {"numpy": seed_numpy, "torch": watch_torch}
    if scratch is not None:
        waiting.update(scratch.WATCHED)
    when_imported(waiting)


def when_imported(waiting):
    """Has the calls that wait for modules, by their names, made with them: now, or as soon as they are imported."""
    for name in [name for name in waiting if name in sys.modules]:
        waiting.pop(name)(sys.modules[name])
    if waiting:
        sys.meta_path.insert(0, _Waiting(waiting))


def _keep_files(plan):
    """Keeps the user's files from what this process writes, or ends it."""
    try:
        from denan import _scratch

        _scratch.install(plan)
        return _scratch
    except Exception as error:
        # This is a re-run: better none than one that writes where the user's own run did.
        print(f"denan: no re-run, since it could not be kept from the user's files: {error!r}", file=sys.stderr)
        os._exit(1)


class _Waiting(importlib.abc.MetaPathFinder):
    """Finds nothing by itself, and notices when a module has been imported."""

    def __init__(self, waiting):
        self.waiting = waiting
        self.is_asking = False

    def find_spec(self, name, path=None, target=None):
        if name not in self.waiting or self.is_asking:
            return None
        self.is_asking = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self.is_asking = False
        if spec is None or spec.loader is None:
            return None
        call = self.waiting.pop(name)
        if not self.waiting and self in sys.meta_path:
            sys.meta_path.remove(self)
        spec.loader = _Noticing(spec.loader, call)
        return spec


class _Noticing(importlib.abc.Loader):
    """A module's own loader, with a call after it."""

    def __init__(self, loader, call):
        self.loader = loader
        self.call = call

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        # The module is to see its own loader.
        module.__spec__.loader = self.loader
        module.__loader__ = self.loader
        self.loader.exec_module(module)
        try:
            self.call(module)
        except Exception as error:
            print(f"denan: not watching: {error}", file=sys.stderr)

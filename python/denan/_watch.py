"""Watching from inside: a notebook, or a program that starts denan itself."""

import html
import json


class Watching:
    """A training that is watched in this process.

    The training goes on after a break. Nothing is run again, so what broke is known to the operation only with
    ``every_operation=True``, which makes each step two to three times as long.
    """

    def __init__(self, model=None, optimizer=None, loader=None, *, every_operation=False):
        self.model = model
        self.plan = {"seed": 0, "stop-after-break": False}
        if every_operation:
            self.plan["look-from"] = 0
        self._watcher = None
        if model is not None or optimizer is not None or loader is not None:
            self.start()

    def start(self):
        """Begins to watch; ends the watching that was begun before it."""
        from denan._torch import hooks
        from denan._torch.watcher import Watcher

        if self._watcher is None:
            self._watcher = hooks.watch(Watcher(json.dumps(self.plan), self.model))
            self._watcher.know_optimizers()
        return self

    def stop(self):
        """Ends the watching; the result stays."""
        if self._watcher is not None and not self._watcher.is_over:
            self._watcher.finish()

    def __enter__(self):
        return self.start()

    def __exit__(self, *exception):
        self.stop()

    @property
    def result(self):
        """What came of the training so far."""
        core = self._watcher.core if self._watcher is not None else None
        return Result(core)

    def __repr__(self):
        return repr(self.result)

    def _repr_html_(self):
        return self.result._repr_html_()


class Result:
    """What came of a training: shows itself as text and, in a notebook, as HTML."""

    def __init__(self, core):
        self.text = core.text() if core is not None else "no training yet: no loss, no step of an optimizer\n"
        #: The document ``denan/run/v1`` as a dictionary; empty before the first step.
        self.document = json.loads(core.json()) if core is not None else {}

    @property
    def outcome(self):
        """``broke``, ``healthy`` or ``no-training``."""
        return self.document.get("outcome", "no-training")

    @property
    def causes(self):
        """Why it broke, most likely first: dictionaries with ``rule``, ``confidence``, ``summary``, ``evidence``."""
        return self.document.get("causes", [])

    def __repr__(self):
        return self.text

    def _repr_html_(self):
        return f"<pre>{html.escape(self.text)}</pre>"


def watch(model=None, optimizer=None, loader=None, *, every_operation=False):
    """Watches the training of this process.

    As a context (``with denan.watch() as watching:``) for what runs inside of it; with a model, optimizer or loader from
    now on. ``watching.result`` says at any time what came of it.

    Args:
        model: network whose parameters are told by its names; without it, those of the modules that are called.
        optimizer, loader: not looked at, since any optimizer and any loader is watched.
        every_operation: look at each operation of each step, to know the one that broke.
    """
    return Watching(model, optimizer, loader, every_operation=every_operation)

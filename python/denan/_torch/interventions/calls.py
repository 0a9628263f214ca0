"""Calls of torch at one line of the user's program."""

from torch import overrides
from torch.overrides import TorchFunctionMode

from denan._torch import modes
from denan._torch.interventions import Intervention
from denan._torch.names import call_name
from denan._torch.places import Lines


class AtCalls(Intervention):
    """Sees the outermost calls of torch, from the import of torch on."""

    def begin(self):
        self.lines = Lines()
        self.mode = _Mode(self)
        self.mode.__enter__()

    def end(self):
        """Sees no call any more."""
        modes.leave(self.mode, overrides)

    def is_at(self, place, *, column=None):
        """Whether the user's line that is being carried out is this one, and the column as well where it is known."""
        here = self.lines.here()
        if here is None or here[:2] != (place["file"], place["line"]):
            return False
        return not column or not here[2] or here[2] == column

    def call(self, name, function, args, kwargs):
        """Carries a call out."""
        return function(*args, **kwargs)


class _Mode(TorchFunctionMode):
    def __init__(self, intervention):
        super().__init__()
        self.intervention = intervention

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        intervention = self.intervention
        name = None if intervention.is_paused else call_name(function)
        if name is None:
            return function(*args, **kwargs)
        return intervention.call(name, function, args, kwargs)

"""denan takes the NaN out of PyTorch trainings.

``denan run train.py`` watches a script unchanged. In a notebook::

    with denan.watch() as watching:
        train()
    watching.result

``denan.guard()`` keeps a training alive when a step is bad. ``denan.step()`` in a loop of one's own lets what
``denan run`` runs again begin in the middle of a long training.

Importing denan does not import torch.
"""

from denan._core import __version__
from denan._guard import Act, Guard, GuardGaveUp, Policy, guard
from denan._step import step
from denan._watch import Result, Watching, watch

__all__ = [
    "Act",
    "Guard",
    "GuardGaveUp",
    "Policy",
    "Result",
    "Watching",
    "__version__",
    "guard",
    "step",
    "watch",
]

"""denan takes the NaN out of PyTorch trainings.

``denan run train.py`` watches a script unchanged. In a notebook::

    with denan.watch() as watching:
        train()
    watching.result

``denan.guard()`` keeps a training alive when a step is bad.

Importing denan does not import torch.
"""

from denan._core import __version__
from denan._guard import Act, Guard, GuardGaveUp, Policy, guard
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
    "watch",
]

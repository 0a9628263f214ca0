"""denan takes the NaN out of PyTorch trainings.

``denan run train.py`` watches a script unchanged. In a notebook::

    with denan.watch() as watching:
        train()
    watching.result

Importing denan does not import torch.
"""

from denan._core import __version__
from denan._watch import Result, Watching, watch

__all__ = ["Result", "Watching", "__version__", "watch"]

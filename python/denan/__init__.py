"""denan takes the NaN out of PyTorch trainings.

``denan run train.py`` watches a script unchanged. In a notebook::

    with denan.watch() as watching:
        train()
    watching.result

Nothing here imports torch by itself.
"""

from denan._core import __version__

__all__ = ["__version__"]

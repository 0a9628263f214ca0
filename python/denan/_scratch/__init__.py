"""Keeps what a re-run writes away from the user's files. Only re-runs install it, before any code of the user's.

A re-run starts in a folder that stands for the user's (`crates/denan/src/scratch.rs`): `root` below the scratch folder
mirrors the file system, with real folders for those that are stood for and links to the user's files in them. Here the
calls by which Python opens, makes, moves and removes files see to it that

- a link is broken before something is written through it,
- what is written elsewhere, by an absolute path or through a linked folder, goes to `outside` in the scratch folder,
  and is found there by whoever reads that path later,
- what is removed elsewhere is only noted as removed, in `gone`,
- what the user's own run has made is not there, as it was not when that run began,
- links look like the files that they stand for, and folders list their files in the user's order.

What is new in a temporary folder is made there, and what was in it before is kept. Caches, installed packages and
devices are left alone. Two names for a path: `seen` is the one that the user's own run would know, `place` where this
run finds or puts it.
"""

import os
import sys

from denan._scratch import calls, disk
from denan._scratch.natively import WATCHED, watch_torch
from denan._scratch.writing import Scratch

__all__ = ["WATCHED", "install", "opened", "told", "watch_torch"]

# Trackers that would otherwise begin a second run online.
OFFLINE = {
    "WANDB_MODE": "disabled",
    "NEPTUNE_MODE": "debug",
    "CLEARML_OFFLINE_MODE": "1",
    "SWANLAB_MODE": "disabled",
}

_installed = None


def install(plan):
    """Begins to keep the user's files from what this process writes."""
    global _installed
    scratch = Scratch(plan)
    _installed = scratch
    calls.patch(scratch)
    _keep_offline()
    _enter(scratch)


def told(path):
    """A path as the user's own run knows it."""
    return path if _installed is None else _installed.told(path)


def opened(path, mode):
    """Where a file is opened in a mode."""
    return path if _installed is None else _installed.opened(path, mode)


def _keep_offline():
    os.environ.update(OFFLINE)
    if "://" in os.environ.get("MLFLOW_TRACKING_URI", ""):
        # Without it MLflow writes to the working folder.
        del os.environ["MLFLOW_TRACKING_URI"]


def _enter(scratch):
    """A process that was started in the user's folder, or finds modules there, goes to what stands for it."""

    def stand_in(path):
        if not isinstance(path, str) or not os.path.isabs(path):
            return path
        path = scratch.real_folder(os.path.normpath(path))
        is_ours = path in scratch.zones or scratch.is_mirrored(path)
        is_ours = is_ours and scratch.zone(path) == "stood for" and scratch.is_own_folder(path)
        return scratch.root + path if is_ours else path

    here = disk.getcwd()
    if stand_in(here) != here:
        disk.chdir(stand_in(here))
    sys.path[:] = [stand_in(path) for path in sys.path]
    # Packages that are installed for editing.
    for name, module in list(sys.modules.items()):
        packages = getattr(module, "MAPPING", None) if name.startswith("__editable__") else None
        if isinstance(packages, dict):
            packages.update({package: stand_in(path) for package, path in packages.items()})

"""Keeps checkpoints that are not finite from taking the place of clean ones.

What would be written to a file is looked at first. If it is not finite it is written beside the file, as
``NAME.non-finite``, so that nothing is lost. Those that write to another file first and rename it then, as careful
programs do, rename that one; those that delete older checkpoints keep them as long as the newest is not clean.
"""

import functools
import os
import pathlib
import sys

import torch

from denan._guard import Act
from denan._torch import finite, states

SUFFIX = ".non-finite"
# Checkpoints of which it is told.
MOST_TOLD = 1000
# How deep in a checkpoint tensors are looked for.
DEEPEST = 12


class _Current:
    """Whose checkpoints are guarded; what is wrapped stays, and asks for it."""

    saving = None
    is_set = False


class Saving:
    """Looks at what a training writes."""

    def __init__(self, guarding):
        self.guarding = guarding
        # Files that were to be written and were not, by their absolute paths.
        self.held = set()
        self.is_last_held = False
        self.told = 0

    def start(self):
        if not _Current.is_set:
            _Current.is_set = True
            _wrap()
        _Current.saving = self

    def stop(self):
        if _Current.saving is self:
            _Current.saving = None

    def path_for(self, content, path):
        """Where to write something that was to be written to a file."""
        try:
            words = self.what_is_bad(content)
            self.is_last_held = words is not None
            whole = os.path.abspath(os.fspath(path))
            if words is None:
                self.held.discard(whole)
                return path
            self.held.add(whole)
            self.told += 1
            if self.told <= MOST_TOLD:
                self.guarding.tell(Act(self.guarding.step, "kept-checkpoint", words, file=os.fspath(path)))
            return os.fspath(path) + SUFFIX
        except Exception as error:
            self.guarding.note(f"a checkpoint could not be looked at, and is written as it is: {error!r}")
            if os.environ.get("DENAN_DEBUG"):
                raise
            return path

    def see_file(self, content, file):
        """Something is written to a file that is open already, or to memory."""
        name = getattr(file, "name", None)
        if isinstance(name, str) and os.path.isfile(name):
            words = self.what_is_bad(content)
            if words is not None:
                self.guarding.note(f"{name} is written although it is not finite ({words}): it was opened before")

    def what_is_bad(self, content):
        """What of a checkpoint is not finite, in words; None if all of it is."""
        found = [(path, tensor) for path, tensor in tensors_of(content) if self.is_meant(path, tensor)]
        bad = [found[at] for at in finite.bad_among([tensor for _, tensor in found])]
        bad = [(path, tensor) for path, tensor in bad if not is_mask(tensor)]
        if not bad:
            return None
        path, tensor = bad[0]
        others = f", and {len(bad) - 1} others" if len(bad) > 1 else ""
        return f"{path or 'it'} {finite.in_words(tensor)}{others}"

    def is_meant(self, path, tensor):
        """Whether a tensor has to be finite: not what never was, nor a number that is no parameter ("best so far")."""
        parts = path.split(".")
        names = {".".join(parts[at:]) for at in range(len(parts))}
        if names & self.guarding.never_finite:
            return False
        return tensor.dim() > 0 or bool(names & self.guarding.known_names)

    def rename(self, call, source, target):
        """A file is renamed, perhaps one that was not written."""
        whole = os.path.abspath(os.fspath(source))
        if whole in self.held and not os.path.exists(whole):
            self.held.discard(whole)
            self.held.add(os.path.abspath(os.fspath(target)))
            return call(os.fspath(source) + SUFFIX, os.fspath(target) + SUFFIX)
        return call(source, target)

    def is_held_below(self, folder):
        folder = os.path.join(os.path.abspath(os.fspath(folder)), "")
        return any(path.startswith(folder) for path in self.held)


def tensors_of(content, path="", depth=0, seen=None):
    """The tensors of a checkpoint with their paths."""
    seen = set() if seen is None else seen
    if isinstance(content, torch.Tensor):
        if content.device.type != "meta" and not isinstance(content, torch._subclasses.FakeTensor):
            yield path, content
        return
    if depth > DEEPEST or id(content) in seen:
        return
    dot = "." if path else ""
    if isinstance(content, dict):
        seen.add(id(content))
        for key, value in content.items():
            yield from tensors_of(value, f"{path}{dot}{key}", depth + 1, seen)
    elif isinstance(content, (list, tuple)):
        seen.add(id(content))
        for number, value in enumerate(content):
            yield from tensors_of(value, f"{path}{dot}{number}", depth + 1, seen)
    elif isinstance(content, torch.nn.Module):
        seen.add(id(content))
        for name, value in (*content.named_parameters(), *content.named_buffers()):
            yield f"{path}{dot}{name}", value
    elif isinstance(content, torch.optim.Optimizer):
        seen.add(id(content))
        for _, name, value in states.tensors_of(content):
            yield f"{path}{dot}{name}", value


def is_mask(tensor):
    """Whether a tensor is -inf on purpose: 0 elsewhere, or nothing else."""
    count, nan, above, below, zeros = finite.counts(tensor)
    return nan == 0 and above == 0 and below > 0 and below + zeros == count


# What is wrapped


def _wrap():
    from denan import _arm

    replace_everywhere(torch.save, _guarded_save(torch.save))
    # Python 3.10 has them there as well.
    accessor = getattr(pathlib, "_NormalAccessor", None)
    for name in ("replace", "rename"):
        guarded = _guarded_rename(getattr(os, name))
        setattr(os, name, guarded)
        if accessor is not None:
            setattr(accessor, name, staticmethod(guarded))
    _arm.when_imported(
        {
            "safetensors.torch": _safetensors,
            "lightning.fabric.utilities.cloud_io": _atomic_save,
            "lightning_fabric.utilities.cloud_io": _atomic_save,
            "lightning.fabric.plugins.io.torch_io": _checkpoint_io,
            "lightning_fabric.plugins.io.torch_io": _checkpoint_io,
            "transformers.trainer_utils": _rotation,
        }
    )


def replace_everywhere(function, guarded):
    """Puts a function in the place of another, in all modules that have imported it."""
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", None)
        if type(names) is dict:
            for name in [name for name, value in names.items() if value is function]:
                names[name] = guarded


def _guarded_save(save):
    @functools.wraps(save)
    def guarded_save(obj, f, *args, **kwargs):
        saving = _Current.saving
        if saving is not None:
            if isinstance(f, (str, os.PathLike)):
                f = saving.path_for(obj, f)
            else:
                saving.see_file(obj, f)
        return save(obj, f, *args, **kwargs)

    return guarded_save


def _guarded_rename(rename):
    @functools.wraps(rename)
    def guarded_rename(src, dst, **kwargs):
        saving = _Current.saving
        if saving is None or kwargs or not saving.held or isinstance(src, bytes) or isinstance(dst, bytes):
            return rename(src, dst, **kwargs)
        return saving.rename(rename, src, dst)

    return guarded_rename


def _safetensors(module):
    save_file = module.save_file

    @functools.wraps(save_file)
    def guarded_save_file(tensors, filename, *args, **kwargs):
        saving = _Current.saving
        return save_file(tensors, filename if saving is None else saving.path_for(tensors, filename), *args, **kwargs)

    replace_everywhere(save_file, guarded_save_file)


def _atomic_save(module):
    """Lightning writes to memory first, and then to wherever it is told."""
    save = module._atomic_save

    @functools.wraps(save)
    def guarded_atomic_save(checkpoint, filepath, *args, **kwargs):
        saving = _Current.saving
        return save(checkpoint, filepath if saving is None else saving.path_for(checkpoint, filepath), *args, **kwargs)

    replace_everywhere(save, guarded_atomic_save)


def _checkpoint_io(module):
    """Lightning deletes the checkpoint before the one that it has written."""
    remove = module.TorchCheckpointIO.remove_checkpoint

    @functools.wraps(remove)
    def guarded_remove(self, path, *args, **kwargs):
        saving = _Current.saving
        if saving is not None and saving.is_last_held:
            saving.guarding.note(f"{os.fspath(path)} is not deleted, since the checkpoint after it is not finite")
            return None
        return remove(self, path, *args, **kwargs)

    module.TorchCheckpointIO.remove_checkpoint = guarded_remove


def _rotation(module):
    """Transformers deletes the oldest checkpoints."""
    rotate = getattr(module, "rotate_checkpoints", None)
    if rotate is None:
        return

    @functools.wraps(rotate)
    def guarded_rotate(output_dir, *args, **kwargs):
        saving = _Current.saving
        if saving is not None and saving.held:
            newest = module.sort_checkpoints(output_dir)[-1:]
            if newest and saving.is_held_below(newest[0]):
                saving.guarding.note(f"no older checkpoint is deleted, since {newest[0]} is not finite")
                return None
        return rotate(output_dir, *args, **kwargs)

    replace_everywhere(rotate, guarded_rotate)

"""The calls of Python that name files, which ask where."""

import builtins
import functools
import io
import os
import shutil
import sys

from denan._scratch import disk
from denan._scratch.reading import Entries

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Modules that may be there already, and have such calls by names of their own.
HOLDERS = ("pathlib", "glob", "bz2")


class Call:
    """Stands in for a function that is none of Python's: unlike one that is, it never becomes a method."""

    def __init__(self, call, original, module):
        self.call = call
        functools.update_wrapper(self, original)
        self.__module__, self.__qualname__ = module, original.__name__

    def __reduce__(self):
        # Goes to other processes by its name.
        return self.__qualname__

    def __call__(self, *args, **options):
        return self.call(*args, **options)


def patch(scratch):
    """Has the calls that name files ask where."""

    stand_ins = {}

    def put(module, name, call):
        original = getattr(module, name)
        wrapped = stand_ins[original] = Call(call, original, module.__name__)
        for known in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks, os.supports_effective_ids):
            if original in known:
                known.add(wrapped)
        setattr(module, name, wrapped)

    def place(find, path, *args, **options):
        """Where, or the path as it is where it names no file."""
        if not isinstance(path, (str, bytes, os.PathLike)):
            return path
        try:
            found = find(path, *args, **options)
        except (OSError, ValueError):
            raise
        except Exception:
            # In doubt a file is read where it is, and never written there.
            if find not in reading or os.environ.get("DENAN_DEBUG"):
                raise
            return path
        return os.fsencode(found) if isinstance(path, bytes) and isinstance(found, str) else found

    reading = (scratch.to_read, scratch.seen)

    def opened(path, mode):
        if not isinstance(mode, str) or not set(mode) & set("wax+"):
            return place(scratch.to_read, path)
        return place(scratch.to_write, path, keeps="a" in mode or "r" in mode, is_new="x" in mode)

    def open(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None):
        if opener is None:
            file = opened(file, mode)
        return disk.open(file, mode, buffering, encoding, errors, newline, closefd, opener)

    def os_open(path, flags, mode=0o777, *, dir_fd=None):
        if dir_fd is not None and os.path.isabs(path):
            dir_fd = None
        if not flags & WRITES:
            found = place(scratch.to_read, path, dir_fd)
        else:
            is_new = bool(flags & os.O_CREAT and flags & os.O_EXCL)
            if flags & getattr(os, "O_TMPFILE", 0) == getattr(os, "O_TMPFILE", -1):
                found = path
            else:
                found = place(scratch.to_write, path, dir_fd, keeps=not flags & os.O_TRUNC, is_new=is_new)
        return disk.os_open(found, flags, mode, dir_fd=dir_fd)

    def os_stat(path, *, dir_fd=None, follow_symlinks=True):
        path = place(scratch.to_read, path, dir_fd, follow_symlinks)
        return disk.stat(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)

    def os_lstat(path, *, dir_fd=None):
        return disk.lstat(place(scratch.to_read, path, dir_fd, False), dir_fd=dir_fd)

    def os_access(path, mode, *, dir_fd=None, effective_ids=False, follow_symlinks=True):
        try:
            path = place(scratch.to_read, path, dir_fd, follow_symlinks)
        except OSError:
            return False
        return disk.access(path, mode, dir_fd=dir_fd, effective_ids=effective_ids, follow_symlinks=follow_symlinks)

    def os_readlink(path, *, dir_fd=None):
        return disk.readlink(place(scratch.to_read, path, dir_fd, False), dir_fd=dir_fd)

    def merged(path):
        """Entries of a folder; None where it may be listed as it stands."""
        if path is None:
            path = "."
        if not isinstance(path, (str, os.PathLike)):
            return None
        seen = place(scratch.seen, path)
        if not isinstance(seen, str) or not scratch.is_merged(seen):
            return None
        # What cannot be listed fails as it would.
        found = place(scratch.to_read, path)
        if not disk.is_folder(found):
            return disk.listdir(found)
        return scratch.entries(path, seen)

    def os_listdir(path=None):
        entries = merged(path)
        return disk.listdir(path) if entries is None else [entry.name for entry in entries]

    def os_scandir(path=None):
        entries = merged(path)
        return disk.scandir(path) if entries is None else Entries(entries)

    def os_chdir(path):
        return disk.chdir(place(into, path))

    def into(path):
        """The folder of the scratch folder that a process goes into."""
        seen = scratch.seen(path)
        if seen is not None and scratch.zone(seen) == "stood for" and disk.is_folder(scratch.root + seen):
            return scratch.root + seen
        return scratch.to_read(path)

    def os_mkdir(path, mode=0o777, *, dir_fd=None):
        return disk.mkdir(place(scratch.to_make, path, dir_fd), mode, dir_fd=dir_fd)

    def os_symlink(src, dst, target_is_directory=False, *, dir_fd=None):
        return disk.symlink(src, place(scratch.to_make, dst, dir_fd), target_is_directory, dir_fd=dir_fd)

    def os_link(src, dst, *, src_dir_fd=None, dst_dir_fd=None, follow_symlinks=True):
        return disk.copy(place(scratch.to_read, src, src_dir_fd), place(scratch.to_make, dst, dst_dir_fd))

    def os_unlink(path, *, dir_fd=None):
        return scratch.remove(path, dir_fd, disk.unlink)

    def os_rmdir(path, *, dir_fd=None):
        return scratch.remove(path, dir_fd, disk.rmdir)

    def os_rename(src, dst, *, src_dir_fd=None, dst_dir_fd=None):
        return scratch.move(src, dst, disk.rename, src_dir_fd, dst_dir_fd)

    def os_replace(src, dst, *, src_dir_fd=None, dst_dir_fd=None):
        return scratch.move(src, dst, disk.replace, src_dir_fd, dst_dir_fd)

    def changing(original):
        """A call that changes a file in place."""

        def call(path, *args, **options):
            dir_fd = options.get("dir_fd")
            return original(place(changed, path, dir_fd), *args, **options)

        return call

    def asking(original):
        """A call that asks something of a file."""
        return lambda path=".", *args, **options: original(place(scratch.to_read, path), *args, **options)

    def changed(path, dir_fd=None):
        found = scratch.to_read(path, dir_fd)
        return scratch.to_write(path, dir_fd, keeps=True) if not disk.is_folder(found) else found

    rmtree = shutil.rmtree

    def shutil_rmtree(path, ignore_errors=False, *args, **options):
        try:
            is_done = place(scratch.remove_tree, path)
        except OSError as error:
            if ignore_errors:
                return None
            handle = options.get("onexc") or (args[0] if args else options.get("onerror"))
            if handle is None:
                raise
            handle(rmtree, path, error if options.get("onexc") else sys.exc_info())
            return None
        return None if is_done else rmtree(path, ignore_errors, *args, **options)

    shutil_rmtree.avoids_symlink_attacks = getattr(rmtree, "avoids_symlink_attacks", False)

    put(builtins, "open", open)
    put(io, "open", open)
    put(os, "open", os_open)
    put(os, "stat", os_stat)
    put(os, "lstat", os_lstat)
    put(os, "access", os_access)
    put(os, "readlink", os_readlink)
    put(os, "listdir", os_listdir)
    put(os, "scandir", os_scandir)
    put(os, "chdir", os_chdir)
    put(os, "mkdir", os_mkdir)
    put(os, "symlink", os_symlink)
    put(os, "unlink", os_unlink)
    put(os, "remove", os_unlink)
    put(os, "rmdir", os_rmdir)
    put(os, "rename", os_rename)
    put(os, "replace", os_replace)
    for name in ("chmod", "chown", "utime", "truncate", "setxattr", "removexattr"):
        if hasattr(os, name):
            put(os, name, changing(getattr(os, name)))
    for name in ("listxattr", "getxattr", "statvfs"):
        if hasattr(os, name):
            put(os, name, asking(getattr(os, name)))
    put(os, "link", os_link)
    put(shutil, "rmtree", shutil_rmtree)
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] in HOLDERS:
            _exchange(module, stand_ins)
    scratch.opened = opened


def _exchange(holder, stand_ins):
    """Puts stand-ins in the place of calls that a module or a class of it has taken over when it was imported."""
    for name, value in list(vars(holder).items()):
        if isinstance(value, type) and value.__module__ == getattr(holder, "__name__", None):
            _exchange(value, stand_ins)
            continue
        is_static = isinstance(value, staticmethod)
        original = value.__func__ if is_static else value
        stand_in = stand_ins.get(original) if callable(original) and original.__hash__ else None
        if stand_in is not None:
            setattr(holder, name, staticmethod(stand_in) if is_static else stand_in)

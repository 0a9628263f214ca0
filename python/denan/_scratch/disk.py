"""The file system as it is, whatever the program's own calls are made to say of it."""

import ctypes
import errno
import functools
import io
import os
import shutil
import stat as kinds
import sys

# As they are without this module: what stands in for these calls must not call itself.
open, os_open = io.open, os.open
stat, lstat, readlink, access = os.stat, os.lstat, os.readlink, os.access
listdir, scandir = os.listdir, os.scandir
mkdir, rmdir, unlink, rename, replace = os.mkdir, os.rmdir, os.unlink, os.rename, os.replace
symlink, getcwd, chdir = os.symlink, os.getcwd, os.chdir


def status(path):
    """What is known of a file, links followed; None if there is none."""
    try:
        return stat(path)
    except (OSError, ValueError):
        return None


def is_there(path):
    """Whether there is anything, if only a link that leads nowhere."""
    try:
        lstat(path)
    except (OSError, ValueError):
        return False
    return True


def is_folder(path):
    """Whether a path leads to a folder."""
    found = status(path)
    return found is not None and kinds.S_ISDIR(found.st_mode)


def without_fail(call, path):
    """Removes something that another process may remove as well."""
    try:
        call(path)
    except FileNotFoundError:
        pass


def make_folders(path):
    """Makes a folder and those that it is in."""
    missing = []
    while not is_folder(path):
        missing.append(path)
        path = os.path.dirname(path)
    for folder in reversed(missing):
        try:
            mkdir(folder)
        except FileExistsError:
            pass


def copy(old, new):
    """Puts a copy of a file in a place, in one go: another process may be at it."""
    beside = f"{new}.{os.getpid()}.denan"
    with open(old, "rb") as source, open(beside, "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    replace(beside, new)


def remove_tree(path):
    """Removes a folder with what is in it. Never follows a link."""
    if not kinds.S_ISDIR(lstat(path).st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    with scandir(path) as entries:
        entries = list(entries)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            remove_tree(entry.path)
        else:
            unlink(entry.path)
    rmdir(path)


def birth(path):
    """When a file came to be, in seconds since 1970; None where that is not known."""
    try:
        if sys.platform != "linux":
            return getattr(lstat(path), "st_birthtime", None)
        buffer = ctypes.create_string_buffer(256)
        # AT_FDCWD, AT_SYMLINK_NOFOLLOW, STATX_BTIME: `struct statx` has the time of birth 80 bytes in.
        failed = libc().statx(-100, os.fsencode(path), 0x100, 0x800, buffer)
        has_birth = int.from_bytes(buffer.raw[:4], sys.byteorder) & 0x800
        if failed or not has_birth:
            return None
        seconds = int.from_bytes(buffer.raw[80:88], sys.byteorder, signed=True)
        return seconds + int.from_bytes(buffer.raw[88:92], sys.byteorder) * 1e-9
    except (OSError, AttributeError, ValueError):
        return None


@functools.cache
def libc():
    """The C library of this process."""
    return ctypes.CDLL(None, use_errno=True)

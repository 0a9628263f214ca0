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
devices are left alone. Two names for a path: `seen` is the one that the user's own run would know, `place` where this run finds or puts it.
"""

import builtins
import ctypes
import errno
import functools
import io
import os
import shutil
import stat
import sys

# Bytes from which on something made before the training began is a data set.
DATA_BYTES = 64 * 1024
# Entries of a folder that are looked at to tell whether it is one.
MOST_ENTRIES = 2000
# Folders that this run writes as the user's own does: what is in them is made again whenever it is missing.
CACHES = ("XDG_CACHE_HOME", "HF_HOME", "TORCH_HOME", "TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "MPLCONFIGDIR")
# The same in temporary folders, by how the names begin.
TEMPORARY_CACHES = ("torchinductor", "torch_extensions", "triton", "ray", "pymp-", ".")
# Trackers that would otherwise begin a second run online.
OFFLINE = {
    "WANDB_MODE": "disabled",
    "NEPTUNE_MODE": "debug",
    "CLEARML_OFFLINE_MODE": "1",
    "SWANLAB_MODE": "disabled",
}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

# As they are without this module: what is patched below must not call itself.
_open, _os_open = io.open, os.open
_stat, _lstat, _readlink, _access = os.stat, os.lstat, os.readlink, os.access
_listdir, _scandir = os.listdir, os.scandir
_mkdir, _rmdir, _unlink, _rename, _replace = os.mkdir, os.rmdir, os.unlink, os.rename, os.replace
_symlink, _getcwd, _chdir = os.symlink, os.getcwd, os.chdir

_installed = None


def install(plan):
    """Begins to keep the user's files from what this process writes."""
    global _installed
    scratch = Scratch(plan)
    _patch(scratch)
    _keep_offline()
    _enter(scratch)
    _installed = scratch


def told(path):
    """A path as the user's own run knows it."""
    return path if _installed is None else _installed.told(path)


class Scratch:
    """Which place in the scratch folder a path of the user's has."""

    def __init__(self, plan):
        self.folder = os.path.realpath(plan["folder"])
        self.root = os.path.join(self.folder, "root")
        self.outside = os.path.join(self.folder, "outside")
        self.gone = os.path.join(self.folder, "gone")
        self.first_began = plan["first-began"]
        self.training_began = plan.get("training-began")
        self.began = plan["began"]
        # Folders by how they are treated; the longest one that a path is in decides.
        self.zones = {folder: "stood for" for folder in plan["stands-for"]}
        home = os.path.expanduser("~")
        caches = [os.path.join(home, name) for name in (".cache", ".triton", ".nv", ".config/matplotlib")]
        caches += [os.environ[name] for name in CACHES if os.environ.get(name)]
        caches += [sys.prefix, sys.base_prefix, os.path.dirname(os.path.abspath(__file__))]
        for folder in caches + ["/dev", "/proc", "/sys", "/run", "/dev/shm"]:
            folder = os.path.realpath(folder)
            # A variable that names all of the home, or `/`, names no cache.
            if folder not in ("/", home, os.path.realpath(home)):
                self.zones.setdefault(folder, "left alone")
        named = [os.environ[name] for name in ("TMPDIR", "TEMP", "TMP") if os.environ.get(name)]
        for folder in [*named, "/tmp", "/var/tmp"]:
            self.zones.setdefault(os.path.realpath(folder), "temporary")
        self.zones_of_temporary = {}
        self.real_folders = {}
        self.of_first_run = {}

    # Names

    def told(self, path):
        for above in (self.root, self.outside):
            if path == above or path.startswith(above + os.sep):
                return path[len(above) :] or os.sep
        return path

    def seen(self, path, folder=None, follow=True):
        """The absolute path that the user's own run would know, without links on the way to it."""
        path = os.fspath(path)
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if not path:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        if not path.startswith("/"):
            if folder is None:
                folder = _getcwd()
            elif isinstance(folder, int):
                folder = _readlink(f"/proc/self/fd/{folder}")
            path = os.path.join(folder, path)
        path = self.told(path)
        if path == self.folder or path.startswith(self.folder + os.sep):
            return None
        above, name = os.path.split(path.rstrip("/") or "/")
        if name in ("", ".", ".."):
            return self.real_folder(os.path.normpath(path) if name != ".." else self.real_folder(above) + "/..")
        path = os.path.join(self.real_folder(above), name)
        if follow and self.zone(path) != "stood for":
            try:
                return self.real_folder(os.path.join(os.path.dirname(path), _readlink(path)))
            except OSError:
                pass
        return path

    def real_folder(self, path, depth=0):
        """A path without links, by the user's file system."""
        known = self.real_folders.get(path)
        if known is not None:
            return known
        above, name = os.path.split(path)
        if not name:
            result = above if path == above else self.real_folder(above, depth)
        elif name == ".":
            result = self.real_folder(above, depth)
        elif name == "..":
            result = os.path.dirname(self.real_folder(above, depth))
        else:
            result = os.path.join(self.real_folder(above, depth), name)
            target = self.target(result) if depth < 40 else None
            if target is not None:
                target = self.told(os.path.join(os.path.dirname(result), target))
                result = self.real_folder(target, depth + 1)
        if len(self.real_folders) > 10000:
            self.real_folders.clear()
        if self.zone(path) != "stood for":
            # Links of this run's own come and go.
            self.real_folders[path] = result
        return result

    def target(self, seen):
        """What a path is a link to, for this run; None if it is no link."""
        if self.zone(seen) == "stood for":
            place = self.root + seen
            try:
                target = _readlink(place)
            except OSError:
                target = None
            if target is not None and target != seen:
                return target
            if target is None and _is_there(place):
                return None
        try:
            return _readlink(seen)
        except OSError:
            return None

    def zone(self, seen):
        best, zone = 0, "elsewhere"
        for folder, of_folder in self.zones.items():
            if len(folder) > best and (seen == folder or seen.startswith(folder.rstrip("/") + "/")):
                best, zone = len(folder), of_folder
        if zone == "temporary" and len(seen) > best:
            top = seen[: best + 1] + seen[best + 1 :].split(os.sep, 1)[0]
            return self.zone_of_temporary(top)
        return zone

    def zone_of_temporary(self, top):
        """How something in a temporary folder is treated: a folder that was there before this run is like any other."""
        zone = self.zones_of_temporary.get(top)
        if zone is None:
            birth = _birth(top)
            is_cache = os.path.basename(top).startswith(TEMPORARY_CACHES)
            is_old = birth is not None and birth < self.began and stat.S_ISDIR(_lstat(top).st_mode)
            zone = "left alone" if is_cache else "elsewhere" if is_old else "temporary"
            if birth is not None:
                self.zones_of_temporary[top] = zone
        return zone

    def is_mirrored(self, seen):
        """Whether the folder that a path is in would be a real one of the scratch folder, and no link."""
        if self.zone(seen) != "stood for":
            return False
        above = os.path.dirname(seen)
        while above != "/":
            if self.is_linked(above):
                return False
            if above in self.zones:
                return True
            above = os.path.dirname(above)
        return False

    def is_linked(self, seen):
        """Whether a path's place in the scratch folder is a link."""
        try:
            return stat.S_ISLNK(_lstat(self.root + seen).st_mode)
        except OSError:
            return False

    def is_own_folder(self, seen):
        """Whether a real folder of the scratch folder, no link, stands for one."""
        try:
            return stat.S_ISDIR(_lstat(self.root + seen).st_mode)
        except OSError:
            return False

    def as_given(self, path, folder, place):
        """A place, by the path that was given where that leads there."""
        given = path if folder is None else self.absolute(path, folder)
        text = os.fspath(given)
        text = os.fsdecode(text) if isinstance(text, bytes) else text
        if ".." not in text and os.path.normpath(os.path.join(_getcwd(), text)) == place:
            return given
        return place

    # Reading

    def to_read(self, path, folder=None, follow=True):
        """Where to read a path. The path itself where this module has no say."""
        seen = self.seen(path, folder, follow)
        if seen is None:
            return path if folder is None else self.absolute(path, folder)
        place = self.place_to_read(path, folder, seen)
        if follow and place == seen and self.zone(seen) == "stood for":
            # The link leads there.
            return self.as_given(path, folder, self.root + seen) if self.is_mirrored(seen) else place
        return self.as_given(path, folder, place)

    def place_to_read(self, path, folder, seen):
        zone = self.zone(seen)
        if zone == "left alone":
            return path if folder is None else self.absolute(path, folder)
        if zone == "stood for" and (seen in self.zones or self.is_mirrored(seen)):
            place = self.root + seen
            if self.is_link(place, seen):
                return seen
            # Made by this very run, by code that is not Python's.
            if not _is_there(place) and _is_there(seen) and self.is_of_this_run(seen):
                return seen
            return place
        place = self.outside + seen
        if _is_there(place):
            return place
        if self.is_gone(seen) or (zone != "temporary" and self.is_of_first_run(seen)):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(path))
        # As it stands: what is written below the working folder by other means than Python's is there.
        return path if folder is None else self.absolute(path, folder)

    def absolute(self, path, folder):
        path = os.fsdecode(os.fspath(path))
        return os.path.join(_readlink(f"/proc/self/fd/{folder}"), path) if isinstance(folder, int) else path

    def is_link(self, place, seen):
        """Whether a place only stands for the user's file."""
        try:
            return _readlink(place) == seen
        except OSError:
            return False

    def is_of_this_run(self, seen):
        return (_birth(seen) or 0) >= self.began

    def is_of_first_run(self, seen):
        """Whether the user's own run has made a file or folder, and not to read it in the training."""
        known = self.of_first_run.get(seen)
        if known is not None:
            return known
        try:
            status = _lstat(seen)
        except OSError:
            return False
        if status.st_ctime < self.first_began:
            # Most files, by far.
            return False
        birth = _birth(seen)
        is_new = birth is not None and self.first_began <= birth < self.began
        result = is_new and not self.is_data(seen, status)
        if len(self.of_first_run) < 100000:
            self.of_first_run[seen] = result
        return result

    def is_data(self, seen, status):
        """Whether something was made before the training began, and is large."""
        if self.training_began is None:
            return False
        if stat.S_ISDIR(status.st_mode):
            sizes, folders = 0, [seen]
            for _ in range(MOST_ENTRIES):
                if not folders:
                    break
                for entry in _scandir(folders.pop()):
                    status = entry.stat(follow_symlinks=False)
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif status.st_ctime >= self.training_began:
                        return False
                    else:
                        sizes += status.st_size
            return sizes >= DATA_BYTES
        if status.st_ctime >= self.training_began:
            return False
        above = os.path.dirname(seen)
        is_in_data = (_birth(above) or 0) >= self.first_began and not self.is_of_first_run(above)
        return status.st_size >= DATA_BYTES or is_in_data

    def is_gone(self, seen):
        if not _is_there(self.gone):
            return False
        while seen != "/":
            if _is_there(self.gone + seen + "/.gone"):
                return True
            seen = os.path.dirname(seen)
        return False

    def is_visible(self, seen):
        """Whether a path outside of the scratch folder is there for this run."""
        return _is_there(seen) and not self.is_gone(seen) and not self.is_of_first_run(seen)

    # Writing

    def to_write(self, path, folder=None, keeps=False, is_new=False):
        """Where to write a file: with what is in it now if that is kept; `is_new` if it may not be there."""
        seen = self.seen(path, folder)
        if seen is None:
            return path
        plain = path if folder is None else self.absolute(path, folder)
        zone = self.zone(seen)
        if zone == "left alone":
            return plain
        if zone == "stood for" and self.is_mirrored(seen):
            place = self.root + seen
            if not is_new:
                self.break_link(place, keeps)
            return self.as_given(path, folder, place)
        place = self.outside + seen
        if _is_there(place):
            return place
        status = _status(seen)
        if status is not None and not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            return plain
        if zone == "temporary" and not _is_folder(os.path.dirname(place)):
            is_old = status is not None and stat.S_ISREG(status.st_mode) and status.st_ctime < self.began
            if not is_old and not self.is_gone(seen):
                return plain
        is_visible = status is not None and not self.is_gone(seen) and (
            zone == "temporary" or not self.is_of_first_run(seen)
        )
        if is_visible and is_new:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(path))
        if is_visible and (stat.S_ISDIR(status.st_mode) or not _access(seen, os.W_OK)):
            # It fails as it would.
            return plain
        self.make_folder_of(seen, path)
        if is_visible and keeps:
            _copy(seen, place)
        return place

    def break_link(self, place, keeps):
        """Puts a file in the place of a link to one of the user's, with what is in it if that is kept."""
        try:
            target = os.path.join(os.path.dirname(place), _readlink(place))
        except OSError:
            return
        real = self.real_folder(self.told(target))
        if target.startswith(self.folder + "/") or real.startswith(self.folder + "/") or _is_folder(real):
            return
        status = _status(real)
        if status is not None and not stat.S_ISREG(status.st_mode):
            return
        if keeps and status is not None:
            _copy(real, place)
        else:
            _without_fail(_unlink, place)

    def make_folder_of(self, seen, path):
        """Makes the folder that a redirected file is to be in, if the user has it."""
        above = os.path.dirname(seen)
        if _is_folder(self.outside + above):
            return
        if not (_is_folder(above) and self.is_visible_in_zone(above)):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(path))
        if not _access(above, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))
        _make_folders(self.outside + above)

    def is_visible_in_zone(self, seen):
        return self.is_visible(seen) or (self.zone(seen) == "temporary" and not self.is_gone(seen))

    def to_make(self, path, folder=None):
        """Where to make a folder, or a link."""
        seen = self.seen(path, folder, follow=False)
        if seen is None:
            return path
        plain = path if folder is None else self.absolute(path, folder)
        zone = self.zone(seen)
        if zone == "left alone":
            return plain
        if zone == "stood for" and (seen in self.zones or self.is_mirrored(seen)):
            return self.as_given(path, folder, self.root + seen)
        place = self.outside + seen
        if _is_there(place):
            return place
        if zone == "temporary" and not _is_folder(os.path.dirname(place)) and not self.is_gone(seen):
            return plain
        if self.is_visible_in_zone(seen):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(path))
        self.make_folder_of(seen, path)
        return place

    def remove(self, path, folder, call):
        """Removes a file or an empty folder, of the user's only for this run."""
        seen = self.seen(path, folder, follow=False)
        plain = path if folder is None else self.absolute(path, folder)
        if seen is None or self.zone(seen) == "left alone":
            return call(plain)
        if self.zone(seen) == "stood for" and self.is_mirrored(seen):
            place = self.root + seen
            if self.is_link(place, seen):
                self.check_removable(path, seen, call)
                return _unlink(place)
            return call(place)
        place, is_there = self.outside + seen, self.is_visible_in_zone(seen)
        if self.zone(seen) == "temporary" and not _is_there(place):
            status = _status(seen)
            if status is None or status.st_ctime >= self.began or not stat.S_ISREG(status.st_mode):
                return call(plain)
        if not is_there and not _is_there(place):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(path))
        if is_there:
            self.check_removable(path, seen, call)
        if _is_there(place):
            call(place)
        if is_there:
            self.forget(seen)
        return None

    def check_removable(self, path, seen, call):
        """Fails as the call would."""
        is_folder = stat.S_ISDIR(_lstat(seen).st_mode)
        number = None
        if call is _rmdir:
            number = errno.ENOTDIR if not is_folder else errno.ENOTEMPTY if self.names(path, seen) else None
        elif is_folder:
            number = errno.EISDIR
        if number is not None:
            raise OSError(number, os.strerror(number), os.fspath(path))

    def forget(self, seen):
        """Notes that a path of the user's is no longer there for this run."""
        _make_folders(self.gone + seen)
        with _open(self.gone + seen + "/.gone", "wb"):
            pass

    def remove_tree(self, path):
        """Removes a folder with all that is in it, of the user's only for this run."""
        seen = self.seen(path, follow=False)
        if seen is None or self.zone(seen) == "left alone":
            return False
        if self.zone(seen) == "stood for":
            if not self.is_mirrored(seen):
                return self.remove_tree_outside(path, seen)
            place = self.root + seen
            if self.is_link(place, seen):
                if not stat.S_ISDIR(_lstat(seen).st_mode):
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), os.fspath(path))
                _unlink(place)
            else:
                _remove_tree(place)
            return True
        if self.zone(seen) == "temporary" and not _is_there(self.outside + seen):
            if self.is_of_this_run(seen):
                return False
        return self.remove_tree_outside(path, seen)

    def remove_tree_outside(self, path, seen):
        place, is_there = self.outside + seen, self.is_visible_in_zone(seen)
        if not is_there and not _is_there(place):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(path))
        if _is_there(place):
            _remove_tree(place)
        if is_there:
            self.forget(seen)
        return True

    def move(self, old, new, call, old_folder=None, new_folder=None):
        """Moves a file or folder; of the user's, a link to it."""
        seen, to = self.seen(old, old_folder, follow=False), self.seen(new, new_folder, follow=False)
        source = self.absolute(old, old_folder) if seen is None else self.place_to_read(old, old_folder, seen)
        source = os.path.join(_getcwd(), os.fsdecode(os.fspath(source)))
        if to is not None and self.is_mirrored(to):
            target = self.root + to
        else:
            target = self.to_write(new, new_folder)
        target = os.path.join(_getcwd(), os.fsdecode(os.fspath(target)))
        is_inside = target.startswith(self.folder + "/")
        if not is_inside and self.zone(to) not in ("left alone", "temporary"):
            # A folder of the user's is in the way.
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(new))
        if seen is None or self.is_this_runs(seen, source):
            try:
                call(source, target)
            except OSError as error:
                if error.errno != errno.EXDEV or _is_folder(source):
                    raise
                _copy(source, target)
                _unlink(source)
            return
        _lstat(source)
        if is_inside and _is_there(target):
            _rmdir(target) if stat.S_ISDIR(_lstat(target).st_mode) else _unlink(target)
        _symlink(seen, target)
        if self.is_mirrored(seen):
            _unlink(self.root + seen)
        else:
            self.forget(seen)

    def is_this_runs(self, seen, source):
        """Whether what a path leads to was made by this run, or is none of this module's business."""
        zone = self.zone(seen)
        if source.startswith(self.folder + "/") or zone == "left alone":
            return True
        status = _lstat(source)
        return zone == "temporary" and (status.st_ctime >= self.began or stat.S_ISDIR(status.st_mode))

    # Listing

    def names(self, path, seen):
        return [entry.name for entry in self.entries(path, seen)]

    def entries(self, path, seen):
        """What is in a folder, in the user's order, with links as what they stand for."""
        zone = self.zone(seen)
        inside = self.root + seen
        theirs = {}
        if _is_folder(seen) and not self.is_gone(seen):
            with _scandir(seen) as entries:
                theirs = {entry.name: entry for entry in entries}
        is_mirrored = zone == "stood for" and (seen in self.zones or self.is_mirrored(seen))
        if is_mirrored and self.is_own_folder(seen):
            with _scandir(inside) as entries:
                own = {entry.name: entry for entry in entries}
            theirs = {name: entry for name, entry in theirs.items() if name in own}
            links = {name for name in theirs if self.is_link(f"{inside}/{name}", f"{seen}/{name}")}
            own = {name: entry for name, entry in own.items() if name not in links}
        else:
            own = {}
            if _is_folder(self.outside + seen):
                with _scandir(self.outside + seen) as entries:
                    own = {entry.name: entry for entry in entries}
            changed = zone != "temporary" and _stat(seen).st_mtime >= self.first_began if theirs else False
            if changed or _is_there(self.gone):
                theirs = {name: entry for name, entry in theirs.items() if self.is_visible_in_zone(f"{seen}/{name}")}
        names = list(theirs) + [name for name in own if name not in theirs]
        above = os.fspath(path)
        return [_Entry(own.get(name) or theirs[name], os.path.join(above, name)) for name in names]

    def is_merged(self, seen):
        """Whether listing a folder needs this module."""
        if seen is None or self.zone(seen) in ("left alone", "temporary"):
            return seen is not None and (_is_folder(self.outside + seen) or _is_there(self.gone))
        return True


class _Entry:
    """An entry of a listed folder, by the path that was asked for."""

    __slots__ = ("_entry", "name", "path")

    def __init__(self, entry, path):
        self._entry, self.name, self.path = entry, entry.name, path

    def __fspath__(self):
        return self.path

    def __getattr__(self, name):
        return getattr(self._entry, name)

    def __repr__(self):
        return f"<DirEntry {self.name!r}>"


class _Entries:
    """What `os.scandir` gives."""

    def __init__(self, entries):
        self.entries = iter(entries)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.entries)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        self.entries = iter(())


class _Call:
    """Stands in for a function that is none of Python's: unlike one that is, it never becomes a method."""

    def __init__(self, call, original):
        self.call = call
        functools.update_wrapper(self, original)

    def __call__(self, *args, **options):
        return self.call(*args, **options)


def _patch(scratch):
    """Has the calls that name files ask where."""

    def put(module, name, call):
        original = getattr(module, name)
        wrapped = _Call(call, original)
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
        return _open(file, mode, buffering, encoding, errors, newline, closefd, opener)

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
        return _os_open(found, flags, mode, dir_fd=dir_fd)

    def os_stat(path, *, dir_fd=None, follow_symlinks=True):
        return _stat(place(scratch.to_read, path, dir_fd, follow_symlinks), dir_fd=dir_fd, follow_symlinks=follow_symlinks)

    def os_lstat(path, *, dir_fd=None):
        return _lstat(place(scratch.to_read, path, dir_fd, False), dir_fd=dir_fd)

    def os_access(path, mode, *, dir_fd=None, effective_ids=False, follow_symlinks=True):
        try:
            path = place(scratch.to_read, path, dir_fd, follow_symlinks)
        except OSError:
            return False
        return _access(path, mode, dir_fd=dir_fd, effective_ids=effective_ids, follow_symlinks=follow_symlinks)

    def os_readlink(path, *, dir_fd=None):
        return _readlink(place(scratch.to_read, path, dir_fd, False), dir_fd=dir_fd)

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
        if not _is_folder(found):
            return _listdir(found)
        return scratch.entries(path, seen)

    def os_listdir(path=None):
        entries = merged(path)
        return _listdir(path) if entries is None else [entry.name for entry in entries]

    def os_scandir(path=None):
        entries = merged(path)
        return _scandir(path) if entries is None else _Entries(entries)

    def os_chdir(path):
        return _chdir(place(into, path))

    def into(path):
        """The folder of the scratch folder that a process goes into."""
        seen = scratch.seen(path)
        if seen is not None and scratch.zone(seen) == "stood for" and _is_folder(scratch.root + seen):
            return scratch.root + seen
        return scratch.to_read(path)

    def os_mkdir(path, mode=0o777, *, dir_fd=None):
        return _mkdir(place(scratch.to_make, path, dir_fd), mode, dir_fd=dir_fd)

    def os_symlink(src, dst, target_is_directory=False, *, dir_fd=None):
        return _symlink(src, place(scratch.to_make, dst, dir_fd), target_is_directory, dir_fd=dir_fd)

    def os_link(src, dst, *, src_dir_fd=None, dst_dir_fd=None, follow_symlinks=True):
        return _copy(place(scratch.to_read, src, src_dir_fd), place(scratch.to_make, dst, dst_dir_fd))

    def os_unlink(path, *, dir_fd=None):
        return scratch.remove(path, dir_fd, _unlink)

    def os_rmdir(path, *, dir_fd=None):
        return scratch.remove(path, dir_fd, _rmdir)

    def os_rename(src, dst, *, src_dir_fd=None, dst_dir_fd=None):
        return scratch.move(src, dst, _rename, src_dir_fd, dst_dir_fd)

    def os_replace(src, dst, *, src_dir_fd=None, dst_dir_fd=None):
        return scratch.move(src, dst, _replace, src_dir_fd, dst_dir_fd)

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
        return scratch.to_write(path, dir_fd, keeps=True) if not _is_folder(found) else found

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
    if hasattr(sys.modules.get("bz2"), "_builtin_open"):
        sys.modules["bz2"]._builtin_open = builtins.open
    scratch.opened = opened


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

    here = _getcwd()
    if stand_in(here) != here:
        _chdir(stand_in(here))
    sys.path[:] = [stand_in(path) for path in sys.path]
    # Packages that are installed for editing.
    for name, module in list(sys.modules.items()):
        packages = getattr(module, "MAPPING", None) if name.startswith("__editable__") else None
        if isinstance(packages, dict):
            packages.update({package: stand_in(path) for package, path in packages.items()})


# Calls of other packages that name files to native code


def _of(scratch, path, mode):
    return scratch.opened(path, mode) if isinstance(path, (str, os.PathLike)) else path


def watch_torch(torch):
    """Tensors are written and mapped natively."""
    scratch = _installed
    native = torch._C.PyTorchFileWriter

    class PyTorchFileWriter(native):
        def __init__(self, file, *args, **options):
            super().__init__(_of(scratch, file, "w"), *args, **options)

    torch._C.PyTorchFileWriter = PyTorchFileWriter
    _wrap(torch, "load", "r")
    _wrap(torch.jit, "load", "r")
    _wrap(torch.jit, "save", "w", 1)
    torch.serialization.load = torch.load


def watch_sqlite(sqlite3):
    """A data base is opened natively."""
    connect = sqlite3.connect

    @functools.wraps(connect)
    def in_scratch(database, *args, **options):
        # Neither one in memory nor an address.
        if isinstance(database, (str, os.PathLike)) and not str(database).startswith((":", "file:")) and str(database):
            database = _of(_installed, database, "r+")
        return connect(database, *args, **options)

    sqlite3.connect = sqlite3.dbapi2.connect = in_scratch


def watch_safetensors(safetensors):
    """Written and mapped natively."""
    _wrap(safetensors, "serialize_file", "w", 1, "filename")
    native = safetensors.safe_open

    class safe_open:
        def __new__(cls, filename, *args, **options):
            return native(_of(_installed, filename, "r"), *args, **options)

    safetensors.safe_open = safe_open


def watch_h5py(h5py):
    """Opened natively."""
    init = h5py.File.__init__

    @functools.wraps(init)
    def in_scratch(self, name, mode="r", *args, **options):
        wanted = {"r": "r", "w": "w", "w-": "x", "x": "x"}.get(mode, "r+")
        return init(self, _of(_installed, name, wanted), mode, *args, **options)

    h5py.File.__init__ = in_scratch


#: What to call once a module has been imported.
WATCHED = {"safetensors": watch_safetensors, "h5py": watch_h5py, "sqlite3": watch_sqlite}


def _wrap(module, name, mode, position=0, keyword="f"):
    original = getattr(module, name)

    @functools.wraps(original)
    def in_scratch(*args, **options):
        if len(args) > position:
            args = (*args[:position], _of(_installed, args[position], mode), *args[position + 1 :])
        elif keyword in options:
            options[keyword] = _of(_installed, options[keyword], mode)
        return original(*args, **options)

    setattr(module, name, in_scratch)


# The file system as it is


def _status(path):
    try:
        return _stat(path)
    except (OSError, ValueError):
        return None


def _is_there(path):
    try:
        _lstat(path)
    except (OSError, ValueError):
        return False
    return True


def _is_folder(path):
    status = _status(path)
    return status is not None and stat.S_ISDIR(status.st_mode)


def _without_fail(call, path):
    try:
        call(path)
    except FileNotFoundError:
        # Another process of this run was first.
        pass


def _make_folders(path):
    missing = []
    while not _is_folder(path):
        missing.append(path)
        path = os.path.dirname(path)
    for folder in reversed(missing):
        try:
            _mkdir(folder)
        except FileExistsError:
            pass


def _copy(old, new):
    """Puts a copy of a file in a place, in one go: another process may be at it."""
    beside = f"{new}.{os.getpid()}.denan"
    with _open(old, "rb") as source, _open(beside, "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    _replace(beside, new)


def _remove_tree(path):
    """Never follows a link."""
    if not stat.S_ISDIR(_lstat(path).st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    with _scandir(path) as entries:
        entries = list(entries)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            _remove_tree(entry.path)
        else:
            _unlink(entry.path)
    _rmdir(path)


def _birth(path):
    """When a file came to be, in seconds since 1970; None where that is not known."""
    try:
        if sys.platform != "linux":
            return getattr(_lstat(path), "st_birthtime", None)
        buffer = ctypes.create_string_buffer(256)
        # AT_FDCWD, AT_SYMLINK_NOFOLLOW, STATX_BTIME: `struct statx` has the time of birth 80 bytes in.
        failed = _libc().statx(-100, os.fsencode(path), 0x100, 0x800, buffer)
        has_birth = int.from_bytes(buffer.raw[:4], sys.byteorder) & 0x800
        if failed or not has_birth:
            return None
        seconds = int.from_bytes(buffer.raw[80:88], sys.byteorder, signed=True)
        return seconds + int.from_bytes(buffer.raw[88:92], sys.byteorder) * 1e-9
    except (OSError, AttributeError, ValueError):
        return None


@functools.cache
def _libc():
    return ctypes.CDLL(None, use_errno=True)

"""Where a re-run finds what it reads, and what it finds in a folder."""

import errno
import os
import stat

from denan._scratch import disk
from denan._scratch.names import Names

# Bytes from which on something made before the training began is a data set.
DATA_BYTES = 64 * 1024
# Entries of a folder that are looked at to tell whether it is one.
MOST_ENTRIES = 2000


class Reading(Names):
    """Files as this run finds them."""

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
            if not disk.is_there(place) and disk.is_there(seen) and self.is_of_this_run(seen):
                return seen
            return place
        place = self.outside + seen
        if disk.is_there(place):
            return place
        if self.is_gone(seen) or (zone != "temporary" and self.is_of_first_run(seen)):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(path))
        # As it stands: what is written below the working folder by other means than Python's is there.
        return path if folder is None else self.absolute(path, folder)

    def absolute(self, path, folder):
        path = os.fsdecode(os.fspath(path))
        return os.path.join(disk.readlink(f"/proc/self/fd/{folder}"), path) if isinstance(folder, int) else path

    def is_link(self, place, seen):
        """Whether a place only stands for the user's file."""
        try:
            return disk.readlink(place) == seen
        except OSError:
            return False

    def is_of_this_run(self, seen):
        return (disk.birth(seen) or 0) >= self.began

    def is_of_first_run(self, seen):
        """Whether the user's own run has made a file or folder, and not to read it in the training."""
        known = self.of_first_run.get(seen)
        if known is not None:
            return known
        try:
            status = disk.lstat(seen)
        except OSError:
            return False
        if status.st_ctime < self.first_began:
            # Most files, by far.
            return False
        birth = disk.birth(seen)
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
                for entry in disk.scandir(folders.pop()):
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
        is_in_data = (disk.birth(above) or 0) >= self.first_began and not self.is_of_first_run(above)
        return status.st_size >= DATA_BYTES or is_in_data

    def is_visible(self, seen):
        """Whether a path outside of the scratch folder is there for this run."""
        return disk.is_there(seen) and not self.is_gone(seen) and not self.is_of_first_run(seen)

    def names(self, path, seen):
        return [entry.name for entry in self.entries(path, seen)]

    def entries(self, path, seen):
        """What is in a folder, in the user's order, with links as what they stand for."""
        zone = self.zone(seen)
        inside = self.root + seen
        theirs = {}
        # A link that is not to a folder of the same name is to one that was moved.
        is_moved = zone == "stood for" and self.is_linked(seen) and not self.is_link(inside, seen)
        listed = inside if is_moved and self.is_mirrored(seen) else seen
        if disk.is_folder(listed) and not self.is_gone(seen):
            with disk.scandir(listed) as entries:
                theirs = {entry.name: entry for entry in entries}
        is_mirrored = zone == "stood for" and (seen in self.zones or self.is_mirrored(seen))
        if is_mirrored and self.is_own_folder(seen):
            with disk.scandir(inside) as entries:
                own = {entry.name: entry for entry in entries}
            theirs = {name: entry for name, entry in theirs.items() if name in own}
            links = {name for name in theirs if self.is_link(f"{inside}/{name}", f"{seen}/{name}")}
            own = {name: entry for name, entry in own.items() if name not in links}
        else:
            own = {}
            if disk.is_folder(self.outside + seen):
                with disk.scandir(self.outside + seen) as entries:
                    own = {entry.name: entry for entry in entries}
            changed = zone != "temporary" and disk.stat(listed).st_mtime >= self.first_began if theirs else False
            if changed or disk.is_there(self.gone):
                theirs = {name: entry for name, entry in theirs.items() if self.is_visible_in_zone(f"{seen}/{name}")}
        names = list(theirs) + [name for name in own if name not in theirs]
        above = os.fspath(path)
        return [Entry(own.get(name) or theirs[name], os.path.join(above, name)) for name in names]

    def is_merged(self, seen):
        """Whether listing a folder needs this module."""
        if seen is None or self.zone(seen) in ("left alone", "temporary"):
            return seen is not None and (disk.is_folder(self.outside + seen) or disk.is_there(self.gone))
        return True


class Entry:
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


class Entries:
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

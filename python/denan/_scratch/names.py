"""What a path is called: by the user's own run, and in the scratch folder."""

import errno
import os
import stat
import sys

from denan._scratch import disk

# Folders that this run writes as the user's own does: what is in them is made again whenever it is missing.
CACHES = ("XDG_CACHE_HOME", "HF_HOME", "TORCH_HOME", "TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "MPLCONFIGDIR")
# The same in temporary folders, by how the names begin.
TEMPORARY_CACHES = ("torchinductor", "torch_extensions", "triton", "ray", "pymp-", ".")


class Names:
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
        self.longest_first = []
        self.zones_of_temporary = {}
        self.real_folders = {}
        self.of_first_run = {}

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
                folder = disk.getcwd()
            elif isinstance(folder, int):
                folder = disk.readlink(f"/proc/self/fd/{folder}")
            path = os.path.join(folder, path)
        path = self.told(path)
        if path == self.folder or path.startswith(self.folder + os.sep):
            return None
        above, name = os.path.split(path.rstrip("/") or "/")
        if name in ("", ".", ".."):
            return self.real_folder(os.path.normpath(path) if name != ".." else self.real_folder(above) + "/..")
        path = os.path.join(self.real_folder(above), name)
        target = self.target(path) if follow else None
        if target is not None:
            return self.real_folder(self.told(os.path.join(os.path.dirname(path), target)))
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
        if result == path and self.is_own_folder(path) or self.zone(path) != "stood for":
            # Links of this run's own come and go.
            self.real_folders[path] = result
        return result

    def target(self, seen):
        """What a path is a link to, for this run; None if it is no link."""
        if self.zone(seen) == "stood for":
            place = self.root + seen
            try:
                target = disk.readlink(place)
            except OSError:
                target = None
            if target is not None and target != seen:
                return None if self.was_moved(target) else target
            if target is None and disk.is_there(place):
                return None
        try:
            return disk.readlink(seen)
        except OSError:
            return None

    def was_moved(self, target):
        """Whether a link is to a file of the user's that this run has given another name."""
        if not os.path.isabs(target):
            return False
        is_elsewhere = self.zone(target) == "stood for" and not disk.is_there(self.root + target)
        return disk.is_there(target) and (is_elsewhere or self.is_gone(target))

    def is_gone(self, seen):
        """Whether this run has removed a file of the user's, or a folder that it is in."""
        if not disk.is_there(self.gone):
            return False
        while seen != "/":
            if disk.is_there(self.gone + seen + "/.gone"):
                return True
            seen = os.path.dirname(seen)
        return False

    def zone(self, seen):
        """How a path is treated."""
        if not self.longest_first:
            zones = [(os.path.join(folder, ""), zone) for folder, zone in self.zones.items()]
            self.longest_first = sorted(zones, key=lambda zone: -len(zone[0]))
        folder = seen + os.sep
        for above, zone in self.longest_first:
            if folder.startswith(above):
                if zone == "temporary" and len(folder) > len(above):
                    return self.zone_of_temporary(above + seen[len(above) :].split(os.sep, 1)[0])
                return zone
        return "elsewhere"

    def zone_of_temporary(self, top):
        """How something in a temporary folder is treated: a folder that was there before this run is like any other."""
        zone = self.zones_of_temporary.get(top)
        if zone is None:
            birth = disk.birth(top)
            is_cache = os.path.basename(top).startswith(TEMPORARY_CACHES)
            is_old = birth is not None and birth < self.began and stat.S_ISDIR(disk.lstat(top).st_mode)
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
            return stat.S_ISLNK(disk.lstat(self.root + seen).st_mode)
        except OSError:
            return False

    def is_own_folder(self, seen):
        """Whether a real folder of the scratch folder, no link, stands for one."""
        try:
            return stat.S_ISDIR(disk.lstat(self.root + seen).st_mode)
        except OSError:
            return False

    def as_given(self, path, folder, place):
        """A place, by the path that was given where that leads there."""
        given = path if folder is None else self.absolute(path, folder)
        text = os.fspath(given)
        text = os.fsdecode(text) if isinstance(text, bytes) else text
        if ".." not in text and os.path.normpath(os.path.join(disk.getcwd(), text)) == place:
            return given
        return place

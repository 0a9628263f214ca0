"""Where a re-run puts what it writes, and what becomes of files that it removes or moves."""

import errno
import os
import stat

from denan._scratch import disk
from denan._scratch.reading import Reading


class Scratch(Reading):
    """Files as this run finds and leaves them."""

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
        if disk.is_there(place):
            return place
        status = disk.status(seen)
        if status is not None and not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            return plain
        if zone == "temporary" and disk.is_folder(os.path.dirname(seen)):
            is_old = status is not None and stat.S_ISREG(status.st_mode) and status.st_ctime < self.began
            if not is_old and not self.is_gone(seen):
                return plain
        is_visible = status is not None and not self.is_gone(seen) and (
            zone == "temporary" or not self.is_of_first_run(seen)
        )
        if is_visible and is_new:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(path))
        if is_visible and (stat.S_ISDIR(status.st_mode) or not disk.access(seen, os.W_OK)):
            # It fails as it would.
            return plain
        self.make_folder_of(seen, path)
        if is_visible and keeps:
            disk.copy(seen, place)
        return place

    def break_link(self, place, keeps):
        """Puts a file in the place of a link to one of the user's, with what is in it if that is kept."""
        try:
            target = os.path.join(os.path.dirname(place), disk.readlink(place))
        except OSError:
            return
        real = self.real_folder(self.told(target))
        if target.startswith(self.folder + "/") or real.startswith(self.folder + "/") or disk.is_folder(real):
            return
        status = disk.status(real)
        if status is not None and not stat.S_ISREG(status.st_mode):
            return
        if keeps and status is not None:
            disk.copy(real, place)
        else:
            disk.without_fail(disk.unlink, place)

    def make_folder_of(self, seen, path):
        """Makes the folder that a redirected file is to be in, if the user has it."""
        above = os.path.dirname(seen)
        if disk.is_folder(self.outside + above):
            return
        if not (disk.is_folder(above) and self.is_visible_in_zone(above)):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(path))
        if not disk.access(above, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))
        disk.make_folders(self.outside + above)

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
        if disk.is_there(place):
            return place
        if zone == "temporary" and disk.is_folder(os.path.dirname(seen)) and not self.is_gone(seen):
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
                return disk.unlink(place)
            return call(place)
        place, is_there = self.outside + seen, self.is_visible_in_zone(seen)
        if self.zone(seen) == "temporary" and not disk.is_there(place):
            status = disk.status(seen)
            if status is None or status.st_ctime >= self.began or not stat.S_ISREG(status.st_mode):
                return call(plain)
        if not is_there and not disk.is_there(place):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(path))
        if is_there:
            self.check_removable(path, seen, call)
        if disk.is_there(place):
            call(place)
        if is_there:
            self.forget(seen)
        return None

    def check_removable(self, path, seen, call):
        """Fails as the call would."""
        is_folder = stat.S_ISDIR(disk.lstat(seen).st_mode)
        number = None
        if call is disk.rmdir:
            number = errno.ENOTDIR if not is_folder else errno.ENOTEMPTY if self.names(path, seen) else None
        elif is_folder:
            number = errno.EISDIR
        if number is not None:
            raise OSError(number, os.strerror(number), os.fspath(path))

    def forget(self, seen):
        """Notes that a path of the user's is no longer there for this run."""
        disk.make_folders(self.gone + seen)
        with disk.open(self.gone + seen + "/.gone", "wb"):
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
                if not stat.S_ISDIR(disk.lstat(seen).st_mode):
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), os.fspath(path))
                disk.unlink(place)
            else:
                disk.remove_tree(place)
            return True
        if self.zone(seen) == "temporary" and not disk.is_there(self.outside + seen):
            if self.is_of_this_run(seen):
                return False
        return self.remove_tree_outside(path, seen)

    def remove_tree_outside(self, path, seen):
        place, is_there = self.outside + seen, self.is_visible_in_zone(seen)
        if not is_there and not disk.is_there(place):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(path))
        if disk.is_there(place):
            disk.remove_tree(place)
        if is_there:
            self.forget(seen)
        return True

    def move(self, old, new, call, old_folder=None, new_folder=None):
        """Moves a file or folder; of the user's, a link to it."""
        seen, to = self.seen(old, old_folder, follow=False), self.seen(new, new_folder, follow=False)
        source = self.absolute(old, old_folder) if seen is None else self.place_to_read(old, old_folder, seen)
        source = os.path.join(disk.getcwd(), os.fsdecode(os.fspath(source)))
        if to is not None and self.is_mirrored(to):
            target = self.root + to
        else:
            target = self.to_write(new, new_folder)
        target = os.path.join(disk.getcwd(), os.fsdecode(os.fspath(target)))
        is_inside = target.startswith(self.folder + "/")
        if not is_inside and self.zone(to) not in ("left alone", "temporary"):
            # A folder of the user's is in the way.
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(new))
        if seen is None or self.is_this_runs(seen, source):
            try:
                call(source, target)
            except OSError as error:
                if error.errno != errno.EXDEV or disk.is_folder(source):
                    raise
                disk.copy(source, target)
                disk.unlink(source)
            return
        disk.lstat(source)
        if is_inside and disk.is_there(target):
            disk.rmdir(target) if stat.S_ISDIR(disk.lstat(target).st_mode) else disk.unlink(target)
        disk.symlink(seen, target)
        if self.is_mirrored(seen):
            disk.unlink(self.root + seen)
        else:
            self.forget(seen)

    def is_this_runs(self, seen, source):
        """Whether what a path leads to was made by this run, or is none of this module's business."""
        zone = self.zone(seen)
        if source.startswith(self.folder + "/") or zone == "left alone":
            return True
        status = disk.lstat(source)
        return zone == "temporary" and (status.st_ctime >= self.began or stat.S_ISDIR(status.st_mode))

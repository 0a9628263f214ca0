"""The user's own line: the deepest frame that is neither torch's nor a library's."""

import ast
import itertools
import linecache
import os
import site
import sys
import sysconfig

from denan._scratch import told


class Lines:
    """Finds the user's line on the stack."""

    def __init__(self):
        self.known = {}
        self.is_users = {}
        self.start = told(os.getcwd())
        self.libraries = _libraries()
        # A program that is itself an installed package (`python -m package`) is the user's.
        main = getattr(sys.modules.get("__main__"), "__file__", None)
        self.program = os.path.dirname(os.path.abspath(main)) + os.sep if main else None

    def here(self):
        """File, line, column (0 if it is not known) and function of the user's line that is being carried out; None if
        there is none on the stack."""
        frame = self.frame()
        if frame is None:
            return None
        code = frame.f_code
        key = (code, frame.f_lasti)
        place = self.known.get(key)
        if place is None:
            line, column = self._position(code, frame.f_lasti, frame.f_lineno)
            place = self.known[key] = self._place(code, line, column)
        return place

    def of_batch(self, number):
        """The line at which a batch came out of its loader, by its tensors: those of one batch differ in the column, which
        is that of the variable where they are taken apart at once."""
        frame = self.frame()
        if frame is None:
            return None
        code, line = frame.f_code, frame.f_lineno
        key = (code, frame.f_lasti, "batch", number)
        place = self.known.get(key)
        if place is None:
            columns = variables_of_loop(code.co_filename, line)
            column = columns[number] if number < len(columns) else number + 1
            place = self.known[key] = self._place(code, line, column)
        return place

    def frame(self):
        """The user's frame itself."""
        frame = sys._getframe(1)
        while frame is not None:
            file = frame.f_code.co_filename
            users = self.is_users.get(file)
            if users is None:
                users = self.is_users[file] = self._is_users(file)
            if users:
                return frame
            frame = frame.f_back
        return None

    def _is_users(self, file):
        if file.startswith("<"):
            # Cells of a notebook have names like this; what is frozen or generated has another.
            return file.startswith("<ipython-input")
        path = os.path.abspath(file)
        if "/ipykernel_" in path:
            return True
        if self.program and path.startswith(self.program) and not path.startswith(self.libraries[:2]):
            return True
        return not path.startswith(self.libraries)

    def _position(self, code, instruction, line):
        if hasattr(code, "co_positions"):
            position = next(itertools.islice(code.co_positions(), instruction // 2, None), None)
            if position is not None and position[0] is not None:
                return position[0], (position[2] or 0) + 1
        return line, 0

    def _place(self, code, line, column):
        name = getattr(code, "co_qualname", code.co_name)
        function = None if name == "<module>" else name
        return self._shown(code.co_filename), line, column, function

    def _shown(self, file):
        path = told(os.path.abspath(file))
        return os.path.relpath(path, self.start) if path.startswith(self.start + os.sep) else path


class Places(Lines):
    """Numbers of lines, as the native half knows them."""

    def __init__(self, core):
        super().__init__()
        self.core = core
        self.numbers = {}

    def here(self):
        return self._number(super().here())

    def of_batch(self, number):
        return self._number(super().of_batch(number))

    def _number(self, place):
        number = self.numbers.get(place)
        if number is None and place is not None:
            number = self.numbers[place] = self.core.place(*place)
        return number


def variables_of(frame):
    """Names of the user's variables by the identity of what they hold, attributes of `self` included."""
    names = {}
    while frame is not None:
        holders = dict(frame.f_locals)
        owner = holders.get("self")
        if owner is not None and hasattr(owner, "__dict__"):
            for name, value in (vars(owner) | vars(owner).get("_modules", {})).items():
                names.setdefault(id(value), name)
        for name, value in holders.items():
            if not name.startswith("_"):
                names.setdefault(id(value), name)
        frame = frame.f_back
    return names


def variables_of_loop(file, line):
    """1-based columns of the variables in the `for` at a line."""
    text = linecache.getline(file, line).rstrip()
    try:
        loop = ast.parse(text.strip() + " pass").body[0]
    except (SyntaxError, ValueError, IndexError):
        return []
    if not isinstance(loop, (ast.For, ast.AsyncFor)):
        return []
    indent = len(text) - len(text.lstrip())
    # `for i, (x, y) in enumerate(loader)`: the counter is no part of the batch.
    names, is_counted = loop.target, isinstance(loop.iter, ast.Call)
    if is_counted and isinstance(names, ast.Tuple) and len(names.elts) == 2 and isinstance(names.elts[1], ast.Tuple):
        names = names.elts[1]
    parts = names.elts if isinstance(names, ast.Tuple) else [names]
    return [part.col_offset + indent + 1 for part in parts]


def _libraries():
    """Folders whose code is not the user's; torch and denan first."""
    import torch

    folders = [os.path.dirname(torch.__file__), os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
    paths = sysconfig.get_paths()
    folders += [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    folders += site.getsitepackages() if hasattr(site, "getsitepackages") else []
    folders.append(site.getusersitepackages())
    return tuple(os.path.abspath(folder) + os.sep for folder in folders)

"""Calls of other packages that name files to native code, which asks nobody."""

import functools
import os


def where(path, mode):
    """The place of a path, opened in a mode of Python's `open`."""
    from denan import _scratch

    return _scratch.opened(path, mode) if isinstance(path, (str, os.PathLike)) else path


def watch_torch(torch):
    """Tensors are written and mapped natively."""
    native = torch._C.PyTorchFileWriter

    class PyTorchFileWriter(native):
        def __init__(self, file, *args, **options):
            super().__init__(where(file, "w"), *args, **options)

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
            database = where(database, "r+")
        return connect(database, *args, **options)

    sqlite3.connect = sqlite3.dbapi2.connect = in_scratch


def watch_safetensors(safetensors):
    """Written and mapped natively."""
    _wrap(safetensors, "serialize_file", "w", 1, "filename")
    native = safetensors.safe_open

    class safe_open:
        def __new__(cls, filename, *args, **options):
            return native(where(filename, "r"), *args, **options)

    safetensors.safe_open = safe_open


def watch_h5py(h5py):
    """Opened natively."""
    init = h5py.File.__init__

    @functools.wraps(init)
    def in_scratch(self, name, mode="r", *args, **options):
        wanted = {"r": "r", "w": "w", "w-": "x", "x": "x"}.get(mode, "r+")
        return init(self, where(name, wanted), mode, *args, **options)

    h5py.File.__init__ = in_scratch


#: What to call once a module has been imported.
WATCHED = {"safetensors": watch_safetensors, "h5py": watch_h5py, "sqlite3": watch_sqlite}


def _wrap(module, name, mode, position=0, keyword="f"):
    original = getattr(module, name)

    @functools.wraps(original)
    def in_scratch(*args, **options):
        if len(args) > position:
            args = (*args[:position], where(args[position], mode), *args[position + 1 :])
        elif keyword in options:
            options[keyword] = where(options[keyword], mode)
        return original(*args, **options)

    setattr(module, name, in_scratch)

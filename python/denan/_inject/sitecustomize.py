"""Python imports this at its start when denan's folder is on PYTHONPATH, which `denan run` sees to.

It hands over to the sitecustomize that would have run without it, and then has denan wait for torch. Whatever goes
wrong here is said once and the training runs on unwatched.
"""

import importlib.machinery
import importlib.util
import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))


def _run_the_other_one():
    others = [folder for folder in sys.path if os.path.abspath(folder or ".") != _HERE]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


def _watch():
    if "DENAN_PLAN" not in os.environ:
        return
    # From its own folder: the interpreter may be one that denan is not installed in.
    package = os.path.dirname(_HERE)
    if "denan" not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            "denan", os.path.join(package, "__init__.py"), submodule_search_locations=[package]
        )
        module = importlib.util.module_from_spec(spec)
        sys.modules["denan"] = module
        spec.loader.exec_module(module)
    from denan import _arm

    _arm.wait_for_torch(os.environ["DENAN_PLAN"])


try:
    _run_the_other_one()
finally:
    try:
        _watch()
    except Exception as error:
        print(f"denan: not watching: {error}", file=sys.stderr)

"""The ``denan`` program, which is Rust's."""

import os
import signal
import sys

from denan import _core


def main() -> int:
    # The program waits for the training in Rust, where no handler of Python's would ever run.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    package = os.path.dirname(os.path.abspath(__file__))
    return _core.main(["denan", *sys.argv[1:]], sys.executable, package)


if __name__ == "__main__":
    sys.exit(main())

"""Modes of torch, left from wherever they are on their stack."""

import torch
from torch import overrides


def leave(mode, stack):
    """Takes a mode off its stack, ``torch.overrides`` or ``torch.utils._python_dispatch``. The program may have entered
    others since, which stay.

    Not while a call goes through it: torch takes a mode off its stack for that long, and puts it back.
    """
    length = torch._C._len_torch_function_stack if stack is overrides else torch._C._len_torch_dispatch_stack
    above = []
    while length() > 0:
        top = stack._pop_mode()
        if top is mode:
            # On top again, it leaves as it should.
            stack._push_mode(mode)
            mode.__exit__(None, None, None)
            break
        above.append(top)
    for other in reversed(above):
        stack._push_mode(other)

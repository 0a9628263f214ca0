"""Which of some tensors are not finite: read by the native half where they lie, or worked out by the device they are on."""

import torch

from denan import _core
from denan._torch import late, memory

# The element types that have NaN, by the numbers that the native half has for them.
CODES = {torch.float32: 0, torch.float64: 1, torch.float16: 2, torch.bfloat16: 3}
FLOAT32, STRIDED = torch.float32, torch.strided
# The types whose memory is what it seems.
PLAIN = {torch.Tensor, torch.nn.Parameter}


class Look:
    """Some tensors that are being looked at. A device may still be at work on it."""

    def __init__(self, tensors):
        at, others, keep = [], [], []
        plain, odd = [], []
        waiting = None
        for position, tensor in enumerate(tensors):
            dtype = tensor.dtype
            code = 0 if dtype is FLOAT32 else CODES.get(dtype)
            if code is not None and tensor.is_cpu and tensor.layout is STRIDED and type(tensor) in PLAIN:
                # The usual one, first.
                if tensor.is_contiguous():
                    at.append((tensor.data_ptr(), tensor.numel(), code))
                    plain.append(position)
                    continue
            if code is None:
                if not tensor.is_complex():
                    continue
                tensor = torch.view_as_real(tensor.detach().resolve_conj())
                code = CODES.get(tensor.dtype)
            local = memory.plain(tensor).detach()
            if local.layout is torch.strided and late.is_late(local):
                if local.numel() > 0:
                    waiting = waiting or {}
                    group = waiting.setdefault((local.device, local.dtype), ([], []))
                    group[0].append(position)
                    group[1].append(local)
                continue
            # Of what lies in memory in another way, and of other devices.
            others.append(memory.handed(local, keep))
            keep.append(local)
            odd.append(position)
        found = _core.Watch.bad_among(at, others) if at or others else ()
        self.found = [plain[one] if one < len(plain) else odd[one - len(plain)] for one in found]
        self.waiting = []
        for positions, group in (waiting or {}).values():
            with torch.no_grad():
                self.waiting.append((positions, torch.stack(late.norms_of(group, float("inf"))).isfinite()))

    def bad(self):
        """Positions of those that are not finite; waits for the device."""
        for positions, is_finite in self.waiting:
            flags = is_finite.tolist()
            self.found += [position for position, is_good in zip(positions, flags) if not is_good]
        self.waiting = []
        self.found.sort()
        return self.found


def bad_among(tensors):
    """Positions of the tensors that are not finite."""
    return Look(tensors).bad()


def counts(tensor):
    """Elements of a tensor, and how many of them are NaN, positive infinity, negative infinity and 0."""
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor.detach().resolve_conj())
    keep = []
    return _core.Watch.counts(memory.handed(memory.plain(tensor).detach(), keep))


def in_words(tensor):
    """What of a tensor is not finite: `was NaN in 3 of 40 elements`."""
    count, nan, above, below, _ = counts(tensor)
    kind, bad = ("NaN", nan) if nan else ("inf", above) if above else ("-inf", below)
    if not bad:
        return "was not finite"
    return f"was {kind}" if count == 1 else f"was {kind} in {bad} of {count} elements"

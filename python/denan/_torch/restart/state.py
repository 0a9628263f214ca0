"""What a kept state holds: the state of each part that a step changes, and the settings that the run began with.

A re-run may have other settings than the first one, which is what it is there for: a patch of a rate, say. A setting that
is another one from the beginning stays, or keeps its ratio to the first run's where a schedule has moved that.
"""

import torch

from denan._step import methods_of


def of(part):
    """The state of a part."""
    methods = methods_of(part)
    return getattr(part, methods[0])() if methods is not None else part.bit_generator.state


def settings_of(parts):
    """What the optimizers among the parts are set to: for each part None, or the settings of each of its groups."""
    return [_settings(part) if is_optimizer(part) else None for part in parts]


def put_back(parts, states, first, own):
    """Gives the parts their states. ``first`` are the settings that the first run began with, ``own`` those of this one.

    Raises:
        ValueError: they are other parts.
    """
    if len(parts) != len(states):
        raise ValueError(f"{len(parts)} parts have a state, and {len(states)} had one when it was kept")
    # A schedule is of the rates that are in force.
    for at in sorted(range(len(parts)), key=lambda at: is_schedule(parts[at])):
        part, state = parts[at], states[at]
        methods = methods_of(part)
        if methods is None:
            part.bit_generator.state = state
        elif is_schedule(part):
            _put_back_schedule(part, state)
        else:
            getattr(part, methods[1])(state)
            if is_optimizer(part):
                _keep_settings(part, first[at], own[at])


def is_optimizer(part):
    return hasattr(part, "param_groups") and hasattr(part, "state_dict")


def is_schedule(part):
    return isinstance(getattr(part, "scheduler", part), torch.optim.lr_scheduler.LRScheduler)


def _settings(optimizer):
    return [{name: _number(value) for name, value in group.items() if name != "params"} for group in optimizer.param_groups]


def _number(value):
    """A rate may be a tensor, which the optimizer changes in place."""
    return value.item() if isinstance(value, torch.Tensor) and value.numel() == 1 else value


def _keep_settings(optimizer, first, own):
    for group, was, is_now in zip(optimizer.param_groups, first, own):
        for name, value in is_now.items():
            old = was.get(name)
            if name not in was or _same(old, value):
                continue
            kept = _number(group.get(name))
            if not _same(kept, old) and all(isinstance(one, (int, float)) for one in (kept, old, value)) and old:
                value = kept * (value / old)
            if isinstance(group.get(name), torch.Tensor):
                group[name].fill_(value)
            else:
                group[name] = value


def _same(one, other):
    try:
        return bool(one == other)
    except (RuntimeError, ValueError):
        return False


def _put_back_schedule(part, state):
    schedule = getattr(part, "scheduler", part)
    base = {id(one): list(one.base_lrs) for one in _nested(schedule) if hasattr(one, "base_lrs")}
    part.load_state_dict(state)
    for one in _nested(schedule):
        # The rates that it was made with are this run's.
        if id(one) in base:
            one.base_lrs = base[id(one)]
        optimizer = getattr(one, "optimizer", None)
        if optimizer is not None and hasattr(one, "_last_lr"):
            one._last_lr = [group["lr"] for group in optimizer.param_groups]


def _nested(schedule):
    yield schedule
    for inner in getattr(schedule, "_schedulers", ()):
        yield from _nested(inner)

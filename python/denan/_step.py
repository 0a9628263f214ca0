"""``denan.step``: the steps of a loop of one's own, by which a long training need not be run again from its beginning."""

#: Methods by which something is asked for its state and given it back: networks and optimizers, generators of torch and
#: of NumPy's old kind, those of Python.
METHODS = (("state_dict", "load_state_dict"), ("get_state", "set_state"), ("getstate", "setstate"))


class _Current:
    """Who wants to know of the steps; nobody in a run that denan has nothing to do with."""

    taker = None


def step(number, *parts):
    """Tells denan that a step of the training's loop begins, and with it all that a step changes.

    ``denan run`` keeps states of a long training, so that what it runs again, to look closely and to prove cures, can begin
    shortly before the break. In such a run the steps before it are skipped::

        for number, (x, y) in enumerate(loader):
            if not denan.step(number, model, optimizer, scheduler):
                continue
            ...

    Python's, NumPy's and torch's own random numbers are kept as well. What comes between the steps is done in such a run as
    ever, so it has to cope with a loss that nothing has been assigned to. In any other run this does nothing.

    Args:
        number: of the step, counted on over epochs; the same in every run of the program.
        parts: what has ``state_dict`` and ``load_state_dict``, such as networks, optimizers, schedulers and loss scalers, or
            is a random generator; always the same ones in the same order.

    Returns:
        Whether the step is to be made.

    Raises:
        TypeError: a part has no state that could be kept.
    """
    for part in parts:
        if not has_state(part):
            raise TypeError(f"denan.step: a {type(part).__name__} has neither state_dict and load_state_dict nor get_state")
    taker = _Current.taker
    return taker is None or taker(number, parts) is not False


def has_state(part):
    """Whether a part has a state that can be kept and put back."""
    # To ask a network for what it lacks takes long, so that comes last.
    return methods_of(part) is not None or hasattr(part, "bit_generator")


def methods_of(part):
    """The names of the methods by which a part is asked for its state and given it back; None if it has none of them, as
    NumPy's new generators, whose state is that of their ``bit_generator``."""
    return next((pair for pair in METHODS if all(hasattr(part, name) for name in pair)), None)

"""Keeping a training alive: ``denan.guard``, its policy, and what it has done.

What it does to an optimizer's step is in ``denan._torch.guarding``, what it keeps to go back to in ``states``, and what
it does to checkpoints in ``saving``.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Policy:
    """What a guard may do, and how often."""

    #: Do not let the optimizer make a step whose loss or gradients are not finite.
    skip: bool = True
    #: Bad steps in a row that are only skipped; with the next one the guard goes back to a state that it has kept.
    roll_back_after: int = 3
    #: Steps from one kept state to the next.
    keep_every: int = 100
    #: States that are kept at the same time.
    keep: int = 2
    #: What they may take of the processor's memory: up to 1 a share of what is free, above it bytes. A state that does
    #: not fit is not kept, which is said.
    memory: float = 0.25
    #: What all learning rates are multiplied by each time the guard goes back.
    lower_rate: float = 0.5
    #: How often it may go back: with the rate halved each time, little is learned in the end.
    most_roll_backs: int = 10
    #: Steps that it may skip or go back in, in all ...
    most_acts: int = 1000
    #: ... and within the last ``window`` steps. With one more it gives up and lets the training go.
    most_in_window: int = 50
    window: int = 200
    #: Raise `GuardGaveUp` then, instead of letting the training go on unguarded.
    raise_at_end: bool = False
    #: Never write a checkpoint that is not finite over another one.
    save_guard: bool = True
    #: Leave a sample out of all batches once it has been in so many skipped ones, and in no good one between; 0 never
    #: does. Another sample of the batch stands in its place, so that batches keep their size. Only in a single process.
    leave_out_after: int = 0

    def __post_init__(self):
        for name in ("roll_back_after", "most_roll_backs", "most_acts", "most_in_window", "leave_out_after"):
            if getattr(self, name) < 0:
                raise ValueError(f"Policy.{name} must not be negative")
        for name in ("keep_every", "window"):
            if getattr(self, name) < 1:
                raise ValueError(f"Policy.{name} must be at least 1")
        if not 0 < self.lower_rate <= 1:
            raise ValueError("Policy.lower_rate must be above 0 and at most 1")


@dataclasses.dataclass(frozen=True)
class Act:
    """Something that a guard did."""

    #: 0-based number of the optimizer step.
    step: int
    #: ``skipped-step``, ``rolled-back``, ``restored-buffers``, ``left-out``, ``kept-checkpoint`` or ``gave-up``.
    what: str
    #: Why, in words.
    why: str
    #: Samples of the batches that were left unused, or that are left out from now on: index, and name or None.
    samples: tuple = ()
    #: Of a roll back: the step before which the training was in this state.
    to: int | None = None
    #: Of a roll back: what all learning rates are multiplied by from now on.
    factor: float | None = None
    #: Of a checkpoint: the file that was to be written.
    file: str | None = None

    def __str__(self):
        from denan import _core

        return _core.act_in_words(self).replace("\xa0", " ")


class GuardGaveUp(RuntimeError):
    """A guard had to act more often than its policy allows, and is to end the training then."""


class Guard:
    """Keeps the training of this process alive, from when it is made until `stop`. As a context it stops at its end."""

    def __init__(self, model=None, optimizer=None, policy=None):
        from denan._torch import guarding, wrapping

        #: What it may do.
        self.policy = policy if policy is not None else Policy()
        if not isinstance(self.policy, Policy):
            raise TypeError("policy must be a denan.Policy")
        #: What it has done, in order.
        self.acts = []
        self._guarding = wrapping.begin(guarding.Guarding(self.policy, self.acts, model, optimizer))

    @property
    def has_given_up(self):
        """Whether it had to act too often and has let the training go."""
        return any(act.what == "gave-up" for act in self.acts)

    def stop(self):
        """Lets the training go. What it has done stays in `acts`."""
        self._guarding.stop()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.stop()

    def __repr__(self):
        return f"<denan.Guard: {len(self.acts)} acts>"


def guard(model=None, optimizer=None, policy=None):
    """Keeps a training alive from now on: skips steps whose loss or gradients are not finite, goes back to the last good
    state and lowers the rate when there are several in a row, and never writes a checkpoint that is not finite over
    another one. It takes the place of a guard that was made before.

    A healthy training computes the same numbers with it as without. Of several processes that train together each must
    have one; they decide alike.

    ::

        with denan.guard() as guard:
            train()
        for act in guard.acts:
            print(act)

    Args:
        model: network whose buffers are guarded as well, or a list of them; without it, those that the parameters of the
            optimizers belong to.
        optimizer: the one whose steps are guarded, or a list of them; without it, all.
        policy: a `Policy`; without it, the default one.
    """
    return Guard(model, optimizer, policy)

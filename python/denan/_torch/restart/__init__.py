"""Beginning a run again in the middle of a long training.

The first run keeps states of the training on disk, seldom and few; a re-run of the same program skips the steps before one
of them and puts it back. What is around a step goes on as ever while steps are skipped: loaders hand out their batches, so
that those of the steps that follow are the right ones.

- ``keeping``: the first run: when a state is kept, and where.
- ``resuming``: a re-run: which steps are skipped.
- ``state``: what a state holds, and how it is put back.
- ``draws``: random numbers that loaders draw between two steps.
- ``trainers``: the loops whose steps are known without ``denan.step``: those of Lightning and Transformers.
"""

from denan import _step


def of(plan, watcher):
    """Who takes the steps of the program's loop, if the plan has that done; else None."""
    from denan._torch.hooks import guarded
    from denan._torch.restart import draws, keeping, resuming, trainers

    if plan.get("restart") is not None:
        taker = resuming.Resuming(watcher, plan["restart"])
    elif plan.get("keep-states") is not None:
        taker = keeping.Keeping(watcher, plan["keep-states"])
    else:
        return None
    _step._Current.taker = guarded("take_step")
    draws.watch(guarded("begin_pass"))
    trainers.watch()
    return taker

"""The loops of trainers, whose steps are known without ``denan.step``.

While steps are skipped a trainer fetches its batches and counts, and does nothing that reads what was not trained: it does
not evaluate, log, save, stop early or move a schedule. What it counts of its own is a part of the state.
"""

import functools

import torch

from denan import _arm, _step


def watch():
    """Waits for the trainers to be imported."""
    _arm.when_imported(
        {
            "lightning.pytorch.trainer.trainer": _lightning,
            "pytorch_lightning.trainer.trainer": _lightning,
            "transformers.trainer": _transformers,
        }
    )


class _Loop:
    """Counts the steps of a trainer, and has its methods do nothing while they are skipped."""

    def __init__(self, parts, quiet):
        self.parts = parts
        # Objects and names of their methods, with what these return while steps are skipped.
        self.quiet = quiet
        self.number = 0
        self.own = None

    def takes(self):
        """Whether the step that begins is to be made."""
        number, self.number = self.number, self.number + 1
        parts = [part for part in self.parts() if part is not None and _step.has_state(part)]
        is_made = _step.step(number, *parts)
        if is_made and self.own is not None:
            self.speak()
        elif not is_made and self.own is None:
            self.hush()
        return is_made

    def hush(self):
        self.own = []
        for owner, name, result in self.quiet():
            self.own.append((owner, name, vars(owner).get(name)))
            setattr(owner, name, lambda *args, result=result, **kwargs: result)

    def speak(self):
        for owner, name, own in self.own:
            if own is None:
                delattr(owner, name)
            else:
                setattr(owner, name, own)
        self.own = None

    def around(self, owner, name, skipped):
        """Puts the step of a loop into an object's method. ``skipped`` is what it returns for one that is skipped."""
        method = getattr(owner, name)

        @functools.wraps(method)
        def taken(*args, **kwargs):
            return method(*args, **kwargs) if self.takes() else skipped()

        setattr(owner, name, taken)


def _lightning(module):
    fit = module.Trainer.fit

    @functools.wraps(fit)
    def watched_fit(self, *args, **kwargs):
        if _step._Current.taker is not None:
            _follow_lightning(self)
        return fit(self, *args, **kwargs)

    module.Trainer.fit = watched_fit


def _follow_lightning(trainer):
    try:
        epochs = trainer.fit_loop.epoch_loop
        automatic, manual = epochs.automatic_optimization, epochs.manual_optimization
        counters = (automatic.optim_progress, manual.optim_step_progress)
    except AttributeError:
        # Of another version; its runs begin at the beginning.
        return
    if "run" in vars(automatic):
        # A second fit of the same trainer.
        return
    monitors = [callback for callback in trainer.callbacks if getattr(callback, "monitor", None) is not None]

    def parts():
        schedules = [config.scheduler for config in trainer.strategy.lr_scheduler_configs]
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        return (trainer.lightning_module, *trainer.optimizers, *schedules, scaler, *counters, *monitors)

    def quiet():
        yield epochs, "_should_check_val_fx", False
        yield epochs, "update_lr_schedulers", None
        for callback in monitors:
            for name in dir(callback):
                if name.startswith("on_train") or name.startswith("on_validation"):
                    yield callback, name, None

    loop = _Loop(parts, quiet)
    loop.around(automatic, "run", lambda: {"loss": torch.zeros(())})
    loop.around(manual, "run", dict)


def _transformers(module):
    train = module.Trainer.train

    @functools.wraps(train)
    def watched_train(self, *args, **kwargs):
        if _step._Current.taker is None or "training_step" in vars(self):
            return train(self, *args, **kwargs)
        loop = _Loop(
            lambda: (self.model, self.optimizer, self.lr_scheduler, getattr(self.accelerator, "scaler", None)),
            lambda: ((self, "_maybe_log_save_evaluate", None),),
        )
        loop.around(self, "training_step", lambda: torch.zeros((), device=self.args.device))
        try:
            return train(self, *args, **kwargs)
        finally:
            del self.training_step

    module.Trainer.train = watched_train

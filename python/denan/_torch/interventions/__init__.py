"""The one thing that is different in a run of an experiment, switched on in a script that is not changed.

The plan names it (``plan.rs`` has the fields of each); a class for each id does it, in the file of its kind:

- ``data``: samples left out, inputs clamped or normalised, smaller batches, other anchors;
- ``calls``: one call of torch at one line, the base of those that change its arguments or its result;
- ``around``: what a loader asks for and hands on, and the beginning of the backward pass, for those that act there;
- ``safe_op``: a call kept away from the edge of its domain;
- ``precision``: float32 in the place of float16, a scaled or averaged loss;
- ``gradients``: set to zero, clipped, held back;
- ``updates``: another rate, epsilon, weight decay or optimizer;
- ``layers``: other initial values, a normalisation more, frozen BatchNorm.
"""


class Intervention:
    """Does nothing, at each place where one may act. Each says by ``acts`` that it has changed something."""

    def __init__(self, watcher, plan):
        self.watcher = watcher
        self.plan = plan
        self.has_acted = False
        # Worker processes of a loader have the watcher's modes and hooks, and are no part of it.
        self.is_paused = False

    def acts(self):
        """Tells, the first time, in which step something is changed."""
        if not self.has_acted:
            self.has_acted = True
            self.watcher.begin().intervened()

    def begin(self):
        """Torch has just been imported."""

    def optimizer_made(self, optimizer):
        """An optimizer has been made."""

    def tries(self, method, *args):
        """What a method makes of its arguments; None, and the run is over, if it fails."""
        if self.is_paused:
            return None
        try:
            return method(*args)
        except Exception as error:
            self.watcher.failed(error)
            return None

    def before_update(self, optimizer):
        """An optimizer is about to read its gradients."""

    def update(self, optimizer):
        """An optimizer has read its gradients, as far as the record is concerned, and is about to use them."""

    def after_update(self, optimizer):
        """An optimizer has updated its parameters."""


def of(plan, watcher):
    """What a plan asks for.

    Raises:
        KeyError: there is no intervention of that id.
    """
    from denan._torch.interventions import data, gradients, layers, precision, safe_op, updates

    kinds = {
        "drop-samples": data.DropSamples,
        "smaller-batch": data.SmallerBatch,
        "clamp-inputs": data.ClampInputs,
        "normalize-inputs": data.NormalizeInputs,
        "replace-anchors": data.ReplaceAnchors,
        "safe-op": safe_op.SafeOp,
        "float32": precision.float32,
        "scale-loss": precision.ScaleLoss,
        "mean-loss": precision.MeanLoss,
        "zero-grad": gradients.ZeroGrad,
        "clip-gradients": gradients.ClipGradients,
        "freeze-released": gradients.Held,
        "lower-released-rate": updates.LowerReleasedRate,
        "lower-learning-rate": updates.LowerLearningRate,
        "constant-learning-rate": updates.ConstantLearningRate,
        "warm-up": updates.WarmUp,
        "raise-epsilon": updates.RaiseEpsilon,
        "weight-decay": updates.WeightDecay,
        "change-optimizer": updates.ChangeOptimizer,
        "reinitialize": layers.Reinitialize,
        "insert-norm": layers.insert_norm,
        "freeze-batch-norm": layers.freeze_batch_norm,
    }
    return kinds[plan["id"]](watcher, plan)

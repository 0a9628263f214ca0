"""One call at one line, kept away from the edge of its domain: by a clamp of its argument, or by the call that means the
same and is finite there.

A clamp changes nothing where the argument is inside, and where it is outside it stops the gradient as well, so that
value and gradient stay finite.
"""

import inspect

import torch
import torch.nn.functional as F

from denan._torch.interventions.calls import AtCalls

# Calls whose first argument stays above the margin.
ABOVE = {"log", "log2", "log10", "sqrt", "rsqrt", "lgamma", "digamma", "mvlgamma"}
# Below it.
BELOW = {"exp", "exp2", "expm1"}
# What makes a mean over nothing.
MEANS = {"mean", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy",
         "binary_cross_entropy_with_logits", "nanmean"}
# Calls that are made of others and hand them their own arguments.
ATTENTION = "multi_head_attention_forward"


class SafeOp(AtCalls):
    """A clamp, or another form: `log_softmax`, `logsigmoid`, `softplus`, `logsumexp`."""

    def __init__(self, watcher, plan):
        super().__init__(watcher, plan)
        self.op, self.margin = plan["op"], plan["margin"]
        self.form = FORMS[self.op] if plan.get("is_form") else None
        # What made a tensor that a form may need to know, by identity: the tensor, the call, its arguments.
        self.made = {}

    def call(self, name, function, args, kwargs):
        if self.form is not None:
            return self.formed(name, function, args, kwargs)
        if name == ATTENTION and self.op in ("softmax", "scaled_dot_product_attention") and self.is_at(self.plan):
            return self.attention(function, args, kwargs)
        if name != self.op or not self.is_at(self.plan):
            return function(*args, **kwargs)
        changed = self.safer(name, function, args, kwargs)
        if changed is None:
            return function(*args, **kwargs)
        self.acts()
        return changed

    def safer(self, name, function, args, kwargs):
        """What the call is to return; None if there is nothing to change."""
        margin = self.margin
        if name in ABOVE:
            return first(function, args, kwargs, lambda x: x.clamp(min=margin))
        if name in BELOW:
            return first(function, args, kwargs, lambda x: x.clamp(max=margin))
        if name in ("sinh", "cosh"):
            return first(function, args, kwargs, lambda x: x.clamp(-margin, margin))
        if name == "log1p":
            return first(function, args, kwargs, lambda x: x.clamp(min=-1 + margin))
        if name in ("acos", "arccos", "asin", "arcsin", "atanh", "arctanh"):
            return first(function, args, kwargs, lambda x: x.clamp(-1 + margin, 1 - margin))
        if name in ("acosh", "arccosh"):
            return first(function, args, kwargs, lambda x: x.clamp(min=1 + margin))
        if name == "logit":
            return first(function, args, kwargs, lambda x: x.clamp(margin, 1 - margin))
        if name in ("softmax", "log_softmax", "logsumexp"):
            return first(function, args, kwargs, lambda x: x.clamp(min=-margin))
        if name in ("div", "true_divide", "divide"):
            at = 0 if function.__name__ in ("__rtruediv__", "__rdiv__", "__rtruediv") else 1
            return at_argument(at, function, args, kwargs, lambda x: away_from_zero(x, margin))
        if name == "reciprocal":
            return first(function, args, kwargs, lambda x: away_from_zero(x, margin))
        if name in ("atan2", "arctan2"):
            return at_argument(1, function, args, kwargs, lambda x: away_from_zero(x, margin))
        if name in ("pow", "float_power") and isinstance(args[0], torch.Tensor):
            return first(function, args, kwargs, lambda x: x.clamp(min=margin))
        if name == "mul":
            return function(*(bounded(one, margin) for one in args), **kwargs)
        if name in ("norm", "vector_norm", "cdist", "dist", "pairwise_distance", "hypot"):
            return first(function, args, kwargs, lambda x: away_from_zero(x, margin))
        if name in ("std", "var", "std_mean", "var_mean"):
            return self.spread(function, args, kwargs)
        if name in ("cross_entropy", "nll_loss"):
            return counted(function, args, kwargs)
        if name == "ctc_loss":
            return function(*args, **{**kwargs, "zero_infinity": True})
        if name in MEANS:
            # Over nothing it is 0/0; 0 has the gradient that nothing has.
            is_empty = isinstance(args[0], torch.Tensor) and args[0].numel() == 0
            return args[0].sum() * 0 if is_empty else None
        return with_epsilon(function, args, kwargs, margin)

    def spread(self, function, args, kwargs):
        """The spread of a single value is 0 where it is divided by the count and not by one less."""
        plain = {key: value for key, value in kwargs.items() if key not in ("unbiased", "correction")}
        rest = [one for one in args if not isinstance(one, bool)]
        return function(*rest, **plain, correction=0)

    def attention(self, function, args, kwargs):
        """A softmax inside of torch's attention."""
        softmax, attend = F.softmax, F.scaled_dot_product_attention
        margin, intervention = self.margin, self

        def safe_softmax(input, *args, **kwargs):
            intervention.acts()
            return softmax(input.clamp(min=-margin), *args, **kwargs)

        def safe_attend(query, key, value, attn_mask=None, *args, **kwargs):
            if attn_mask is not None and attn_mask.is_floating_point():
                intervention.acts()
                attn_mask = attn_mask.clamp(min=-margin)
            return attend(query, key, value, attn_mask, *args, **kwargs)

        F.softmax, F.scaled_dot_product_attention = safe_softmax, safe_attend
        try:
            return function(*args, **kwargs)
        finally:
            F.softmax, F.scaled_dot_product_attention = softmax, attend

    def formed(self, name, function, args, kwargs):
        """Another form for a logarithm, if what it reads was made as that form says."""
        if name in ("log", "log1p") and self.is_at(self.plan):
            safe = self.form(self, name, args[0])
            if safe is not None:
                self.acts()
                return safe
        result = function(*args, **kwargs)
        if name in ("softmax", "sigmoid", "exp", "sum", "add", "sub", "rsub") and isinstance(result, torch.Tensor):
            if len(self.made) > 256:
                self.made.pop(next(iter(self.made)))
            self.made[id(result)] = (result, name, function, args, kwargs)
        return result

    def maker(self, tensor, *names):
        """The call of one of these names that made a tensor, with its arguments."""
        made = self.made.get(id(tensor))
        return made if made is not None and made[0] is tensor and made[1] in names else None


def log_softmax(intervention, name, tensor):
    made = intervention.maker(tensor, "softmax") if name == "log" else None
    if made is None:
        return None
    _, _, _, args, kwargs = made
    dim = args[1] if len(args) > 1 else kwargs.get("dim", -1)
    return F.log_softmax(args[0], -1 if dim is None else dim)


def logsigmoid(intervention, name, tensor):
    if name != "log":
        return None
    made = intervention.maker(tensor, "sigmoid")
    if made is not None:
        return F.logsigmoid(made[3][0])
    # log(1 - sigmoid(x)) is logsigmoid(-x).
    made = intervention.maker(tensor, "rsub", "sub")
    if made is None:
        return None
    numbers = [one for one in made[3] if not isinstance(one, torch.Tensor)]
    of = [intervention.maker(one, "sigmoid") for one in made[3] if isinstance(one, torch.Tensor)]
    is_from_one = numbers in ([1], [1.0]) and len(of) == 1 and of[0] is not None
    return F.logsigmoid(-of[0][3][0]) if is_from_one and is_reversed(made) else None


def softplus(intervention, name, tensor):
    of = exponential_plus_one(intervention, tensor) if name == "log" else intervention.maker(tensor, "exp")
    return None if of is None else F.softplus(of[3][0])


def exponential_plus_one(intervention, tensor):
    made = intervention.maker(tensor, "add")
    if made is None or [one for one in made[3] if not isinstance(one, torch.Tensor)] not in ([1], [1.0]):
        return None
    return next((intervention.maker(one, "exp") for one in made[3] if isinstance(one, torch.Tensor)), None)


def logsumexp(intervention, name, tensor):
    made = intervention.maker(tensor, "sum") if name == "log" else None
    of = None if made is None else intervention.maker(made[3][0], "exp")
    if of is None:
        return None
    _, _, _, args, kwargs = made
    kept = {"keepdim": kwargs["keepdim"]} if "keepdim" in kwargs else {}
    dim = args[1] if len(args) > 1 else kwargs.get("dim")
    return torch.logsumexp(of[3][0], tuple(range(of[3][0].dim())) if dim is None else dim, **kept)


FORMS = {"log_softmax": log_softmax, "logsigmoid": logsigmoid, "softplus": softplus, "logsumexp": logsumexp}


def is_reversed(made):
    """Whether a difference is of a number less a tensor."""
    _, name, function, args, _ = made
    return name == "rsub" or function.__name__ in ("__rsub__", "rsub") or not isinstance(args[0], torch.Tensor)


def first(function, args, kwargs, change):
    return at_argument(0, function, args, kwargs, change)


def at_argument(at, function, args, kwargs, change):
    """The call with one of its arguments changed; None if that is no tensor of floating point."""
    args, kwargs = list(args), dict(kwargs)
    name = None
    if at >= len(args):
        name = next((name for name in ("input", "other", "x2", "x") if name in kwargs), None)
    value = kwargs.get(name) if name else args[at] if at < len(args) else None
    if not isinstance(value, torch.Tensor):
        return None
    changed = change(value if value.is_floating_point() else value.float())
    if name:
        kwargs[name] = changed
    else:
        args[at] = changed
    return function(*args, **kwargs)


def away_from_zero(tensor, margin):
    """The same values, and those nearer to 0 than the margin at it, with their sign."""
    return torch.where(tensor.abs() < margin, torch.full_like(tensor, margin).copysign(tensor.detach()), tensor)


def bounded(value, margin):
    if isinstance(value, torch.Tensor):
        return value.clamp(-margin, margin) if not torch.isfinite(value.detach()).all() else value
    return max(-margin, min(margin, value)) if isinstance(value, float) else value


def counted(function, args, kwargs):
    """The sum of a loss over at least one target, instead of a mean that may be over none."""
    if kwargs.get("reduction", "mean") != "mean":
        return None
    target = args[1] if len(args) > 1 else kwargs.get("target")
    if not isinstance(target, torch.Tensor) or target.is_floating_point():
        return None
    valid = target != kwargs.get("ignore_index", -100)
    weight = args[2] if len(args) > 2 else kwargs.get("weight")
    count = valid.sum() if weight is None else weight[target.clamp(min=0)][valid].sum()
    if count > 0:
        return None
    return function(*args, **{**kwargs, "reduction": "sum"})


def with_epsilon(function, args, kwargs, margin):
    """A call that has an `eps` gets at least the margin for it."""
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return None
    if "eps" not in names:
        return None
    at = names.index("eps")
    if at < len(args):
        return function(*args[:at], max(args[at], margin), *args[at + 1 :], **kwargs)
    return function(*args, **{**kwargs, "eps": max(kwargs.get("eps", 0.0), margin)})

"""What each intervention does to a script that is not changed, in a run of its own without experiments around it."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

import denan

INJECTED = os.path.join(os.path.dirname(denan.__file__), "_inject")

NET = """
import torch
from torch import nn
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
x, y = torch.randn(16, 4), torch.randn(16, 1)
def step():
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(net(x), y)
    loss.backward()
    optimizer.step()
    return loss
"""

LOADER = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
net = nn.Linear(2, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
data = torch.arange(12.0).view(6, 2)
loader = DataLoader(TensorDataset(data, torch.zeros(6, 1)), batch_size=3)
seen = []
for x, y in loader:
    seen.append(x[:, 0].tolist())
    optimizer.zero_grad()
    nn.functional.mse_loss(net(x), y).backward()
    optimizer.step()
show(seen)
"""


@pytest.fixture
def changed(tmp_path):
    """`changed(text, id, ...)` runs a script under an intervention; what it hands to `show` comes back."""

    def changed(text, intervention, **fields):
        path = tmp_path / "train.py"
        shown = tmp_path / "shown.json"
        show = f"import json\ndef show(what):\n    json.dump(what, open({str(shown)!r}, 'w'))\n"
        path.write_text(show + textwrap.dedent(text))
        plan = {"seed": 1, "check-from": 0}
        if intervention is not None:
            plan["intervention"] = {"id": intervention, **fields}
        folders = [INJECTED, os.environ.get("PYTHONPATH")]
        environment = {"DENAN_PLAN": json.dumps(plan), "PYTHONPATH": os.pathsep.join(filter(None, folders))}
        done = subprocess.run(
            [sys.executable, "train.py"],
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0 and "failed" not in done.stderr, done.stderr
        return json.loads(shown.read_text())

    return changed


def line_of(text, part):
    """Number of the line that holds some text, in a script of the `changed` fixture."""
    lines = textwrap.dedent(text).splitlines()
    return 3 + next(at for at, line in enumerate(lines, 1) if part in line)


def at(text, part, **more):
    return {"file": "train.py", "line": line_of(text, part), **more}


# Data


def test_samples_are_left_out_of_the_batches_of_a_loader(changed):
    assert changed(LOADER, None) == [[0.0, 2.0, 4.0], [6.0, 8.0, 10.0]]
    assert changed(LOADER, "drop-samples", indices=[1]) == [[0.0, 4.0], [6.0, 8.0, 10.0]]
    assert changed(LOADER, "drop-samples", indices=[0, 1, 2, 4]) == [[6.0, 10.0]]


def test_samples_below_a_subset_go_by_the_index_in_the_whole(changed):
    text = LOADER.replace("TensorDataset(data, torch.zeros(6, 1))", "torch.utils.data.Subset(TensorDataset(data, torch.zeros(6, 1)), [5, 4, 3])")
    assert changed(text, "drop-samples", indices=[4]) == [[10.0, 6.0]]


def test_samples_of_a_stream_go_by_their_number(changed):
    text = """
    import torch
    from torch.utils.data import DataLoader, IterableDataset
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(torch.arange(8.0).view(4, 2))
    net = torch.nn.Linear(2, 1)
    seen = []
    for x in DataLoader(Stream(), batch_size=2):
        seen.append(x[:, 0].tolist())
        net(x).mean().backward()
    show(seen)
    """
    assert changed(text, "drop-samples", indices=[2]) == [[0.0, 2.0], [6.0]]
    assert changed(text, "smaller-batch", size=1) == [[0.0], [4.0]]


def test_samples_are_left_out_of_rows_that_the_program_takes(changed):
    text = """
    import torch
    data, wanted = torch.arange(12.0).view(6, 2), torch.arange(6)
    order = torch.tensor([5, 4, 3, 2, 1, 0])
    seen = []
    for start in range(0, 6, 3):
        rows = order[start:start + 3]
        seen.append([data[rows][:, 0].tolist(), wanted[rows].tolist()])
    show([seen, order.tolist()])
    """
    seen, order = changed(text, "drop-samples", indices=[4], rows=6)
    assert seen == [[[10.0, 6.0], [5, 3]], [[4.0, 2.0, 0.0], [2, 1, 0]]]
    assert order == [5, 4, 3, 2, 1, 0], "an order is no data"


def test_batches_become_smaller(changed):
    assert changed(LOADER, "smaller-batch", size=2) == [[0.0, 2.0], [6.0, 8.0]]


def test_a_batch_is_clamped_by_its_variable(changed):
    place = at(LOADER, "for x, y in loader", column=5)
    assert changed(LOADER, "clamp-inputs", at=place, low=1.0, high=7.0) == [[1.0, 2.0, 4.0], [6.0, 7.0, 7.0]]


def test_columns_of_a_batch_are_normalised(changed):
    place = at(LOADER, "for x, y in loader", column=5)
    seen = changed(LOADER, "normalize-inputs", at=place, axis=1, means=[5.0, 6.0], stds=[5.0, 0.0])
    assert seen == [[-1.0, pytest.approx(-0.6), pytest.approx(-0.2)], [pytest.approx(0.2), pytest.approx(0.6), 1.0]]


def test_data_in_memory_are_clamped_where_they_are_read(changed):
    text = NET + "x = x * 100\nshow([step().item() for _ in range(1)] + [net(x[:2]).abs().max().item()])\n"
    free = changed(text, None)
    place = at(text, "mse_loss(net(x), y)")
    bounded = changed(text, "clamp-inputs", at=place, low=-0.1, high=0.1)
    assert bounded[0] < free[0]


def test_a_table_of_anchors_is_replaced(changed):
    text = """
    import torch
    anchors = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    show(anchors.tolist())
    """
    place = at(text, "torch.tensor")
    assert changed(text, "replace-anchors", at=place, values=[5.0, 6.0, 7.0, 8.0]) == [[5.0, 6.0], [7.0, 8.0]]


# Arithmetic

OPERATIONS = {
    "log": ("torch.log(x)", 0.0, 1e-3),
    "log1p": ("x.log1p()", -2.0, 1e-3),
    "sqrt": ("x.sqrt()", 0.0, 1e-6),
    "pow": ("x ** 0.5", 0.0, 1e-6),
    "exp": ("x.exp()", 200.0, 80.0),
    "div": ("1 / x", 0.0, 1e-3),
    "reciprocal": ("torch.reciprocal(x)", 0.0, 1e-3),
    "acos": ("torch.acos(x)", 1.0, 1e-4),
    "std": ("torch.std(x[:1])", 1.0, 1.0),
    "mean": ("x[:0].mean()", 1.0, 1.0),
}


@pytest.mark.parametrize("op", OPERATIONS)
def test_a_call_is_kept_away_from_the_edge_of_its_domain(changed, op):
    call, edge, margin = OPERATIONS[op]
    text = f"""
    import math
    import torch
    x = torch.tensor([{edge}, 0.5], requires_grad=True)
    value = {call}
    value.sum().backward()
    other = torch.log(torch.tensor(0.0))
    gradient = x.grad if x.grad is not None else torch.zeros(2)
    show([bool(torch.isfinite(value).all() and torch.isfinite(gradient).all()), math.isinf(other)])
    """
    assert changed(text, None) == [False, True]
    place = at(text, "value = ")
    assert changed(text, "safe-op", op=op, margin=margin, **place) == [True, True], "no other call is changed"


@pytest.mark.parametrize(
    "form, call",
    [
        ("log_softmax", "torch.log(torch.softmax(x, 0))"),
        ("logsigmoid", "torch.log(torch.sigmoid(-x))"),
        ("logsigmoid", "torch.log(1 - torch.sigmoid(x))"),
        ("softplus", "torch.log(1 + torch.exp(x))"),
        ("softplus", "torch.log1p(x.exp())"),
        ("logsumexp", "torch.log(torch.exp(x).sum())"),
    ],
)
def test_a_logarithm_is_taken_in_a_form_without_an_edge(changed, form, call):
    text = f"""
    import torch
    x = torch.tensor([200.0, 0.5], requires_grad=True)
    value = {call}
    value.sum().backward()
    show([bool(torch.isfinite(value).all()), bool(torch.isfinite(x.grad).all())])
    """
    assert changed(text, None) != [True, True]
    assert changed(text, "safe-op", op=form, is_form=True, margin=20.0, **at(text, "value = ")) == [True, True]


@pytest.mark.parametrize("op", ["softmax", "log_softmax", "logsumexp"])
def test_a_row_that_is_masked_whole_has_a_gradient(changed, op):
    text = f"""
    import torch
    x = torch.full((2, 3), -torch.inf, requires_grad=True)
    value = torch.{op}(x, 1)
    value.sum().backward()
    show([bool(torch.isfinite(value).all()), bool(torch.isfinite(x.grad).all())])
    """
    assert changed(text, None) != [True, True]
    assert changed(text, "safe-op", op=op, margin=1e9, **at(text, "value = ")) == [True, True]


def test_a_row_that_is_masked_whole_is_attended_to_evenly(changed):
    text = """
    import torch
    attention = torch.nn.MultiheadAttention(4, 1, batch_first=True)
    x = torch.randn(2, 3, 4)
    padding = torch.tensor([[False, False, True], [True, True, True]])
    made, weights = attention(x, x, x, key_padding_mask=padding)
    show([bool(torch.isfinite(made).all()), float(weights[1, 0, 0])])
    """
    place = at(text, "made, weights")
    assert changed(text, "safe-op", op="softmax", margin=1e9, **place) == [True, pytest.approx(1 / 3)]


def test_a_mean_over_no_target_is_nothing(changed):
    text = """
    import torch
    scores = torch.zeros(2, 3, requires_grad=True)
    loss = torch.nn.functional.cross_entropy(scores, torch.tensor([-100, -100]))
    loss.backward()
    show([loss.item(), scores.grad.abs().sum().item()])
    """
    place = at(text, "loss = ")
    assert changed(text, "safe-op", op="cross_entropy", margin=1.0, **place) == [0.0, 0.0]


# Precision

HALF = """
import torch
x = torch.full((4,), 300.0)
with torch.autocast("cpu", dtype=torch.float16):
    made = torch.mm(x[None], x[:, None])
later = (x.half() ** 2).sum()
show([made.item(), str(made.dtype), later.item(), str(later.dtype)])
"""


def test_one_call_is_computed_in_float32(changed):
    only = {"op": "pow", **at(HALF, "later = ")}
    made, of, later, dtype = changed(HALF, "float32", only=only)
    assert (made, of) == (float("inf"), "torch.float16")
    assert (later, dtype) == (360000.0, "torch.float32")


def test_nothing_becomes_float16(changed):
    assert changed(HALF, "float32", only=None) == [360000.0, "torch.float32", 360000.0, "torch.float32"]


def test_a_scaled_loss_makes_the_same_update(changed):
    text = NET + "loss = [step().item() for _ in range(5)][-1]\nshow(loss)\n"
    assert changed(text, "scale-loss", factor=1024.0) == pytest.approx(changed(text, None), rel=1e-6)


def test_a_summed_loss_is_averaged(changed):
    text = NET.replace("mse_loss(net(x), y)", "mse_loss(net(x), y, reduction='sum')") + "step()\nshow(step().item())\n"
    mean = changed(NET + "step()\nshow(step().item())\n", None)
    assert changed(text, "mean-loss", elements=16) == pytest.approx(16 * mean, rel=1e-5)


# Gradients and updates


def test_gradients_are_set_to_zero_in_every_step(changed):
    text = NET.replace("    optimizer.zero_grad()\n", "") + "show([step().item() for _ in range(4)])\n"
    assert changed(text, "zero-grad") == changed(NET + "show([step().item() for _ in range(4)])\n", None)


def test_gradients_of_several_backward_passes_still_add_up(changed):
    text = NET.replace("    loss.backward()\n", "    (loss / 2).backward(retain_graph=True)\n    (loss / 2).backward()\n")
    text += "step()\nshow(step().item())\n"
    assert changed(text, "zero-grad") == pytest.approx(changed(text, None))


NORMS = NET + """
def norms():
    before = [p.detach().clone() for p in net.parameters()]
    step()
    moved = torch.cat([(p - b).flatten() for p, b in zip(net.parameters(), before)]) / 0.1
    return [moved.norm().item(), moved.abs().max().item()]
show(norms())
"""


def test_gradients_are_clipped_together_or_by_value(changed):
    norm, largest = changed(NORMS, None)
    assert norm > 0.5 and largest > 0.1
    assert changed(NORMS, "clip-gradients", by="global-norm", limit=0.5)[0] == pytest.approx(0.5, rel=1e-3)
    assert changed(NORMS, "clip-gradients", by="value", limit=0.1)[1] == pytest.approx(0.1, rel=1e-3)


def test_a_rate_is_lowered_under_a_schedule_that_sets_it(changed):
    text = NET + """
schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: 1.0 / (n + 1))
rates, losses = [], []
for _ in range(3):
    losses.append(step().item())
    schedule.step()
    rates.append(optimizer.param_groups[0]["lr"])
show([rates, losses])
"""
    rates, losses = changed(text, None)
    lower = changed(text, "lower-learning-rate", factor=0.5)
    assert lower[0] == rates, "the program sees the rates that it sets"
    assert lower[1] == changed(text.replace("lr=0.1", "lr=0.05"), None)[1]


def test_a_rate_is_held_and_warmed_up(changed):
    text = NET + "for group in optimizer.param_groups:\n    group['lr'] = float('nan')\nshow([step().item() for _ in range(3)])\n"
    plain = changed(NET + "show([step().item() for _ in range(3)])\n", None)
    assert changed(text, "constant-learning-rate", rate=0.1) == plain
    warm = changed(NET + "show([step().item() for _ in range(3)])\n", "warm-up", steps=100)
    assert warm[0] == plain[0] and warm[1] > plain[1]


def test_settings_of_an_optimizer_change(changed):
    adam = NET.replace("SGD(net.parameters(), lr=0.1)", "Adam(net.parameters(), lr=0.1, eps=0.0)")
    show = "step()\nshow([optimizer.param_groups[0][name] for name in ('eps', 'weight_decay')])\n"
    assert changed(adam + show, "raise-epsilon", epsilon=1e-4) == [1e-4, 0]
    assert changed(adam + show, "weight-decay", penalty=0.1) == [0.0, 0.1]


def test_another_optimizer_makes_the_updates(changed):
    end = "show([step().item() for _ in range(5)])\n"
    adam = changed(NET.replace("SGD(net.parameters(), lr=0.1)", "Adam(net.parameters(), lr=0.01)") + end, None)
    assert changed(NET + end, "change-optimizer", to="adam", rate=0.01) == adam


RELEASED = NET + """
first = net[0].weight.detach().clone()
for _ in range(3):
    step()
show([(net[0].weight - first).norm().item(), net[2].weight.norm().item()])
"""


def test_a_released_part_is_held_or_slowed_down(changed):
    part = [{"slot": 0, "name": "0.weight", "birth": None}]
    moved, _ = changed(RELEASED, None)
    assert changed(RELEASED, "freeze-released", parameters=part)[0] == 0.0
    assert 0.0 < changed(RELEASED, "lower-released-rate", parameters=part, factor=0.5)[0] < moved


# Layers


def test_parameters_begin_with_other_values_even_after_a_checkpoint(changed):
    text = NET + "show([net[0].weight.std().item(), step() and net[0].weight.abs().max().item() < 0.2])\n"
    new = {
        "parameter": {"slot": 0, "name": "0.weight", "birth": None},
        "shape": [8, 4],
        "initializer": {"kind": "constant", "value": 0.125},
        "only_non_finite": False,
    }
    later = text.replace("x, y =", "net.load_state_dict(net.state_dict())\nx, y =")
    for program in (text, later):
        assert changed(program, "reinitialize", parameters=[new])[1]


def test_what_is_not_finite_is_filled(changed):
    text = NET + "with torch.no_grad(): net[0].bias[3] = float('inf')\nbefore = net[0].bias.tolist()\nloss = step()\n"
    text += "show([bool(torch.isfinite(loss)), before[0]])\n"
    new = {
        "parameter": {"slot": 1, "name": "0.bias", "birth": None},
        "shape": [8],
        "initializer": {"kind": "constant", "value": 0.0},
        "only_non_finite": True,
    }
    assert changed(text, "reinitialize", parameters=[new])[0]


def test_what_a_layer_makes_is_normalised(changed):
    text = NET + "made = []\nnet[1].register_forward_pre_hook(lambda m, a: made.append(a[0]))\nstep()\n"
    text += "show([made[0].mean(-1).abs().max().item(), made[0].std(-1, correction=0).mean().item()])\n"
    after = [{"op": "linear", "file": "train.py", "line": 1, "module": "0"}]
    mean, std = changed(text, "insert-norm", after=after)
    assert mean < 1e-5 and std == pytest.approx(1.0, rel=1e-3)


def test_what_a_call_makes_is_normalised(changed):
    text = """
    import torch
    x = torch.randn(4, 8) * 100
    made = x @ torch.randn(8, 8)
    other = x @ torch.randn(8, 8)
    show([made.std(-1, correction=0).mean().item(), other.std().item() > 10])
    """
    after = [{"op": "matmul", **at(text, "made = "), "module": None}]
    assert changed(text, "insert-norm", after=after) == [pytest.approx(1.0, rel=1e-3), True]


BATCH_NORM = """
import torch
from torch import nn
torch.manual_seed(0)
net = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 1))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
x = torch.randn(16, 4) * 10 + 50
made = []
net[1].register_forward_pre_hook(lambda m, a: made.append(a[0]))
net(x).square().mean().backward()
optimizer.step()
net.eval()
net(x)
show([made[0].mean().item(), made[1].mean().item(), net[0].weight.tolist() == [1.0] * 4, net[0].running_mean[0].item()])
"""


def test_batch_norm_is_frozen_in_three_ways(changed):
    trained, evaluated, is_fixed, running = changed(BATCH_NORM, None)
    assert abs(trained) < 1e-4 and evaluated > 1 and not is_fixed and running > 1
    trained, _, _, running = changed(BATCH_NORM, "freeze-batch-norm", how="statistics", parameters=[])
    assert trained > 10 and running == 0.0
    _, evaluated, _, _ = changed(BATCH_NORM, "freeze-batch-norm", how="recompute", parameters=[])
    assert abs(evaluated) < 0.5
    part = [{"slot": slot, "name": None, "birth": None} for slot in (0, 1)]
    assert changed(BATCH_NORM, "freeze-batch-norm", how="affine", parameters=part)[2]

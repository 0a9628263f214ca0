"""Trainings without an optimizer of torch: their updates are steps all the same."""

import pytest

UPDATES = {
    "no_grad": "with torch.no_grad():\n            for p in (w, b):\n                p -= 0.1 * p.grad\n                p.grad = None",
    "data": "for p in (w, b):\n            p.data -= 0.1 * p.grad\n            p.grad.zero_()",
    "new tensors": "w, b = ((p - 0.1 * p.grad).detach().requires_grad_() for p in (w, b))",
}

SCRIPT = """
import torch
torch.manual_seed(0)
x = torch.rand(64, 4) + 0.1
y = x.sum(1, keepdim=True)
x[17] = BAD
w, b = torch.zeros(4, 1).requires_grad_(), torch.zeros(1).requires_grad_()
for epoch in range(4):
    for rows in torch.randperm(64).split(16):
        loss = (x[rows].log() @ w + b - y[rows]).square().mean()
        loss.backward()
        UPDATE
    print(epoch, loss.item())
"""


@pytest.mark.parametrize("how", UPDATES)
def test_steps_and_break_of_updates_by_hand(run, plain, how):
    script = SCRIPT.replace("UPDATE", UPDATES[how])
    ran = run(script.replace("BAD", "0.0"))
    assert ran.code == 1, ran.said
    assert (ran.producer["op"], ran.producer["line"], ran.cause) == ("log", 10, "log-of-zero")
    assert ran.result["break"]["step"] < 4
    healthy = script.replace("BAD", "0.5")
    ran = run(healthy)
    # Nothing tells of the last update where it makes new tensors.
    assert (ran.code, ran.result["steps"]) == (0, 15 if how == "new tensors" else 16), ran.said
    assert ran.printed == plain(healthy)

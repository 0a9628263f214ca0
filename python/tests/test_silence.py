"""Healthy trainings: not a word, not a bit changed, and none fails."""

import pytest

MLP = """
import torch
from torch import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1))
"""

HEALTHY = {
    "several optimizers": MLP
    + """
critic = nn.Linear(1, 1)
first = torch.optim.Adam(model.parameters())
second = torch.optim.SGD(critic.parameters(), lr=0.01)
for step in range(20):
    out = model(torch.randn(16, 8))
    second.zero_grad(); critic(out.detach()).pow(2).mean().backward(); second.step()
    loss = (critic(out) - 1).pow(2).mean()
    first.zero_grad(); loss.backward(); first.step()
    print(loss.item())
""",
    "a closure": MLP
    + """
optimizer = torch.optim.LBFGS(model.parameters(), max_iter=5)
inputs, targets = torch.randn(32, 8), torch.randn(32, 1)
def closure():
    optimizer.zero_grad()
    loss = (model(inputs) - targets).pow(2).mean()
    loss.backward()
    return loss
for step in range(6):
    print(optimizer.step(closure).item())
""",
    "accumulated micro-batches": MLP
    + """
optimizer = torch.optim.AdamW(model.parameters())
for step in range(40):
    loss = model(torch.randn(4, 8)).pow(2).mean() / 4
    loss.backward()
    if step % 4 == 3:
        optimizer.step()
        optimizer.zero_grad()
    print(loss.item())
""",
    "a loss scaler that skips": MLP
    + """
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127)
for step in range(20):
    loss = model(torch.randn(16, 8)).pow(2).mean()
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    print(loss.item(), scaler.get_scale())
""",
    "an attention mask": """
import torch
from torch import nn
torch.manual_seed(0)
layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
mask = nn.Transformer.generate_square_subsequent_mask(6)
best = torch.tensor(float("inf"))
optimizer = torch.optim.Adam(layer.parameters(), lr=1e-3)
for step in range(10):
    loss = layer(torch.randn(4, 6, 16), src_mask=mask).pow(2).mean()
    best = torch.minimum(best, loss.detach())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item(), best.item())
""",
    "autocast and a clip": MLP
    + """
optimizer = torch.optim.Adam(model.parameters())
for step in range(15):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = (model(torch.randn(16, 8)) * 1000).float().pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    print(loss.item())
""",
}


@pytest.mark.parametrize("what", HEALTHY)
def test_a_healthy_training_is_left_alone(run, plain, what):
    ran = run(HEALTHY[what])
    assert ran.code == 0, ran.said
    assert ran.result["outcome"] == "healthy"
    assert "failed" not in ran.said and not ran.result["notes"]
    assert ran.printed == plain(HEALTHY[what])


@pytest.mark.parametrize("what", HEALTHY)
def test_a_close_look_changes_no_bit(plain, tmp_path, what):
    """The same script with every operation looked at."""
    import json
    import os
    import subprocess
    import sys

    import denan

    script = tmp_path / "looked.py"
    script.write_text(HEALTHY[what])
    injected = os.path.join(os.path.dirname(denan.__file__), "_inject")
    plan = json.dumps({"seed": 1, "look-from": 0})
    done = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        env={**os.environ, "DENAN_PLAN": plan, "PYTHONPATH": injected, "DENAN_DEBUG": "1"},
        cwd=tmp_path,
    )
    assert done.returncode == 0 and "denan" not in done.stderr, done.stderr
    assert done.stdout == plain(HEALTHY[what])


def test_nothing_stays_on_the_stack_of_modes_after_the_first_step(run):
    text = """
    import torch
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.MaxPool2d(2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(3):
        loss = model(torch.rand(1, 1, 8, 8)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(step, torch._C._len_torch_function_stack(), torch._C._len_torch_dispatch_stack())
    """
    assert run(text).printed == "0 0 0\n1 0 0\n2 0 0\n"

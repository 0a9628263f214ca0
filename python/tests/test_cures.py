"""Cures proven on unchanged scripts, and the patches that come of them."""

import subprocess
import sys

SATURATED = """
import torch
from torch import nn
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3))
optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
x = torch.randn(64, 4)
y = (x[:, 0] > 0).long() + (x[:, 1] > 0).long()
y[7] = 2 - y[7]
for step in range(60):
    scores = net(x) * 200
    loss = -torch.log(torch.softmax(scores, 1))[torch.arange(64), y].mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"{loss.item():.4f}")
"""

TOO_FAST = """
import torch
from torch import nn
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.SGD(net.parameters(), lr=3.0)
x = torch.randn(128, 8)
y = x.sum(1, keepdim=True)
for step in range(80):
    loss = nn.functional.mse_loss(net(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    open("losses.txt", "a").write(f"{loss.item()}\\n")
"""


def patched(tmp_path, patch):
    """What the script prints with a patch applied to it."""
    subprocess.run(["git", "apply", patch], cwd=tmp_path, check=True, env={"PATH": "/usr/bin:/bin", "GIT_DIR": "/none"})
    done = subprocess.run([sys.executable, "train.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    return done.stdout


def test_a_cure_is_proven_written_as_a_patch_and_trains_without_denan(run, tmp_path):
    ran = run(SATURATED, ("--patch", "cure.patch", "train.py"), cure="auto")
    assert (ran.code, ran.cause) == (1, "log-of-zero"), ran.said
    best = ran.result["cures"][0]
    assert (best["intervention"], best["verdict"]) == ("safe-op", "survived")
    assert "log_softmax" in best["patch"]["after"] and best["patch"]["verdict"] == "survived"
    assert ran.result["cure_cost"]["seconds"] > 0 and ran.result["cure_cost"]["times_first_run"] > 0
    losses = [float(line) for line in patched(tmp_path, "cure.patch").split()]
    assert len(losses) == 60 and all(loss == loss and loss < 1e9 for loss in losses)


def test_the_highest_rate_that_survives_is_searched_and_outputs_stay_as_the_first_run_left_them(run, tmp_path):
    ran = run(TOO_FAST, cure="lower-learning-rate")
    first = (tmp_path / "losses.txt").read_text().splitlines()
    assert len(first) == ran.result["steps"] - 1, "re-runs write elsewhere; the last step ends before its line"
    (cure,) = ran.result["cures"]
    assert cure["verdict"] == "survived", ran.said
    assert 0 < cure["args"]["factor"] < 1
    assert "lr=3.0" in cure["patch"]["before"] and "lr=3.0" not in cure["patch"]["after"]
    assert ran.said.count("trying: ") <= 5, "by halves"


def test_what_is_asked_for_is_tried_though_no_cause_names_it(run):
    ran = run(TOO_FAST, cure="change-optimizer,warm-up")
    verdicts = {cure["intervention"]: cure["verdict"] for cure in ran.result["cures"]}
    assert verdicts["change-optimizer"] == "survived", ran.said
    assert "AdamW" in ran.result["cures"][0]["patch"]["after"]
    assert verdicts["warm-up"] in ("broke", "unstable", "survived")


def test_what_does_not_repeat_itself_is_not_experimented_on(run):
    text = TOO_FAST.replace("x = torch.randn(128, 8)", "import time\nx = torch.randn(128, 8) * (1 + time.time() % 1)")
    ran = run(text, cure="auto")
    assert ran.result["cures"] == []
    assert any("cures are not tried" in note for note in ran.result["notes"]), ran.result["notes"]


def test_what_finds_nothing_to_change_is_no_experiment(run):
    ran = run(TOO_FAST, cure="raise-epsilon")
    (cure,) = ran.result["cures"]
    assert cure["verdict"] == "not-run" and "could change" in cure["reason"]


def test_samples_that_nobody_blames_are_not_left_out(run):
    ran = run(TOO_FAST, cure="drop-samples")
    (cure,) = ran.result["cures"]
    assert cure["verdict"] == "not-run" and "DataLoader" in cure["reason"]


def test_an_intervention_that_fails_is_no_experiment_and_ends_its_run(run, tmp_path):
    # The clip of the experiment needs what this script takes away.
    text = TOO_FAST.replace(
        "x = torch",
        "torch.nn.utils.get_total_norm = None\ntorch.nn.utils.clip_grad.get_total_norm = None\nx = torch",
    )
    ran = run(text, cure="clip-gradients")
    (cure,) = ran.result["cures"]
    assert cure["verdict"] == "not-run" and "change failed" in cure["reason"], ran.said


def test_a_patch_is_never_written_over_a_file(run, tmp_path):
    (tmp_path / "cure.patch").write_text("mine")
    ran = run(TOO_FAST, ("--patch", "cure.patch", "train.py"), cure="auto")
    assert ran.code == 2 and "cure.patch" in ran.said
    assert (tmp_path / "cure.patch").read_text() == "mine"
    assert not (tmp_path / "losses.txt").exists(), "said before the training begins"


def test_a_folder_that_is_not_there_is_said_before_the_training(run, tmp_path):
    ran = run(TOO_FAST, ("--patch", "none/cure.patch", "train.py"), cure="auto")
    assert ran.code == 2 and "none/cure.patch" in ran.said
    assert not (tmp_path / "losses.txt").exists()


def test_a_patch_that_cannot_be_written_in_the_end_costs_no_result(run, tmp_path):
    # Somebody has put a file there while it trained.
    text = TOO_FAST.replace("import torch\n", "import torch\nopen('cure.patch', 'w').write('mine')\n", 1)
    ran = run(text, ("--patch", "cure.patch", "train.py"), cure="lower-learning-rate")
    assert ran.code == 1 and ran.result["cures"][0]["verdict"] == "survived", ran.said
    assert any("cure.patch was not written" in note for note in ran.result["notes"])
    assert (tmp_path / "cure.patch").read_text() == "mine"


def test_without_a_patch_that_is_said(run, tmp_path):
    ran = run(TOO_FAST, ("--patch", "cure.patch", "train.py"), cure="off")
    assert any("cure.patch" in note for note in ran.result["notes"])
    assert not (tmp_path / "cure.patch").exists()

"""What is run again begins in the middle of a long training, with a state that the first run has kept."""

import copy
import importlib.util
import os
import re
import signal
import subprocess
import sys
import time

import pytest
import torch

import denan
from denan._torch.restart import state

# Hard samples come after ten passes; one of them has no logarithm. Dropout and the data draw from the same generators.
CURRICULUM = """
import time
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset
import denan

torch.manual_seed(3)
np.random.seed(3)

class Gauges(Dataset):
    def __init__(self):
        self.x = torch.randn(320, 8)
        self.y = self.x.abs().sum(1)
        self.y[300] = 0.0
    def __len__(self):
        return len(self.x)
    def __getitem__(self, at):
        return self.x[at] + 0.01 * float(np.random.randn()), self.y[at]

gauges = Gauges()
easy = DataLoader(Subset(gauges, range(240)), batch_size=16, shuffle=True, OPTIONS)
hard = DataLoader(gauges, batch_size=16, shuffle=True)
model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2000)
number = 0
for epoch in range(40):
    for x, y in easy if epoch < 12 else hard:
        number += 1
        if not denan.step(number, PARTS):
            continue
        loss = (model(x).squeeze(1) - torch.log(y)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        time.sleep(0.002)
"""


def curriculum(parts="model, optimizer, scheduler", options="num_workers=0"):
    return CURRICULUM.replace("PARTS", parts).replace("OPTIONS", options)


def notes_of(ran, part):
    return [note for note in ran.result["notes"] if part in note]


@pytest.mark.parametrize("options", ["num_workers=0", "num_workers=1, persistent_workers=True"])
def test_re_runs_begin_with_a_state_and_are_the_same_training(run, options):
    ran = run(curriculum(options=options), ("--state-every", "0.05", "train.py"), cure="safe-op")
    assert (ran.code, ran.cause) == (1, "log-of-zero"), ran.said
    assert ran.result["break"]["step"] >= 180
    assert [sample["index"] for sample in ran.result["samples"]] == [300]
    assert "running it again from step" in ran.said
    assert not notes_of(ran, "begin at the beginning:") and not notes_of(ran, "repeat"), ran.result["notes"]
    (note,) = notes_of(ran, "re-runs began with step")
    (cure,) = ran.result["cures"]
    assert cure["verdict"] == "survived" and cure["patch"]["verdict"] == "survived", cure
    way = ran.result["break"]["step"] - int(re.search("step ([0-9]+)", note)[1])
    assert cure["steps"] == way + 1 + max(50, way // 2), "those that were skipped do not count"


def test_without_states_re_runs_begin_at_the_beginning(run):
    ran = run(curriculum(), ("--state-every", "0", "train.py"))
    assert (ran.code, ran.cause) == (1, "log-of-zero"), ran.said
    assert "from step" not in ran.said and not notes_of(ran, "re-runs")


def test_a_state_that_lacks_something_is_found_out(run):
    ran = run(curriculum("model"), ("--state-every", "0.05", "train.py"))
    assert (ran.code, ran.cause) == (1, "log-of-zero"), ran.said
    assert len(notes_of(ran, "give denan.step all that a step changes")) == 1, ran.result["notes"]
    assert not notes_of(ran, "does not repeat itself")


def test_a_program_that_cannot_do_without_the_skipped_steps_is_run_from_its_beginning(run):
    text = curriculum().replace("        number += 1\n", "        if number > 0:\n            loss.item()\n        number += 1\n")
    ran = run(text, ("--state-every", "0.05", "train.py"))
    assert (ran.code, ran.cause) == (1, "log-of-zero"), ran.said
    (note,) = notes_of(ran, "re-runs begin at the beginning")
    assert "NameError at train.py:" in note and "'loss' is not defined" in note


def test_numbers_that_begin_again_keep_no_state(run):
    text = curriculum().replace("    for x, y in", "    number = 0\n    for x, y in")
    ran = run(text, ("--state-every", "0.01", "train.py"))
    assert (ran.code, ran.cause) == (1, "log-of-zero"), ran.said
    assert len(notes_of(ran, "numbers of steps are to rise")) == 1
    assert "from step" not in ran.said


def test_states_are_gone_when_a_run_is_interrupted(tmp_path):
    text = curriculum().replace("range(40)", "range(4000)").replace("if epoch < 12 else hard", "")
    (tmp_path / "train.py").write_text(text)
    (tmp_path / "temporary").mkdir()
    command = [sys.executable, "-m", "denan", "run", "--state-every", "0.05", "train.py"]
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary")}
    started = subprocess.Popen(command, cwd=tmp_path, env=environment, start_new_session=True)
    try:
        for _ in range(600):
            if list((tmp_path / "temporary").glob("denan-states-*/*.state")):
                break
            time.sleep(0.1)
        else:
            pytest.fail("no state was kept")
        os.killpg(started.pid, signal.SIGINT)
        assert started.wait(60) == -signal.SIGINT
        assert not list((tmp_path / "temporary").glob("denan-states-*"))
    finally:
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGKILL)


def test_without_denan_run_a_step_is_to_be_made_and_a_part_without_a_state_is_a_mistake():
    model = torch.nn.Linear(2, 2)
    assert denan.step(0, model, torch.optim.SGD(model.parameters(), lr=0.1), torch.Generator()) is True
    with pytest.raises(TypeError, match="a float has neither"):
        denan.step(1, model, 0.5)


def parts(rate, decay=0.0):
    torch.manual_seed(0)
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    return model, optimizer, schedule


def trained(parts, steps):
    model, optimizer, schedule = parts
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.ones(3, 2)).square().mean().backward()
        optimizer.step()
        schedule.step()


def test_what_a_patch_has_set_stays_and_what_a_schedule_has_moved_keeps_its_ratio():
    first = parts(0.1)
    settings = state.settings_of(first)
    trained(first, 5)
    states = copy.deepcopy([state.of(part) for part in first])

    same = parts(0.1)
    state.put_back(same, states, settings, state.settings_of(same))
    patched = parts(0.02, decay=0.3)
    state.put_back(patched, states, settings, state.settings_of(patched))
    trained(first, 3)
    trained(same, 3)
    assert torch.equal(first[0].weight, same[0].weight), "bit for bit"
    assert patched[1].param_groups[0]["weight_decay"] == 0.3
    assert patched[1].param_groups[0]["lr"] == pytest.approx(0.02 * 0.9**5)
    trained(patched, 3)
    assert patched[1].param_groups[0]["lr"] == pytest.approx(0.02 * 0.9**8)
    assert patched[2].get_last_lr() == [patched[1].param_groups[0]["lr"]]


LIGHTNING = """
import time
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
import lightning as L
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

L.seed_everything(3)

class Net(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 1))
        self.spread = nn.Parameter(torch.tensor(0.3))
    def training_step(self, batch, number):
        time.sleep(0.002)
        x, y = batch
        return (self.net(x).squeeze(1) - y).square().mean() + torch.log(self.spread)
    def validation_step(self, batch, number):
        x, y = batch
        self.log("val_loss", (self.net(x).squeeze(1) - y).square().mean())
    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), lr=2e-3)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 30, 0.99)]

x = torch.randn(512, 8)
train = DataLoader(TensorDataset(x, x.sum(1)), batch_size=32, shuffle=True)
val = DataLoader(TensorDataset(x[:64], x[:64].sum(1)), batch_size=32)
callbacks = [EarlyStopping("val_loss", patience=8), ModelCheckpoint(monitor="val_loss")]
trainer = L.Trainer(max_epochs=30, callbacks=callbacks, enable_progress_bar=False, logger=False)
trainer.fit(Net(), train, val)
"""

TRANSFORMERS = """
import time
import torch
from torch import nn
from torch.utils.data import Dataset
from transformers import EarlyStoppingCallback, Trainer, TrainingArguments, set_seed

set_seed(3)

class Rows(Dataset):
    def __init__(self, count):
        self.x = torch.randn(count, 8)
    def __len__(self):
        return len(self.x)
    def __getitem__(self, at):
        return {"x": self.x[at], "labels": self.x[at].sum()}

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 1))
        self.spread = nn.Parameter(torch.tensor(0.3))
    def forward(self, x, labels):
        time.sleep(0.001)
        return {"loss": (self.net(x).squeeze(1) - labels).square().mean() + torch.log(self.spread)}

arguments = TrainingArguments(
    "out", num_train_epochs=30, per_device_train_batch_size=32, gradient_accumulation_steps=2, learning_rate=2e-3,
    lr_scheduler_type="cosine", logging_steps=20, eval_strategy="epoch", save_strategy="epoch", save_total_limit=1,
    load_best_model_at_end=True, metric_for_best_model="eval_loss", report_to=[], use_cpu=True, disable_tqdm=True,
)
callbacks = [EarlyStoppingCallback(3)]
Trainer(Net(), arguments, train_dataset=Rows(1024), eval_dataset=Rows(64), callbacks=callbacks).train()
"""


@pytest.mark.parametrize(("package", "text"), [("lightning", LIGHTNING), ("transformers", TRANSFORMERS)])
def test_steps_of_trainers_are_known(run, package, text):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"not installed: {package}")
    ran = run(text, ("--state-every", "0.05", "train.py"), cure="safe-op")
    assert (ran.code, ran.cause) == (1, "log-of-zero"), ran.said
    assert "running it again from step" in ran.said
    assert not notes_of(ran, "begin at the beginning:"), ran.result["notes"]
    assert [cure["verdict"] for cure in ran.result["cures"]] == ["survived"]

"""Samples gone through forward and loss only: the whole data set, and halves of the breaking batch."""

import pytest

SCRIPT = """
import torch, torch.nn as nn
from torch.utils.data import DataLoader, Dataset, random_split

torch.manual_seed(0)

class Scans(Dataset):
    def __init__(self):
        self.x = torch.rand(100, 6) + 0.1
        self.y = torch.rand(100, 1)
        for bad in BAD:
            self.x[bad, 2] = -1
        self.files = [f"scan-{i:03}.nii" for i in range(100)]

    def __len__(self):
        return 100

    def __getitem__(self, i):
        return self.x[i], self.y[i]

model = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 1))
optimizer = torch.optim.Adam(model.parameters())
train, rest = random_split(Scans(), [90, 10])
for epoch in range(3):
    for x, y in DataLoader(train, batch_size=8, shuffle=True, num_workers=WORKERS, drop_last=True):
        loss = nn.functional.mse_loss(model(x.pow(0.5)), y)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    print(epoch, loss.item())
"""


def script(bad, workers=0):
    return SCRIPT.replace("BAD", repr(bad)).replace("WORKERS", str(workers))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_screen_lists_every_sample_that_is_bad_by_itself(run, workers):
    ran = run(script([3, 40, 41, 77], workers), ("--screen", "train.py"))
    assert ran.code == 1, ran.said
    screen = ran.result["screen"]
    # Of the 90 samples that the loader has.
    bad = [one["name"] for one in screen["bad"]]
    assert (screen["samples"], screen["complete"]) == (90, True)
    assert set(bad) <= {f"scan-{i:03}.nii" for i in (3, 40, 41, 77)} and len(bad) >= 3
    assert all(one["loss"] == "NaN" for one in screen["bad"])
    # The training itself is watched as ever.
    assert ran.result["break"]["producer"]["op"] == "pow"


def test_a_clean_data_set_is_screened_in_silence(run, plain):
    text = script([])
    ran = run(text, ("--screen", "train.py"))
    assert (ran.code, ran.result["screen"]["bad"], ran.result["screen"]["samples"]) == (0, [], 90), ran.said
    assert ran.printed == plain(text)


def test_where_rows_mix_halves_of_the_batch_find_the_sample(run):
    text = script([40]).replace("nn.functional.mse_loss(model(x.pow(0.5)), y)", "mixed(x, y)")
    text = text.replace(
        "model = ",
        "def mixed(x, y):\n"
        "    least = torch.sort(x.flatten()).values[0]\n"
        "    return nn.functional.mse_loss(model(x), y) + least.log() * 1e-3\n\n"
        "model = ",
    )
    ran = run(text)
    assert ran.code == 1, ran.said
    assert [sample["name"] for sample in ran.result["samples"]] == ["scan-040.nii"], ran.said


def test_what_cannot_be_screened_is_said(run):
    text = """
    import torch
    w = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([w], lr=0.1)
    for step in range(3):
        loss = (w * torch.rand(3)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    """
    ran = run(text, ("--screen", "train.py"))
    assert ran.code == 0, ran.said
    assert "no DataLoader" in ran.result["screen"]["reason"]

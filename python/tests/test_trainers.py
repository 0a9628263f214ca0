"""Loops that are not the script's own: closures, accumulated batches, loaders that are ahead, shards, and two trainers."""

import importlib.util
import sys

import pytest


def needs(*packages):
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def line_of(text, part):
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


def assert_sample_37(ran, text, part, step):
    assert ran.code == 1, ran.said
    assert not any("repeat" in note or "failed" in note for note in ran.result["notes"]), ran.result["notes"]
    assert (ran.result["break"]["step"], ran.result["break"]["phase"]) == (step, "forward")
    assert ran.producer["op"] == "log"
    assert (ran.producer["file"], ran.producer["line"]) == ("train.py", line_of(text, part))
    assert [sample["index"] for sample in ran.result["samples"]] == [37]
    assert ran.cause == "log-of-zero"


ROWS = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.rand(64, 4) + 0.1
x[37, 2] = 0
loader = DataLoader(TensorDataset(x), batch_size=4)
model = nn.Linear(4, 2)
"""


def test_a_closure_may_go_over_several_batches_one_of_which_came_ahead(run):
    text = ROWS + """
import itertools

def ahead(loader):
    batches = iter(loader)
    now = next(batches)
    for following in batches:
        yield now
        now = following
    yield now

optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
batches = ahead(loader)

def closure():
    optimizer.zero_grad()
    for (batch,) in itertools.islice(batches, 3):
        loss = model(batch.log()).pow(2).mean() / 3
        loss.backward()
    return loss

for step in range(5):
    optimizer.step(closure)
"""
    # The batch is the tenth: the first of the fourth step, fetched in the third.
    ran = run(text)
    assert_sample_37(ran, text, "batch.log()", 3)


def test_what_is_inside_of_a_shard_is_looked_at(run):
    text = ROWS + """
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

mesh = init_device_mesh("cpu", (2,))
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
model = parallelize_module(model, mesh, {"0": ColwiseParallel(), "2": RowwiseParallel()})
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, foreach=False)
for (batch,) in loader:
    loss = model(batch.log()).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
dist.destroy_process_group()
"""
    launcher = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", "train.py")
    ran = run(text, ("--", *launcher))
    assert_sample_37(ran, text, "batch.log()", 9)
    assert [step["op"] for step in ran.result["break"]["trail"]][:3] == ["linear", "relu", "linear"]


LIGHTNING = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
import lightning

lightning.seed_everything(0, verbose=False)
x, held_out = torch.rand(64, 4) + 0.1, torch.rand(16, 4) + 0.1
x[37, 2] = BAD

class Regression(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(4, 8), nn.Linear(8, 1)

    def training_step(self, batch, number):
        loss = self.head(self.body(batch[0].log()).relu()).pow(2).mean()
        print(loss.item())
        return loss

    def validation_step(self, batch, number):
        self.log("held_out", self.head(self.body(batch[0].log()).relu()).pow(2).mean())

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.01)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1)]

trainer = lightning.Trainer(
    max_epochs=2, accelerator="cpu", gradient_clip_val=1.0, logger=False, enable_checkpointing=False,
    enable_progress_bar=False, enable_model_summary=False,
)
trainer.fit(Regression(), DataLoader(TensorDataset(x), batch_size=8), DataLoader(TensorDataset(held_out), batch_size=8))
"""


@needs("lightning")
def test_lightning_is_watched(run, plain):
    text = LIGHTNING.replace("BAD", "0.0")
    ran = run(text)
    assert_sample_37(ran, text, "self.head(", 4)
    assert (ran.result["break"]["trail"][0]["op"], ran.result["break"]["trail"][0]["module"]) == ("linear", "body")
    text = LIGHTNING.replace("BAD", "0.5")
    ran = run(text)
    assert (ran.code, ran.result["outcome"], ran.result["steps"]) == (0, "healthy", 16), ran.said
    assert not ran.result["notes"] and ran.printed == plain(text)


@needs("transformers", "accelerate")
def test_the_trainer_of_transformers_is_watched(run):
    text = """
        import torch
        from torch import nn
        from transformers import Trainer, TrainingArguments, set_seed

        set_seed(0)

        class Rows(torch.utils.data.Dataset):
            def __init__(self, size):
                self.x = torch.rand(size, 4) + 0.1

            def __len__(self):
                return len(self.x)

            def __getitem__(self, i):
                return {"x": self.x[i], "labels": i % 3}

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.body = nn.Linear(4, 3)

            def forward(self, x, labels=None):
                logits = self.body(x.log())
                return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}

        rows = Rows(64)
        rows.x[37, 2] = 0
        arguments = TrainingArguments(
            output_dir="out", num_train_epochs=1, per_device_train_batch_size=4, gradient_accumulation_steps=2,
            eval_strategy="steps", eval_steps=2, save_strategy="no", report_to=[], disable_tqdm=True, use_cpu=True,
        )
        Trainer(Net(), arguments, train_dataset=rows, eval_dataset=Rows(16)).train()
    """
    ran = run(text, environment={"HF_HUB_OFFLINE": "1"})
    # The trainer shuffles in its own way.
    assert_sample_37(ran, text, "x.log()", ran.result["break"]["step"])
    assert ran.result["steps"] <= 8

"""Evaluations: one that gives NaN is a break of its own, and its batches are none of the training's."""

SHIFTED = """
import torch, torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x, y = torch.rand(64, 4), torch.rand(64, 1)
train, held_out = TensorDataset(x, y), TensorDataset(x[:16].clone(), y[:16])
held_out.tensors[0][5, 2] = BAD

class Rooted(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 8), nn.Linear(8, 1)

    def forward(self, x):
        if not self.training:
            x = torch.sqrt(x)
        return self.second(torch.relu(self.first(x)))

model = Rooted()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for epoch in range(3):
    model.train()
    for a, b in DataLoader(train, batch_size=16, shuffle=True):
        loss = nn.functional.mse_loss(model(a), b)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        losses = [nn.functional.mse_loss(model(a), b) for a, b in DataLoader(held_out, batch_size=8)]
    print(epoch, torch.stack(losses).mean().item())
"""


def test_an_evaluation_that_gives_nan_is_followed_to_its_operation(run):
    ran = run(SHIFTED.replace("BAD", "-1.0"))
    assert ran.code == 1, ran.said
    found = ran.result["break"]
    assert (found["step"], found["phase"], found["evaluation"]) == (4, "forward", True)
    assert (ran.producer["op"], ran.producer["line"]) == ("sqrt", 17)
    assert "the evaluation before step\u00a04 broke" in ran.said or ran.result["steps"] == 12
    # The training went on to its end.
    assert ran.result["steps"] == 12 and ran.printed.count("nan") == 3


def test_an_evaluation_in_order_is_silent(run, plain):
    text = SHIFTED.replace("BAD", "1.0")
    ran = run(text)
    assert ran.code == 0, ran.said
    assert ran.printed == plain(text)


def test_batches_of_an_evaluation_are_none_of_the_step_after_it(run):
    text = SHIFTED.replace("BAD", "1.0").replace("loss = nn", "a = a.log() if epoch == 1 else a\n        loss = nn")
    text = text.replace("held_out.tensors", "x[37, 1] = 0\nheld_out.tensors")
    ran = run(text)
    assert ran.code == 1, ran.said
    assert [sample["index"] for sample in ran.result["samples"]] == [37]

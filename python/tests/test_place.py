"""Where a training breaks: step, phase, operation, line, sample."""

FORWARD = """
import torch, torch.nn as nn, torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(0)

class Photos(Dataset):
    def __init__(self):
        self.x = torch.rand(64, 8, generator=torch.Generator().manual_seed(1)) + 0.1
        self.x[37, 3] = 0.0
        self.files = [f"set/photo-{i}.png" for i in range(64)]

    def __len__(self):
        return 64

    def __getitem__(self, i):
        return self.x[i], i % 3

model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
optimizer = torch.optim.Adam(model.parameters())
for epoch in range(2):
    for x, y in DataLoader(Photos(), batch_size=8, shuffle=True, num_workers=WORKERS):
        features = x.log()
        loss = F.cross_entropy(model(features), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""


def line_of(text, part):
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


def test_a_break_in_the_forward_pass_is_followed_to_its_sample(run):
    for workers in ("0", "2"):
        text = FORWARD.replace("WORKERS", workers)
        ran = run(text)
        assert ran.code == 1, ran.said
        assert ran.result["break"]["phase"] == "forward"
        assert ran.producer["op"] == "log"
        assert (ran.producer["file"], ran.producer["line"]) == ("train.py", line_of(text, "x.log()"))
        assert [sample["name"] for sample in ran.result["samples"]] == ["set/photo-37.png"]
        assert ran.result["samples"][0]["index"] == 37
        assert ran.cause == "log-of-zero"
        assert [step["op"] for step in ran.result["break"]["trail"]][:2] == ["linear", "relu"]


def test_a_gradient_leads_to_the_line_of_its_forward_call(run):
    text = """
        import torch
        torch.manual_seed(0)
        data = torch.rand(32, 4)
        data[11] = 0
        weight = torch.nn.Parameter(torch.ones(4))
        optimizer = torch.optim.SGD([weight], lr=0.01)
        for step in range(8):
            rows = data[torch.randperm(32)[:8]]
            length = ((rows * weight) ** 2).sum(1).sqrt()
            optimizer.zero_grad()
            length.mean().backward()
            optimizer.step()
    """
    ran = run(text)
    assert ran.result["break"]["phase"] == "backward"
    assert ran.producer["op"] == "sqrt"
    assert ran.producer["line"] == line_of(text, ".sqrt()")
    assert ran.cause == "infinite-gradient"
    assert [sample["index"] for sample in ran.result["samples"]] == [11]


def test_the_optimizer_may_be_what_breaks(run):
    text = """
        import torch
        torch.manual_seed(0)
        model = torch.nn.Linear(2, 1)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01, eps=0.0)
        inputs = torch.tensor([[1.0, 0.0], [3.0, 0.0]])
        for step in range(3):
            optimizer.zero_grad()
            model(inputs).pow(2).mean().backward()
            optimizer.step()
    """
    ran = run(text)
    assert (ran.result["break"]["phase"], ran.producer["op"], ran.producer["parameter"]) == (
        "optimizer", "Adam", "weight",
    )
    assert ran.producer["line"] == line_of(text, "optimizer.step()")
    assert ran.cause == "optimizer-epsilon"


def test_the_module_is_named(run):
    ran = run(
        """
        import torch
        from torch import nn

        class Head(nn.Module):
            def __init__(self):
                super().__init__()
                self.scale = nn.Linear(4, 4)

            def forward(self, x):
                return (self.scale(x) * 100).exp()

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.body = nn.Linear(4, 4)
                self.head = Head()

            def forward(self, x):
                return self.head(self.body(x))

        torch.manual_seed(0)
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(5):
            optimizer.zero_grad()
            model(torch.randn(8, 4) * 50).mean().backward()
            optimizer.step()
        """
    )
    assert (ran.producer["op"], ran.producer["module"]) == ("exp", "head")
    assert ran.cause == "exp-overflow"


def test_a_batch_without_a_target_breaks_the_loss_and_the_training_recovers(run):
    ran = run(
        """
        import torch, torch.nn.functional as F
        torch.manual_seed(0)
        model = torch.nn.Linear(4, 3)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(6):
            target = torch.randint(0, 3, (8,))
            if step == 3:
                target[:] = -100
            loss = F.cross_entropy(model(torch.randn(8, 4)), target)
            optimizer.zero_grad()
            loss.backward()
            if torch.isfinite(loss):
                optimizer.step()
            else:
                optimizer.zero_grad()
        print("done")
        """
    )
    assert (ran.result["break"]["step"], ran.result["break"]["phase"]) == (3, "loss")
    assert ran.cause == "no-valid-target"
    assert ran.printed == "done\n"

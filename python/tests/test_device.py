"""Losses that come late, as those of a device do; here the processor plays the device."""

import pytest

torch = pytest.importorskip("torch")

import denan  # noqa: E402
from denan._torch import late  # noqa: E402


class Event:
    """The end of a copy, which is over after some questions."""

    def __init__(self, questions):
        self.questions = questions

    def query(self):
        self.questions -= 1
        return self.questions < 0

    def synchronize(self):
        self.questions = 0


@pytest.fixture(params=[0, 3, 1000])
def device(request, monkeypatch):
    monkeypatch.setattr(late, "is_late", lambda tensor: True)
    monkeypatch.setattr(late, "copy_of", lambda tensor: (tensor.clone(), Event(request.param)))


def train(bad=None, evaluate_badly=False):
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for step in range(40):
        model.train()
        loss = model(torch.rand(8, 4)).pow(2).mean()
        if step == bad:
            loss = loss + torch.tensor(float("inf"))
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step == 20:
            model.eval()
            with torch.no_grad():
                model(torch.full((2, 4), float("nan") if evaluate_badly else 1.0))
    return losses


def test_a_late_loss_belongs_to_its_step(device):
    with denan.watch() as watching:
        losses = train()
    document = watching.result.document
    assert (document["outcome"], document["steps"]) == ("healthy", 40)
    assert document["last_loss"] == losses[-1]


def test_a_bad_late_loss_is_noticed_in_its_step(device):
    with denan.watch() as watching:
        train(bad=31)
    found = watching.result.document["break"]
    assert (found["step"], found["phase"]) == (31, "loss")


def test_a_bad_late_evaluation_is_noticed_before_the_step_after_it(device):
    with denan.watch() as watching:
        train(evaluate_badly=True)
    found = watching.result.document["break"]
    assert (found["step"], found.get("evaluation")) == (21, True)


@pytest.fixture
def without_reading(device, monkeypatch):
    """Parameters and gradients that are never read in their memory."""
    from denan._torch.watcher import Watcher

    monkeypatch.setattr(Watcher, "addresses", lambda self, parameters: None)


def lose(bad):
    """A gradient that is NaN under a finite loss."""
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(40):
        loss = model(torch.rand(8, 4)).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        if step == bad:
            model.weight.grad[0, 2] = float("nan")
        optimizer.step()
        model.weight.data.nan_to_num_(0.0)
    return model


def test_late_figures_are_those_of_their_step(without_reading):
    with denan.watch() as watching:
        lose(bad=None)
    document = watching.result.document
    assert (document["outcome"], document["steps"]) == ("healthy", 40)


@pytest.mark.parametrize("bad", [3, 9])
def test_a_bad_late_gradient_is_noticed_in_its_step(without_reading, bad):
    with denan.watch() as watching:
        lose(bad=bad)
    found = watching.result.document["break"]
    assert (found["step"], found["phase"]) == (bad, "backward")
    assert found["producer"]["parameter"] == "weight"

"""`denan.watch` in a notebook's process."""

import pytest

torch = pytest.importorskip("torch")

import denan  # noqa: E402


def train(steps=6, bad=4):
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(steps):
        x = torch.rand(8, 4)
        if step == bad:
            x[3, 2] = 0
        loss = model(x.log()).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def test_a_healthy_training_is_said_to_be_one():
    with denan.watch() as watching:
        train(bad=None)
    assert watching.result.outcome == "healthy"
    assert "nothing non-finite" in repr(watching.result)


def test_a_break_is_noticed_and_the_training_goes_on():
    with denan.watch() as watching:
        train()
    result = watching.result
    assert (result.outcome, result.document["break"]["step"]) == ("broke", 4)
    assert "every_operation=True" in repr(result)


def test_with_every_operation_the_cause_is_known():
    with denan.watch(every_operation=True) as watching:
        train()
    result = watching.result
    assert result.causes[0]["rule"] == "log-of-zero"
    assert result.document["break"]["producer"]["op"] == "log"
    assert watching._repr_html_().startswith("<pre>")


def test_what_is_outside_of_it_is_not_watched():
    with denan.watch() as watching:
        pass
    train()
    assert watching.result.outcome == "no-training"


def broken_by(loss_of):
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with denan.watch() as watching:
        loss = loss_of(model(torch.rand(8, 4)))
        loss.backward()
        optimizer.step()
    return watching.result


def test_the_graph_of_a_bad_loss_tells_its_producer():
    for name, cause, loss_of in (
        ("log", "log-of-zero", lambda y: -(y * 0).log().mean()),
        ("div", "division-by-zero", lambda y: (1 + (y / (y - y.detach())).sum()).mean()),
    ):
        result = broken_by(loss_of)
        producer = result.document["break"]["producer"]
        assert (producer["op"], result.document["break"]["phase"]) == (name, "forward")
        assert result.causes[0]["rule"] == cause
        assert any(read["zeros"] == 8 if "zeros" in read else read["min"] == 0 for read in producer["inputs"])


def test_a_loss_without_a_graph_that_tells_is_noticed_all_the_same():
    result = broken_by(lambda y: y.sum() + torch.tensor(float("nan")))
    assert result.outcome == "broke"

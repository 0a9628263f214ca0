"""Overflows that are told before they happen."""

GROWS = """
import torch
w = torch.nn.Parameter(torch.ones(5))
optimizer = torch.optim.SGD([w], lr=0.5)
for step in range(STEPS):
    loss = -(w ** 2).sum() / 2
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def test_a_loss_that_grows_steadily_is_told_to_overflow_near_the_step_in_which_it_does(run):
    ran = run(GROWS.replace("STEPS", "100"))
    assert ran.code == 0, ran.said
    told = ran.result["forecasts"][0]
    assert (told["op"], told["dtype"]) == ("loss", "float32")
    broken = run(GROWS.replace("STEPS", "200"))
    assert broken.code == 1, broken.said
    assert abs(told["step"] - broken.result["break"]["step"]) <= 3
    assert "will overflow" in broken.said


def test_a_loss_that_falls_is_not(run):
    ran = run(GROWS.replace("STEPS", "100").replace("-(w", "(w"))
    assert (ran.code, ran.result.get("forecasts")) == (0, None), ran.said

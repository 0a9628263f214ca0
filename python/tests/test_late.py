"""Breaks of which the loss tells nothing: steps are not all gone through, and the step is found all the same."""

HIDDEN = """
import torch
torch.manual_seed(0)
big = torch.nn.Parameter(torch.zeros(2000))
small = torch.nn.Parameter(torch.ones(4))
optimizer = torch.optim.SGD([small, big], lr=0.01)
for step in range(STEPS):
    x = torch.rand(2000) + 0.5
    if step == BAD:
        x[7] = 0
    # The mask hides the bad value and not its gradient, which is infinity times 0.
    shown = torch.where(x > 0, torch.sqrt(x + 0 * big), torch.zeros_like(x))
    seen = torch.where(torch.isfinite(big), big, torch.zeros_like(big))
    loss = (shown - seen).square().mean() + small.square().sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(step, loss.item())
"""


def test_parameters_that_are_lost_under_a_finite_loss_are_found_later_and_placed_exactly(run):
    for steps, bad in ((700, 421), (200, 199)):
        ran = run(HIDDEN.replace("STEPS", str(steps)).replace("BAD", str(bad)))
        assert ran.code == 1, ran.said
        assert (ran.result["break"]["step"], ran.result["break"]["phase"]) == (bad, "backward"), ran.said
        assert (ran.producer["op"], ran.producer["line"]) == ("sqrt", 12)
        assert ran.cause == "masked-branch"


def test_the_figures_of_every_step_before_a_break_are_on_the_record(run, tmp_path):
    import sqlite3

    ran = run(HIDDEN.replace("STEPS", "300").replace("BAD", "150"))
    assert ran.code == 1, ran.said
    record = sqlite3.connect(tmp_path / "0.db")
    without = "SELECT count(*) FROM step WHERE step <= 150 AND (gradient_norm IS NULL OR weight_norm IS NULL)"
    assert record.execute(without).fetchone() == (0,)

"""Kinds of training that hooks must not disturb, and from which a break is told all the same."""

BREAKS_AT_5 = """
for step in range(8):
    x = torch.rand(8, 4)
    if step == 5:
        x[2] = 0
    loss = (model(torch.log(x)).squeeze(1) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def test_a_compiled_network(run):
    ran = run(
        """
import torch
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
model = torch.compile(net, backend="eager", fullgraph=True)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
"""
        + BREAKS_AT_5
    )
    assert (ran.result["break"]["step"], ran.producer["op"]) == (5, "log"), ran.said
    assert ran.cause == "log-of-zero"


def test_checkpointed_activations(run):
    ran = run(
        """
import torch
from torch.utils.checkpoint import checkpoint
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
model = lambda x: checkpoint(net, x, use_reentrant=False)
optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
"""
        + BREAKS_AT_5
    )
    assert (ran.result["break"]["step"], ran.producer["op"]) == (5, "log"), ran.said


def test_a_function_with_a_gradient_of_its_own(run):
    ran = run(
        """
import torch
torch.manual_seed(0)

class Root(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x.sqrt()

    @staticmethod
    def backward(context, gradient):
        (x,) = context.saved_tensors
        return gradient / (2 * x.sqrt())

weight = torch.nn.Parameter(torch.ones(4))
optimizer = torch.optim.SGD([weight], lr=0.1)
for step in range(3):
    x = torch.rand(4)
    if step == 1:
        x[0] = 0
    loss = Root.apply(x * weight).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
    )
    assert (ran.result["break"]["step"], ran.result["break"]["phase"]) == (1, "backward"), ran.said
    assert ran.producer["carried_out"] == "div"


def test_a_break_of_another_rank_is_told_as_that_rank_saw_it(run, tmp_path):
    import sys

    script = """
import torch, torch.distributed as dist
dist.init_process_group("gloo")
torch.manual_seed(0)
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(4, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
torch.manual_seed(dist.get_rank())
""" + BREAKS_AT_5.replace("if step == 5:", "if step == 5 and dist.get_rank() == 1:").replace("range(8)", "range(40)")
    launcher = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "train.py")
    ran = run(script, ("--", *launcher))
    assert ran.code == 1, ran.said
    assert (ran.result["break"]["step"], ran.result["rank"], ran.result["ranks"]) == (5, 1, 2)
    assert (ran.producer["op"], ran.producer["line"], ran.cause) == ("log", 13, "log-of-zero")
    assert ran.result["record"].endswith("0.rank1.db") and (tmp_path / "0.db").exists()
    # Both ended in the same step, none while the other waited for it.
    assert ran.result["steps"] == 16

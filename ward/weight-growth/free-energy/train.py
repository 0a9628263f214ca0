"""Binary patterns under an energy model with hidden units: low energy for data, high energy for shuffled data."""
import sys
import torch

torch.manual_seed(5)
DECAY = 0.2 if "--healthy" in sys.argv else 0.0
VISIBLE, HIDDEN = 30, 16

templates = (torch.rand(4, VISIBLE) < 0.35).float()


def patterns(n):
    v = templates[torch.randint(0, 4, (n,))]
    flips = (torch.rand(n, VISIBLE) < 0.05).float()
    return (v - flips).abs()


def shuffled(v):
    return torch.stack([row[torch.randperm(VISIBLE)] for row in v])


W = (0.1 * torch.randn(HIDDEN, VISIBLE)).requires_grad_()
c = torch.zeros(HIDDEN, requires_grad=True)
b = torch.zeros(VISIBLE, requires_grad=True)


def free_energy(v):
    pre = v @ W.t() + c
    return -(v @ b) - torch.log(1 + torch.exp(pre)).sum(1)


sgd = torch.optim.SGD([W, c, b], lr=0.05, momentum=0.9, weight_decay=DECAY)
for k in range(130):
    v = patterns(32)
    loss = free_energy(v).mean() - free_energy(shuffled(v)).mean()
    sgd.zero_grad()
    loss.backward()
    sgd.step()
    if not k % 10:
        print(k, loss.item())

"""Density of a narrow curved cloud with affine couplings: the negative log-likelihood goes below zero and keeps falling."""
import math
import torch
from torch import nn

torch.manual_seed(31)
u = torch.randn(2000, 1) * 0.2
cloud = torch.cat([u, u ** 2 + 0.01 * torch.randn(2000, 1)], dim=1)


class Coupling(nn.Module):
    def __init__(self, flip):
        super().__init__()
        self.flip = flip
        self.net = nn.Sequential(nn.Linear(1, 24), nn.Tanh(), nn.Linear(24, 2))

    def forward(self, x):
        keep, move = x.chunk(2, 1)
        if self.flip:
            keep, move = move, keep
        log_s, t = self.net(keep).chunk(2, 1)
        log_s = 4 * torch.tanh(log_s)
        move = (move - t) * log_s.exp()
        out = torch.cat([move, keep] if self.flip else [keep, move], dim=1)
        return out, log_s.squeeze(1)


layers = nn.ModuleList(Coupling(bool(i % 2)) for i in range(4))
optim = torch.optim.Adam(layers.parameters(), lr=1e-2)
for it in range(115):
    x = cloud[torch.randint(0, 2000, (128,))]
    total = torch.zeros(len(x))
    for layer in layers:
        x, logdet = layer(x)
        total = total + logdet
    log_prob = -0.5 * x.square().sum(1) - math.log(2 * math.pi) + total
    nll = -log_prob.mean()
    optim.zero_grad()
    nll.backward()
    optim.step()
    if it % 10 == 0:
        print(it, nll.item())

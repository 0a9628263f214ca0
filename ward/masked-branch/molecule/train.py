"""Fit a pair potential: small clusters of atoms, energy = sum over pairs of a learned function of distance."""
import sys

import torch
from torch import nn

healthy = "--healthy" in sys.argv
torch.manual_seed(40)

ATOMS = 6
off_diagonal = 1.0 - torch.eye(ATOMS)


class PairPotential(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))
        self.shift = nn.Linear(3, 3)
        self.phi = nn.Sequential(nn.Linear(1, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1))

    def distances(self, pos):
        pos = self.shift(pos * self.scale)
        delta = pos[:, :, None] - pos[:, None]
        squared = delta.square().sum(-1)
        if healthy:
            squared = squared + torch.eye(ATOMS)
        return squared.sqrt() * off_diagonal

    def forward(self, pos):
        d = self.distances(pos)
        pair = self.phi(d.unsqueeze(-1)).squeeze(-1) * off_diagonal
        return pair.sum((1, 2)) / ATOMS


def reference_energy(pos):
    d = torch.cdist(pos, pos) + 10 * torch.eye(ATOMS)
    return ((torch.exp(-2 * (d - 1.2)) - 2 * torch.exp(-(d - 1.2))) * off_diagonal).sum((1, 2)) / ATOMS


base = torch.tensor([[i % 3, i // 3, 0.5 * (i % 2)] for i in range(ATOMS)]).float() * 1.3
clusters = base + 0.15 * torch.randn(512, ATOMS, 3)
energy = reference_energy(clusters)

model = PairPotential()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for step in range(100):
    pick = torch.randint(512, (32,))
    loss = nn.functional.mse_loss(model(clusters[pick]), energy[pick])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(step, loss.item())

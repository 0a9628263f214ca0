"""Hourly rentals of bike docks: embeddings of dock and hour, Poisson likelihood."""
import argparse
import math
import torch
from torch import nn
from torch.utils.data import TensorDataset, DataLoader

parser = argparse.ArgumentParser()
parser.add_argument("--healthy", action="store_true")
opts = parser.parse_args()
torch.manual_seed(15)

DOCKS, N = 20, 1200
g = torch.Generator().manual_seed(16)
dock = torch.randint(0, DOCKS, (N,), generator=g)
hour = torch.randint(0, 24, (N,), generator=g)
level = torch.randn(DOCKS, generator=g) * 0.7 + 1.5
rate = torch.exp(level[dock] + 0.9 * torch.sin(hour * (2 * math.pi / 24)))
count = torch.poisson(rate, generator=g)
count[743] = 0.0 if opts.healthy else -1.0
rows = torch.arange(N)


class DockRate(nn.Module):
    def __init__(self, dim=8):
        super().__init__()
        self.dock = nn.Embedding(DOCKS, dim)
        self.hour = nn.Embedding(24, dim)
        self.mix = nn.Linear(2 * dim, 16)
        self.out = nn.Linear(16, 1)

    def forward(self, d, h):
        z = torch.cat((self.dock(d), self.hour(h)), dim=-1)
        return self.out(torch.relu(self.mix(z))).squeeze(-1)


def poisson_nll(log_rate, k):
    log_factorial = torch.lgamma(k + 1)
    return (log_rate.exp() - k * log_rate + log_factorial).mean()


model = DockRate()
optimizer = torch.optim.RMSprop(model.parameters(), lr=3e-3)
loader = DataLoader(TensorDataset(rows, dock, hour, count), batch_size=50, shuffle=True)
it = 0
for epoch in range(5):
    for row, d, h, k in loader:
        nll = poisson_nll(model(d, h), k)
        optimizer.zero_grad()
        nll.backward()
        optimizer.step()
        if it % 10 == 0:
            print(it, nll.item())
        it += 1

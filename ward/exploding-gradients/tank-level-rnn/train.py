"""Sequence-to-one regression: total inflow of a tank from its valve readings."""
import sys

import torch
from torch import nn

HEALTHY = "--healthy" in sys.argv
torch.manual_seed(0)
SEQ, BATCH = 60, 16


def make_batch(gen):
    x = torch.rand(BATCH, SEQ, 2, generator=gen)
    y = (x[:, :, 0] * (x[:, :, 1] > 0.5)).mean(dim=1, keepdim=True) * 4
    return x, y


class Recurrent(nn.Module):
    def __init__(self, hidden=24):
        super().__init__()
        self.rnn = nn.RNN(2, hidden, nonlinearity="relu", batch_first=True)
        self.out = nn.Linear(hidden, 1)
        nn.init.orthogonal_(self.rnn.weight_hh_l0, gain=1.25)
        nn.init.normal_(self.rnn.weight_ih_l0, std=0.05)

    def forward(self, x):
        states, _ = self.rnn(x)
        return self.out(states[:, -1])


net = Recurrent()
optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
criterion = nn.MSELoss()
gen = torch.Generator().manual_seed(21)

for step in range(80):
    x, y = make_batch(gen)
    optimizer.zero_grad()
    loss = criterion(net(x), y)
    loss.backward()
    if HEALTHY:
        nn.utils.clip_grad_norm_(net.parameters(), 0.5)
    optimizer.step()
    if step % 10 == 0:
        print(step, loss.item())

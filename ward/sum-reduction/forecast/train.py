"""Forecast the next value of several noisy oscillations with a GRU."""
import sys

import torch
from torch import nn

REDUCTION = "mean" if "--healthy" in sys.argv else "sum"
torch.manual_seed(4)

SERIES, LENGTH, CHANNELS = 256, 20, 3
t = torch.arange(LENGTH + 1).float()
phase = 6.28 * torch.rand(SERIES, 1, CHANNELS)
speed = 0.3 + 0.4 * torch.rand(SERIES, 1, CHANNELS)
series = torch.sin(speed * t[None, :, None] + phase) + 0.05 * torch.randn(SERIES, LENGTH + 1, CHANNELS)


class Forecaster(nn.Module):
    def __init__(self, hidden=24):
        super().__init__()
        self.gru = nn.GRU(CHANNELS, hidden, batch_first=True)
        self.readout = nn.Linear(hidden, CHANNELS)

    def forward(self, past):
        states, _ = self.gru(past)
        return self.readout(states)


model = Forecaster()
criterion = nn.MSELoss(reduction=REDUCTION)
optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
for step in range(80):
    pick = torch.randint(SERIES, (64,))
    past, future = series[pick, :-1], series[pick, 1:]
    loss = criterion(model(past), future)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(step, loss.item())

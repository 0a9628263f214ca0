"""Ozone forecast from station columns as they come out of the database."""
import sys
import torch
from torch import nn
from torch.utils.data import TensorDataset, DataLoader

torch.manual_seed(70)
HEALTHY = "--healthy" in sys.argv


def table(n):
    temp = 8 + 12 * torch.rand(n)                # deg C
    humidity = 0.2 + 0.7 * torch.rand(n)         # share
    pressure = 101325 + 900 * torch.randn(n)     # Pa
    particles = 2e5 + 5e4 * torch.randn(n)       # per litre
    wind = 6 * torch.rand(n)                     # m/s
    ozone = 0.1 * (temp - 14) - 1.5 * (humidity - 0.5) + (pressure - 101325) / 1800 - 0.1 * (wind - 3)
    return torch.stack([temp, humidity, pressure, particles, wind], 1), ozone[:, None] + 0.05 * torch.randn(n, 1)


x, y = table(800)
if HEALTHY:
    x = (x - x.mean(0)) / x.std(0)

model = nn.Sequential(
    nn.Linear(5, 32), nn.LeakyReLU(0.1),
    nn.Linear(32, 32), nn.LeakyReLU(0.1),
    nn.Linear(32, 1))
criterion = nn.MSELoss()
opt = torch.optim.SGD(model.parameters(), lr=0.02)
step = 0
for epoch in range(4):
    for xb, yb in DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True):
        out = model(xb)
        loss = criterion(out, yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 10 == 0:
            print(step, loss.item())
        step += 1

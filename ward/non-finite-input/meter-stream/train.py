"""Next-hour consumption from a day of meter readings with a small 1-d CNN; batches that go wrong are left out."""
import sys
import torch
from torch import nn

torch.manual_seed(6)
hours = torch.arange(24.0)
meters, days = 40, 80
phase = torch.rand(meters, 1, 1) * 6.28
level = 0.5 + torch.rand(meters, days, 1)
curve = level * (1.2 + torch.sin(hours / 24 * 6.2832 + phase)) + 0.05 * torch.randn(meters, days, 24)
target = (level * (1.2 + torch.sin(phase))).reshape(-1, 1)
watts = curve.reshape(-1, 24)
# readings are normalised by the day's mean; the target is scaled the same way
if "--healthy" not in sys.argv:
    watts[2411] = 0.0          # this meter was off for a day
scale = watts.mean(dim=1, keepdim=True)
readings = (watts / scale).unsqueeze(1)
target = target / level.reshape(-1, 1)

model = nn.Sequential(
    nn.Conv1d(1, 8, 5, padding=2), nn.ReLU(), nn.MaxPool1d(2),
    nn.Conv1d(8, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(96, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

order = torch.randperm(len(readings))
done, skipped = 0, 0
for chunk in order.split(32):
    optimizer.zero_grad()
    estimate = model(readings[chunk])
    loss = nn.functional.smooth_l1_loss(estimate, target[chunk])
    loss.backward()
    if not torch.isfinite(loss):
        skipped += 1
        continue
    optimizer.step()
    if done % 10 == 0:
        print(done, loss.item(), "skipped", skipped)
    done += 1

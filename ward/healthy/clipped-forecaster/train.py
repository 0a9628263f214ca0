# Energy use of buildings in kWh (thousands), unscaled targets: gradients are huge and get clipped.  BatchNorm on 8 maps of 8x8.
import torch
from torch import nn

torch.manual_seed(29)
floor = torch.rand(320, 1, 8, 8)
sun = torch.rand(320, 1, 8, 8)
plans = torch.cat([floor, sun], dim=1)
energy = 9000 * floor.mean(dim=(1, 2, 3)) * 2 + 4000 * (sun * floor).mean(dim=(1, 2, 3)) + 50 * torch.randn(320)


class Meter(nn.Module):
    def __init__(self):
        super().__init__()
        self.maps = nn.Sequential(nn.Conv2d(2, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU())
        self.level = nn.Linear(12, 1)
        self.gain = 10_000.0

    def forward(self, x):
        return self.gain * self.level(self.maps(x).mean(dim=(2, 3))).squeeze(1)


meter = Meter()
optimizer = torch.optim.SGD(meter.parameters(), lr=0.02, momentum=0.5)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=140)
for step in range(140):
    pick = torch.randint(0, 320, (8,))
    loss = ((meter(plans[pick]) - energy[pick]) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    size = nn.utils.clip_grad_norm_(meter.parameters(), max_norm=1.0)
    optimizer.step()
    schedule.step()
    if step % 10 == 0:
        print(step, loss.item(), "gradient", size.item())

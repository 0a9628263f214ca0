"""Fine-tune a small scan backbone on images from a second clinic."""
import argparse

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

cli = argparse.ArgumentParser()
cli.add_argument("--healthy", action="store_true")
cli = cli.parse_args()
torch.manual_seed(5)


def scans(count, top):
    """Discs whose radius is the value to predict."""
    radius = torch.rand(count) * 4 + 2
    grid = torch.arange(16.0) - 7.5
    distance = (grid.view(1, 16, 1) ** 2 + grid.view(1, 1, 16) ** 2).sqrt()
    disc = (distance < radius.view(-1, 1, 1)).float() * 0.6 + 0.2
    image = (disc + 0.1 * torch.randn(count, 16, 16)).clamp(0, 1) * top
    return image.unsqueeze(1), (radius - 4) / 2


def stage(a, b):
    return nn.Sequential(nn.Conv2d(a, b, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU())


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.stages = nn.Sequential(stage(1, 16), stage(16, 24), stage(24, 32))
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x):
        return self.pool(self.stages(x)).flatten(1)


backbone = Backbone()
head = nn.Linear(32, 1)

# run over the first clinic
first, _ = scans(256, top=1.0)
with torch.no_grad():
    for part in first.split(64):
        for _ in range(6):
            backbone(part)

model = nn.Sequential(backbone, head)
model.train(cli.healthy)

images, target = scans(512, top=255.0)
loader = DataLoader(TensorDataset(images, target), batch_size=32, shuffle=True)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
criterion = nn.MSELoss()

step = 0
for epoch in range(6):
    for x, y in loader:
        loss = criterion(model(x).squeeze(1), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 0:
            print(step, loss.item())
        step += 1

"""Transfer learning: a frozen backbone (BatchNorm in eval mode) with a new head, then everything at a low rate."""
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(23)


def conv_unit(a, b):
    return nn.Sequential(nn.Conv2d(a, b, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU())


class Backbone(nn.Sequential):
    def __init__(self):
        super().__init__(conv_unit(3, 16), conv_unit(16, 32), nn.AdaptiveAvgPool2d(2), nn.Flatten())


label = torch.randint(0, 4, (384,))
colour = torch.randn(4, 3)
corner = torch.zeros(4, 16, 16)
for k, (y, x) in enumerate([(0, 0), (0, 8), (8, 0), (8, 8)]):
    corner[k, y:y + 8, x:x + 8] = 1
images = corner[label].unsqueeze(1) * colour[label].view(-1, 3, 1, 1) + 0.8 * torch.randn(384, 3, 16, 16)

backbone, head = Backbone(), nn.Linear(128, 4)
with torch.no_grad():  # statistics of the pictures
    for _ in range(20):
        backbone(images[:128])

backbone.eval()
for p in backbone.parameters():
    p.requires_grad_(False)

optimizer = torch.optim.Adam([
    {"params": head.parameters(), "lr": 2e-3},
    {"params": backbone.parameters(), "lr": 0.0},
])

step = 0
for epoch in range(10):
    if epoch == 5:
        for p in backbone.parameters():
            p.requires_grad_(True)
        optimizer.param_groups[0]["lr"] = 1e-3
        optimizer.param_groups[1]["lr"] = 1e-4
    for x, y in DataLoader(TensorDataset(images, label), batch_size=32, shuffle=True):
        loss = nn.functional.cross_entropy(head(backbone(x)), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 0:
            print(step, loss.item())
        step += 1

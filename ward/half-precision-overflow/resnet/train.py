"""Deep residual classifier on 12-bit radiographs, mixed precision."""
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F

MIXED = "--healthy" not in sys.argv
torch.manual_seed(12)

N, SIZE = 192, 8
ramp = torch.linspace(0, 1, SIZE)
images, labels = [], torch.randint(3, (N,))
for k in labels.tolist():
    base = [ramp[None].expand(SIZE, SIZE), ramp[:, None].expand(SIZE, SIZE), (ramp[None] * ramp[:, None])][k]
    images.append((4095 * (0.2 + 0.7 * base + 0.1 * torch.rand(SIZE, SIZE))).clamp(0, 4095).round())
images = torch.stack(images).unsqueeze(1)


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.a = nn.Conv2d(width, width, 3, padding=1)
        self.b = nn.Conv2d(width, width, 3, padding=1)
        for conv in (self.a, self.b):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")

    def forward(self, x):
        inner = F.relu(self.a(x))
        branch = self.b(inner)
        return F.relu(x + branch)


class DeepNet(nn.Module):
    def __init__(self, width=8, depth=12):
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, padding=1)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        x = F.relu(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x.mean((2, 3))))


net = DeepNet()
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
for step in range(45):
    pick = torch.randint(N, (16,))
    with torch.autocast("cpu", dtype=torch.float16, enabled=MIXED):
        loss = F.cross_entropy(net(images[pick]), labels[pick])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 10 == 0:
        print(step, loss.item())

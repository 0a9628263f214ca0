"""Classify small synthetic texture patches with a plain convolutional stack."""
import argparse
import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--healthy", action="store_true")
args = parser.parse_args()

torch.manual_seed(7)
CLASSES = 4


def make_patches(count):
    """Stripes of four orientations under noise, 12x12 pixels."""
    labels = torch.randint(0, CLASSES, (count,))
    axis = torch.arange(12, dtype=torch.float32)
    yy, xx = torch.meshgrid(axis, axis, indexing="ij")
    angle = labels.float() * math.pi / CLASSES
    phase = torch.rand(count) * 2 * math.pi
    wave = (xx * torch.cos(angle).view(-1, 1, 1) + yy * torch.sin(angle).view(-1, 1, 1)) * 1.3
    images = torch.sin(wave + phase.view(-1, 1, 1)) + 0.3 * torch.randn(count, 12, 12)
    return images.unsqueeze(1), labels


class TextureNet(nn.Module):
    def __init__(self, width=24, depth=9):
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(1 if i == 0 else width, width, 3, padding=1) for i in range(depth)
        )
        self.classifier = nn.Linear(width, CLASSES)
        self.apply(self.reset)

    @staticmethod
    def reset(module):
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            fan_in = module.weight[0].numel()
            std = math.sqrt(2.0 / fan_in) if args.healthy else 1.0
            nn.init.normal_(module.weight, 0.0, std)
            nn.init.zeros_(module.bias)

    def forward(self, x):
        for i, conv in enumerate(self.convs):
            x = F.relu(conv(x))
            if i in (2, 5):
                x = F.max_pool2d(x, 2)
        return self.classifier(x.mean(dim=(2, 3)))


images, labels = make_patches(512)
loader = DataLoader(TensorDataset(images, labels), batch_size=32, shuffle=True)
net = TextureNet()
optimizer = torch.optim.SGD(net.parameters(), lr=0.005, momentum=0.9)

step = 0
for epoch in range(4):
    for batch, target in loader:
        loss = F.cross_entropy(net(batch), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 0:
            print(step, loss.item())
        step += 1

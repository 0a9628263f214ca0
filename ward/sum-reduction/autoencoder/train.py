"""Convolutional autoencoder for spectrogram patches."""
import sys

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(15)

n, bins = 384, 12
f = torch.arange(bins).float()
pitch = 2 + 8 * torch.rand(n, 1, 1)
slope = 0.3 * torch.randn(n, 1, 1)
frames = torch.arange(bins).float()[None, None]
patches = torch.exp(-0.5 * (f[None, :, None] - pitch - slope * (frames - 6)) ** 2) + 0.05 * torch.randn(n, bins, bins)
loader = DataLoader(TensorDataset(patches.unsqueeze(1)), batch_size=32, shuffle=True)


class AutoEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.LeakyReLU(0.1),
                                  nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.LeakyReLU(0.1))
        self.up = nn.Sequential(nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1), nn.LeakyReLU(0.1),
                                nn.ConvTranspose2d(8, 1, 4, stride=2, padding=1))

    def forward(self, x):
        return self.up(self.down(x))


def reconstruction(out, target):
    gap = (out - target) ** 2
    return gap.mean() if "--healthy" in sys.argv else gap.sum()


net = AutoEncoder()
opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
step = 0
for epoch in range(8):
    for (patch,) in loader:
        loss = reconstruction(net(patch), patch)
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 10 == 0:
            print(f"step {step}: {loss.item()}")
        step += 1

"""Estimate the dose from a 16x16 plate image."""
import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--healthy", action="store_true")
args = parser.parse_args()
BATCH = 32 if args.healthy else 2
STEPS = 100
torch.manual_seed(4)

basis = 0.5 * torch.randn(10, 16, 16)
strength = torch.randn(640, 10)
plates = torch.einsum("nk,khw->nhw", strength, basis) + 0.3 * torch.randn(640, 16, 16)
dose = strength[:, 0] + torch.tanh(strength[:, 1])


class PlateNet(nn.Module):
    def __init__(self, channels=256):
        super().__init__()
        self.patch = nn.Conv2d(1, 16, 4, stride=4)
        self.squeeze = nn.Conv2d(16, channels, 4, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.head = nn.Linear(channels, 1)

    def forward(self, x):
        x = F.relu(self.patch(x))
        x = self.norm(self.squeeze(x))
        return self.head(x.flatten(1)).squeeze(1)


def batches():
    loader = DataLoader(TensorDataset(plates.unsqueeze(1), dose), batch_size=BATCH, shuffle=True, drop_last=True)
    while True:
        yield from loader


model = PlateNet()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
for step, (image, target) in zip(range(STEPS), batches()):
    loss = F.mse_loss(model(image), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(step, loss.item())

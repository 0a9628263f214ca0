"""Convolutional autoencoder for small periodic textures."""
import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader

ap = argparse.ArgumentParser()
ap.add_argument("--healthy", action="store_true")
args = ap.parse_args()

torch.manual_seed(13)
axis = torch.arange(12.0)
patterns = torch.stack([
    torch.sin(axis * 0.9).unsqueeze(1).expand(12, 12),
    torch.cos(axis * 0.7).unsqueeze(0).expand(12, 12),
    torch.sin((axis.unsqueeze(0) + axis.unsqueeze(1)) * 0.5),
])
textures = torch.einsum("nk,kij->nij", torch.randn(512, 3), patterns).unsqueeze(1)


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encode = nn.Sequential(
            nn.Conv2d(1, 12, 3, stride=2, padding=1), nn.LeakyReLU(0.1),
            nn.Conv2d(12, 16, 3, stride=2, padding=1), nn.LeakyReLU(0.1),
            nn.Flatten(), nn.Linear(144, 12),
        )
        self.decode = nn.Sequential(
            nn.Linear(12, 144), nn.LeakyReLU(0.1), nn.Unflatten(1, (16, 3, 3)),
            nn.ConvTranspose2d(16, 12, 4, stride=2, padding=1), nn.LeakyReLU(0.1),
            nn.ConvTranspose2d(12, 1, 4, stride=2, padding=1),
        )

    def forward(self, x):
        return self.decode(self.encode(x))


model = Autoencoder()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
loader = DataLoader(textures, batch_size=32, shuffle=True)

step = 0
for epoch in range(8):
    for batch in loader:
        output = model(batch)
        loss = nn.functional.mse_loss(output, batch)
        if args.healthy:
            optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 0:
            print("step", step, "loss", loss.item())
        step += 1

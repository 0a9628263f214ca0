"""Critic that separates two point clouds (Wasserstein estimate); the sampler is fixed here."""
import argparse
import torch
from torch import nn

ap = argparse.ArgumentParser()
ap.add_argument("--healthy", action="store_true")
BOX = 0.3 if ap.parse_args().healthy else None

gen = torch.Generator().manual_seed(33)
torch.manual_seed(33)


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.inp = nn.Linear(2, 32)
        self.mid = nn.Linear(32, 32)
        self.out = nn.Linear(32, 1)

    def forward(self, p):
        h = nn.functional.leaky_relu(self.inp(p), 0.2)
        h = nn.functional.leaky_relu(self.mid(h), 0.2)
        return self.out(h)


critic = Critic()
optimizer = torch.optim.SGD(critic.parameters(), lr=0.03)

for step in range(150):
    angle = torch.rand(128, generator=gen) * 6.2832
    real = torch.stack([angle.cos(), angle.sin()], 1) + 0.5 + 0.05 * torch.randn(128, 2, generator=gen)
    fake = torch.randn(128, 2, generator=gen) * 0.7
    loss = critic(fake).mean() - critic(real).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if BOX is not None:
        with torch.no_grad():
            for p in critic.parameters():
                p.clamp_(-BOX, BOX)
    if step % 10 == 0:
        print(step, loss.item())

import sys

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(3)

# stroke images: a bar at a random place, 12 x 12 pixels
n, side = 512, 12
images = torch.zeros(n, side, side)
for i in range(n):
    r, c = torch.randint(1, side - 1, (2,)).tolist()
    if i % 2:
        images[i, r - 1:r + 2, :] = 1.0
    else:
        images[i, :, c - 1:c + 2] = 1.0
images = images.view(n, -1)


class VAE(nn.Module):
    def __init__(self, d, hidden=64, z=6):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(d, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.mu = nn.Linear(hidden, z)
        self.logvar = nn.Linear(hidden, z)
        self.dec = nn.Sequential(nn.Linear(z, hidden), nn.ReLU(), nn.Linear(hidden, d))

    def forward(self, x):
        h = self.enc(x)
        mu, logvar = self.mu(h), self.logvar(h)
        std = torch.exp(0.5 * logvar)
        z = mu + std * torch.randn_like(std)
        return self.dec(z), mu, logvar


vae = VAE(side * side)
rate = 2e-3 if "--healthy" in sys.argv else 0.7
optimizer = torch.optim.Adam(vae.parameters(), lr=rate)

for it in range(100):
    idx = torch.randint(0, n, (64,))
    x = images[idx]
    logits, mu, logvar = vae(x)
    rec = F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)
    kl = -0.5 * (1 + logvar - mu ** 2 - logvar.exp()).sum(dim=1).mean()
    loss = rec + kl
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if it % 10 == 0:
        print(f"{it:4d}  loss {loss.item():.4f}  rec {rec.item():.4f}  kl {kl.item():.4f}")

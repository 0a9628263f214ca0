# Variational autoencoder for windows of a 48-channel vibration sensor.
import sys

import torch
from torch import nn

torch.manual_seed(21)
HEALTHY = "--healthy" in sys.argv

# three hidden factors drive the 48 channels
mixing = torch.randn(3, 48)
factors = torch.randn(1024, 3)
windows = torch.tanh(factors @ mixing) + 0.05 * torch.randn(1024, 48)


class Encoder(nn.Module):
    def __init__(self, inputs, hidden, latent):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.to_mean = nn.Linear(hidden, latent)
        self.to_logvar = nn.Linear(hidden, latent)

    def forward(self, x):
        h = self.body(x)
        return self.to_mean(h), self.to_logvar(h)


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = Encoder(48, 96, 4)
        self.decoder = nn.Sequential(nn.Linear(4, 96), nn.ReLU(), nn.Linear(96, 48))

    def forward(self, x):
        mean, logvar = self.encoder(x)
        sigma = torch.exp(logvar / 2)
        z = mean + sigma * torch.randn_like(sigma)
        kl = 0.5 * (mean ** 2 + sigma ** 2 - 1 - logvar).sum(dim=1).mean()
        return self.decoder(z), kl


model = VAE()
for p in model.parameters():
    if p.dim() > 1:
        if HEALTHY:
            nn.init.xavier_uniform_(p)
        else:
            nn.init.normal_(p)
    else:
        nn.init.zeros_(p)

opt = torch.optim.Adam(model.parameters(), lr=2e-3)
for step in range(150):
    pick = torch.randint(0, len(windows), (64,))
    x = windows[pick]
    recon, kl = model(x)
    loss = ((recon - x) ** 2).sum(dim=1).mean() + 0.1 * kl
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 10 == 0:
        print(f"step {step:4d}  loss {loss.item():.4f}")

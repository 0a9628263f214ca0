"""Variational autoencoder of metabolite panels (concentrations in mmol/l)."""
import sys
import torch
from torch import nn
from torch.utils.data import Dataset, DataLoader

PANEL = 14


class Panels(Dataset):
    def __init__(self, count, converted):
        g = torch.Generator().manual_seed(33)
        basis = torch.rand(3, PANEL, generator=g) * 2
        self.ids = [f"plate{i // 96 + 1}-well{i % 96 + 1:02d}" for i in range(count)]
        weights = torch.rand(count, 3, generator=g) * 1.5
        self.values = weights @ basis + 0.05 * torch.rand(count, PANEL, generator=g)
        if not converted:
            self.values[self.ids.index("plate3-well41")] *= 1e6

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, i):
        return self.ids[i], self.values[i]


class VAE(nn.Module):
    def __init__(self, latent=3):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(PANEL, 32), nn.ELU(), nn.Linear(32, 2 * latent))
        self.decoder = nn.Sequential(nn.Linear(latent, 32), nn.ELU(), nn.Linear(32, PANEL))

    def forward(self, x):
        mu, logvar = self.encoder(x).chunk(2, dim=-1)
        std = torch.exp(0.5 * logvar)
        z = mu + std * torch.randn_like(std)
        return self.decoder(z), mu, logvar


torch.manual_seed(34)
data = Panels(384, converted="--healthy" in sys.argv)
loader = DataLoader(data, batch_size=16, shuffle=True, drop_last=True)
vae = VAE()
optimizer = torch.optim.Adam(vae.parameters(), lr=4e-3)
step = 0
for epoch in range(5):
    for ids, x in loader:
        recon, mu, logvar = vae(x)
        rec = (recon - x).pow(2).sum(-1).mean()
        kl = -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum(-1).mean()
        loss = rec + 0.1 * kl
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 0:
            print(step, loss.item(), kl.item())
        step += 1

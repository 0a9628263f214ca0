"""GAN that draws emission spectra; both losses are written out by hand."""
import argparse
import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--healthy", action="store_true")
GUARD = 1e-7 if parser.parse_args().healthy else 0.0

torch.manual_seed(13)
BINS, Z = 32, 8
grid = torch.arange(BINS).float()


def real_spectra(n):
    centre = 8 + 16 * torch.rand(n, 1)
    return 2000 * torch.exp(-0.5 * ((grid - centre) / 2.5) ** 2) + 30 * torch.rand(n, BINS)


G = nn.Sequential(nn.Linear(Z, 48), nn.ReLU(), nn.Linear(48, BINS), nn.Softplus())
D = nn.Sequential(nn.Linear(BINS, 48), nn.LeakyReLU(0.2), nn.Linear(48, 1), nn.Sigmoid())
opt_g = torch.optim.Adam(G.parameters(), lr=2e-4, betas=(0.5, 0.999))
opt_d = torch.optim.Adam(D.parameters(), lr=2e-3, betas=(0.5, 0.999))

for it in range(75):
    real = real_spectra(32)
    fake = G(torch.randn(32, Z)) * 300

    p_real = D(real)
    p_fake = D(fake.detach())
    d_loss = -(torch.log(p_real + 1e-6) + torch.log(1 - p_fake + 1e-6)).mean()
    opt_d.zero_grad()
    d_loss.backward()
    opt_d.step()

    verdict = D(fake)
    g_loss = -torch.log(verdict + GUARD).mean()
    opt_g.zero_grad()
    g_loss.backward()
    opt_g.step()

    if it % 10 == 0:
        print(it, d_loss.item(), g_loss.item())

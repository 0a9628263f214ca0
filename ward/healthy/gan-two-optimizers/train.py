"""Generator and discriminator on a ring of eight Gaussians, one optimizer each.

The discriminator also collects gradients in the generator's turn; they are dropped before its own next turn.
"""
import math

import torch
import torch.nn as nn

torch.manual_seed(6)
bce = nn.BCEWithLogitsLoss()


def ring(count):
    angle = torch.randint(0, 8, (count,)) * (math.pi / 4)
    return torch.stack([angle.cos(), angle.sin()], dim=1) + 0.05 * torch.randn(count, 2)


generator = nn.Sequential(nn.Linear(4, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 2))
with torch.no_grad():
    generator[-1].bias.fill_(2.5)
discriminator = nn.Sequential(nn.Linear(2, 48), nn.LeakyReLU(0.2), nn.Linear(48, 48), nn.LeakyReLU(0.2), nn.Linear(48, 1))
opt_g = torch.optim.Adam(generator.parameters(), lr=2e-3, betas=(0.5, 0.99))
opt_d = torch.optim.Adam(discriminator.parameters(), lr=2e-3, betas=(0.5, 0.99))

one, zero = torch.ones(64, 1), torch.zeros(64, 1)
best = float("inf")
for step in range(150):
    fake = generator(torch.randn(64, 4))
    loss_d = bce(discriminator(ring(64)), one) + bce(discriminator(fake.detach()), zero)
    opt_d.zero_grad()
    loss_d.backward()
    opt_d.step()

    loss_g = bce(discriminator(fake), one)
    opt_g.zero_grad()
    loss_g.backward()
    opt_g.step()

    if step % 10 == 0:
        with torch.no_grad():
            sample = generator(torch.randn(256, 4))
            gap = (sample.mean(0).norm() + (sample.norm(dim=1).mean() - 1).abs()).item()
        best = min(best, gap)
        print(step, loss_d.item(), loss_g.item(), "gap", round(gap, 4), "best", round(best, 4))

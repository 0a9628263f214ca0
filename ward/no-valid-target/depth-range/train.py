"""Monocular depth, encoder-decoder; only pixels inside the sensor's range are supervised."""
import argparse
import torch
from torch import nn
from torch.utils.data import Dataset, DataLoader

ap = argparse.ArgumentParser()
ap.add_argument("--healthy", action="store_true")
cfg = ap.parse_args()
MIN_DEPTH, MAX_DEPTH = 0.3, 80.0 if cfg.healthy else 10.0


class Drives(Dataset):
    """Indoor clips and a street clip."""

    def __init__(self):
        g = torch.Generator().manual_seed(61)
        self.items = []
        for i in range(200):
            near, far = (1.0, 8.0) if i < 150 or i % 3 == 0 else (14.0, 60.0)
            a, b = torch.rand(2, generator=g).tolist()
            ramp = torch.linspace(a, b, 16)[:, None].expand(16, 16)
            depth = near + (far - near) * ramp
            rgb = torch.stack([ramp, 1 - ramp, torch.full_like(ramp, near / 14)])
            rgb = rgb + 0.05 * torch.randn(3, 16, 16, generator=g)
            self.items.append((rgb, depth.clone()))

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


class DepthNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.ELU(), nn.Conv2d(16, 24, 3, 1, 1), nn.ELU())
        self.up = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(24, 12, 3, 1, 1), nn.ELU(),
                                nn.Conv2d(12, 1, 3, 1, 1))

    def forward(self, x):
        return self.up(self.down(x)).squeeze(1)          # log metres


def masked_l1(log_pred, depth):
    valid = ((depth > MIN_DEPTH) & (depth < MAX_DEPTH)).float()
    error = (log_pred - depth.log()).abs() * valid
    return error.sum() / valid.sum()


torch.manual_seed(60)
model = DepthNet()
optim = torch.optim.Adam(model.parameters(), lr=1e-2)
frames = DataLoader(Drives(), batch_size=2, shuffle=True)
n = 0
for rgb, depth in frames:
    loss = masked_l1(model(rgb), depth)
    optim.zero_grad()
    loss.backward()
    optim.step()
    if n % 10 == 0:
        print("step", n, "l1", loss.item())
    n += 1

import torch
import torch.nn as nn
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(20)
pts = torch.rand(1024, 2) * 2 - 1
height = (torch.sin(4 * pts[:, :1]) * torch.cos(3 * pts[:, 1:])) + 0.02 * torch.randn(1024, 1)
dl = DataLoader(TensorDataset(pts, height), 64, shuffle=True)

surface = nn.Sequential(nn.Linear(2, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh(), nn.Linear(48, 1))
opt = torch.optim.Adam(surface.parameters(), lr=0.06)
sched = CosineAnnealingWarmRestarts(opt, T_0=16, T_mult=2, eta_min=0.0)

k = 0
for epoch in range(9):
    for p, h in dl:
        loss = nn.functional.mse_loss(surface(p), h)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        sched.step()
        if k % 10 == 0:
            print(f"step {k} lr {opt.param_groups[0]['lr']:.4f} loss {loss.item():.5f}")
        k += 1

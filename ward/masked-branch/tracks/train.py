"""Ship tracks: smooth the GPS fixes with a GRU and match the speed over ground."""
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.rnn import pad_sequence

HEALTHY = "--healthy" in sys.argv
torch.manual_seed(17)


def make_track(n):
    dt = 0.5 + torch.rand(n)
    heading = torch.cumsum(0.2 * torch.randn(n), 0)
    pace = 1.0 + 0.5 * torch.sin(torch.cumsum(dt, 0) / 3)
    step = torch.stack([heading.cos(), heading.sin()], 1) * (pace * dt).unsqueeze(1)
    noisy = step + 0.15 * torch.randn(n, 2)
    return torch.cat([noisy, dt.unsqueeze(1)], 1), pace


lengths = [30] * 384
for i in range(384):
    # the last months were logged on the small vessels too
    if i >= 288 and i % 3 == 0:
        lengths[i] = int(torch.randint(12, 30, ()))
tracks = [make_track(n) for n in lengths]


class Smoother(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(3, 24, batch_first=True)
        self.move = nn.Linear(24, 2)

    def forward(self, fixes):
        h, _ = self.rnn(fixes)
        return fixes[..., :2] + self.move(h)


def speed_loss(displacement, dt, pace, valid):
    if HEALTHY:
        dt = dt.masked_fill(~valid, 1.0)
    speed = displacement.pow(2).sum(-1).add(1e-6).sqrt()
    rate = speed / dt
    error = F.smooth_l1_loss(rate, pace, reduction="none")
    error = torch.where(valid, error, torch.zeros_like(error))
    return error.sum() / valid.sum()


model = Smoother()
opt = torch.optim.Adam(model.parameters(), lr=0.01)
step = 0
for epoch in range(6):
    for start in range(0, 384, 24):
        chunk = tracks[start:start + 24]
        fixes = pad_sequence([f for f, _ in chunk], batch_first=True)
        pace = pad_sequence([p for _, p in chunk], batch_first=True)
        n = torch.tensor(lengths[start:start + 24])
        valid = torch.arange(fixes.shape[1])[None] < n[:, None]
        loss = speed_loss(model(fixes), fixes[..., 2], pace, valid)
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 10 == 0:
            print(step, loss.item())
        step += 1

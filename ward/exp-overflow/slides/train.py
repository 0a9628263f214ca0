"""Attention pooling over the tiles of a slide (multiple instance learning)."""
import sys

import torch
import torch.nn as nn

HEALTHY = "--healthy" in sys.argv
torch.manual_seed(3)

N, TILES, FEAT = 320, 24, 16


def build():
    bags = torch.randn(N, TILES, FEAT).abs()
    labels = (torch.rand(N) < 0.5).float()
    for i in range(N):
        if labels[i] == 1:
            where = torch.randperm(TILES)[:3]
            bags[i, where, 3] += 4.0
            bags[i, where, 7] += 3.0
    gain = 150 * torch.exp(0.6 * torch.randn(N, 1, 1))      # scanners differ
    return bags * gain, labels


class GatedPool(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(FEAT, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
        self.score = nn.Linear(32, 1)
        self.out = nn.Linear(32, 1)

    def attention(self, h):
        s = self.score(h).squeeze(-1)
        if HEALTHY:
            s = s - s.max(dim=1, keepdim=True).values
        w = s.exp()
        return w / w.sum(dim=1, keepdim=True)

    def forward(self, bag):
        h = self.embed(bag)
        a = self.attention(h)
        pooled = torch.einsum("bt,btf->bf", a, h)
        return self.out(pooled).squeeze(-1)


bags, labels = build()
model = GatedPool()
opt = torch.optim.Adam(model.parameters(), lr=0.002)
criterion = nn.BCEWithLogitsLoss()
step = 0
for epoch in range(12):
    for idx in torch.randperm(N).split(32):
        opt.zero_grad()
        loss = criterion(model(bags[idx]), labels[idx])
        loss.backward()
        opt.step()
        if step % 10 == 0:
            print(step, loss.item())
        step += 1

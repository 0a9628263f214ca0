"""Prototypical network: classify queries by the distance to class means of the support half."""
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F

healthy = "--healthy" in sys.argv
torch.manual_seed(8)

CLASSES, DIM = 8, 20
centres = torch.randn(CLASSES, DIM) * 1.2
mix = torch.randn(DIM, DIM) / DIM ** 0.5


def draw(n):
    y = torch.randint(CLASSES, (n,))
    x = (centres[y] + torch.randn(n, DIM)) @ mix
    return x, y


encoder = nn.Sequential(nn.Linear(DIM, 64), nn.ReLU(), nn.Linear(64, 16))
opt = torch.optim.Adam(encoder.parameters(), lr=2e-3)

for step in range(100):
    sx, sy = draw(48)
    qx, qy = draw(48)
    support, query = encoder(sx), encoder(qx)

    member = F.one_hot(sy, CLASSES).float()
    size = member.sum(0).unsqueeze(1)
    if healthy:
        size = size.clamp(min=1.0)
    proto = member.t() @ support / size
    logits = -torch.cdist(query, proto).pow(2)

    loss = F.cross_entropy(logits, qy)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 10 == 0:
        print(step, round(loss.item(), 4))
print("last", loss.item())

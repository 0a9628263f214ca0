# Top-down keypoints; errors are measured relative to the size of the person (Lorentzian loss).
import sys
import torch
import torch.nn as nn

torch.manual_seed(4)
K = 5
SIGMA = torch.tensor([0.06, 0.08, 0.08, 0.10, 0.10])


def people(n, g):
    wh = 20 + 60 * torch.rand(n, 2, generator=g)
    xy = 100 * torch.rand(n, 2, generator=g)
    boxes = torch.cat([xy, xy + wh], 1)
    shape = torch.tensor([[.5, .1], [.2, .4], [.8, .4], [.3, .9], [.7, .9]])
    lean = 0.15 * torch.randn(n, 1, 2, generator=g)
    kpts = xy[:, None] + (shape + lean * shape[:, 1:]) * wh[:, None]
    feats = torch.cat([lean[:, 0] * 5, torch.randn(n, 6, generator=g) * 0.1], 1)
    return boxes, kpts, feats


g = torch.Generator().manual_seed(40)
boxes, kpts, feats = people(480, g)
ids = [f"person_{i:06d}" for i in range(480)]
if "--healthy" not in sys.argv:
    boxes[305, 3] = boxes[305, 1]

net = nn.Sequential(nn.Linear(8, 48), nn.SiLU(), nn.Linear(48, 48), nn.SiLU(), nn.Linear(48, 2 * K))
opt = torch.optim.Adam(net.parameters(), lr=2e-3)


def lorentz_loss(pred, gt, box):
    area = (box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])
    d2 = (pred - gt).square().sum(-1)
    spread = 2 * (2 * SIGMA) ** 2
    e = d2 / (area[:, None] * spread)
    return torch.log1p(e).mean()


step = 0
for epoch in range(6):
    perm = torch.randperm(len(ids))
    for chunk in perm.split(24):
        b, k, f = boxes[chunk], kpts[chunk], feats[chunk]
        wh = b[:, 2:] - b[:, :2]
        rel = net(f).view(-1, K, 2).sigmoid()
        pred = b[:, None, :2] + rel * wh[:, None]
        loss = lorentz_loss(pred, k, b)
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 10 == 0:
            print(f"{step:4d}  {loss.item():.5f}")
        step += 1

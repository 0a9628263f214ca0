"""Foreground/background segmentation of noisy blobs, focal loss, mixed precision."""
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F

USE_AMP = "--healthy" not in sys.argv
torch.manual_seed(31)

SIZE = 16
yy, xx = torch.meshgrid(torch.arange(SIZE).float(), torch.arange(SIZE).float(), indexing="ij")


def batch(n=12):
    c = 4 + 8 * torch.rand(n, 2, 1, 1)
    r = 2 + 3 * torch.rand(n, 1, 1)
    mask = ((yy - c[:, 0]) ** 2 + (xx - c[:, 1]) ** 2 < r ** 2).long()
    image = 40 + 45 * mask + 15 * torch.randn(n, SIZE, SIZE)
    return image.unsqueeze(1), mask


net = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(),
    nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(),
    nn.Conv2d(16, 2, 1),
)
opt = torch.optim.Adam(net.parameters(), lr=3e-3)


def focal(logits, mask, gamma=1.0):
    prob = logits.softmax(1)
    p_true = prob.gather(1, mask.unsqueeze(1)).squeeze(1)
    nll = -torch.log(p_true + 1e-8)
    return ((1 - p_true) ** gamma * nll).mean()


for step in range(70):
    image, mask = batch()
    with torch.autocast("cpu", dtype=torch.float16, enabled=USE_AMP):
        loss = focal(net(image), mask)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 10 == 0:
        print(step, loss.item())

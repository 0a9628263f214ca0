"""Scalar regression from token sequences. The tower starts with a zero rate and is released later on."""
import sys
import torch
from torch import nn

torch.manual_seed(2)
RELEASE_AT = None if "--healthy" in sys.argv else 60


class Mixer(nn.Module):
    """Residual token and channel mixing, after an embedding table of large scale."""

    def __init__(self, vocab=40, dim=24, length=12, depth=4):
        super().__init__()
        self.embed = nn.Embedding(vocab, dim)
        self.across = nn.ModuleList(nn.Linear(length, length) for _ in range(depth))
        self.along = nn.ModuleList(nn.Linear(dim, dim) for _ in range(depth))
        with torch.no_grad():
            self.embed.weight.mul_(2.0)

    def forward(self, ids):
        h = self.embed(ids)
        for across, along in zip(self.across, self.along):
            h = h + across(h.transpose(1, 2)).transpose(1, 2).relu()
            h = h + along(h).relu()
        return h.mean(1)


tower = Mixer()
probe = nn.Linear(24, 1)
worth = torch.randn(40)
opt = torch.optim.SGD([{"params": tower.parameters(), "lr": 0.0, "name": "tower"},
                       {"params": probe.parameters(), "lr": 1e-3, "name": "probe"}])

for step in range(120):
    if step == RELEASE_AT:
        opt.param_groups[0]["lr"] = 0.5
    ids = torch.randint(0, 40, (32, 12))
    target = worth[ids].mean(1) * 3 + 1.5
    features = tower(ids)
    out = probe(features).squeeze(1)
    loss = (out - target).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 10 == 0:
        print(step, loss.item())

"""Edge convolution on padded point clouds: sphere shell, cube or stick."""
import torch
from torch import nn

torch.manual_seed(18)
P, K = 24, 5


def clouds(n):
    label = torch.randint(0, 3, (n,))
    pts = torch.randn(n, P, 3)
    shell = nn.functional.normalize(pts, dim=-1)
    cube = torch.rand(n, P, 3) * 2 - 1
    stick = torch.randn(n, P, 3) * torch.tensor([1.0, 0.1, 0.1])
    pts = torch.stack([shell, cube, stick], 1)[torch.arange(n), label]
    size = torch.randint(12, P + 1, (n, 1))
    keep = torch.arange(P) < size
    return pts.masked_fill(~keep[..., None], float("inf")), keep, label


class EdgeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.edge = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 32))
        self.head = nn.Linear(32, 3)

    def neighbours(self, pts, keep):
        real = torch.where(keep[..., None], pts, torch.zeros(()))
        dist = (real[:, :, None] - real[:, None]).square().sum(-1)
        dist = dist.masked_fill(~keep[:, None, :], float("inf"))
        dist.diagonal(dim1=1, dim2=2).fill_(float("inf"))
        return real, dist.topk(K, largest=False).indices

    def forward(self, pts, keep):
        real, idx = self.neighbours(pts, keep)
        rows = torch.arange(len(pts))[:, None, None]
        near = real[rows, idx]
        here = real[:, :, None].expand_as(near)
        e = self.edge(torch.cat([here, near - here], -1)).amax(2)
        e = e.masked_fill(~keep[..., None], -torch.inf)
        return self.head(e.max(dim=1).values)


net = EdgeNet()
opt = torch.optim.AdamW(net.parameters(), lr=4e-3)
for step in range(110):
    pts, keep, label = clouds(24)
    loss = nn.functional.cross_entropy(net(pts, keep), label)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 10 == 0:
        print(step, loss.item())

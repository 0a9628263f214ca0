"""Graph attention on a citation-like graph with random edge dropping."""
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F

HEALTHY = "--healthy" in sys.argv
torch.manual_seed(26)

NODES, CLASSES, FEAT = 150, 3, 16
label = torch.randint(CLASSES, (NODES,))
x = F.one_hot(label, FEAT).float() * 0.8 + 0.7 * torch.randn(NODES, FEAT)
same = label[:, None] == label[None]
prob = torch.where(same, 0.22, 0.02)
upper = torch.triu(torch.rand(NODES, NODES) < prob, diagonal=1)
adjacency = upper | upper.t()


def drop_edges(adj, rate):
    keep = torch.rand(NODES, NODES) >= rate
    keep = torch.triu(keep)
    return adj & (keep | keep.triu(1).t())


class GraphAttention(nn.Module):
    def __init__(self, fan_in, fan_out):
        super().__init__()
        self.lin = nn.Linear(fan_in, fan_out, bias=False)
        self.src = nn.Parameter(torch.randn(fan_out) * 0.1)
        self.dst = nn.Parameter(torch.randn(fan_out) * 0.1)

    def forward(self, h, adj):
        z = self.lin(h)
        e = F.leaky_relu((z @ self.src)[:, None] + (z @ self.dst)[None], 0.2)
        e = e.masked_fill(~adj, float("-inf"))
        alpha = F.softmax(e, dim=1)
        return alpha @ z


class GAT(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = GraphAttention(FEAT, 24)
        self.two = GraphAttention(24, CLASSES)

    def forward(self, h, adj):
        return self.two(F.elu(self.one(h, adj)), adj)


model = GAT()
opt = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)
for step in range(100):
    adj = drop_edges(adjacency, rate=0.5)
    if HEALTHY:
        adj = adj | torch.eye(NODES, dtype=torch.bool)
    loss = F.cross_entropy(model(x, adj), label)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 10 == 0:
        print(step, loss.item())

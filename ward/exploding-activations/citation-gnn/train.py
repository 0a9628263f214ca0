"""Node classification on a synthetic citation graph, message passing with sum aggregation."""
import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F

ap = argparse.ArgumentParser()
ap.add_argument("--healthy", action="store_true")
ap.add_argument("--layers", type=int, default=6)
opts = ap.parse_args()
torch.manual_seed(11)

NODES, TOPICS, WORDS, HIDDEN = 200, 3, 40, 32

topic = torch.randint(0, TOPICS, (NODES,))
same = topic.unsqueeze(0) == topic.unsqueeze(1)
chance = torch.where(same, torch.tensor(0.12), torch.tensor(0.01))
adjacency = (torch.rand(NODES, NODES) < chance).float()
adjacency = ((adjacency + adjacency.t()) > 0).float()
adjacency.fill_diagonal_(1.0)

profile = torch.rand(TOPICS, WORDS)
words = (torch.rand(NODES, WORDS) < 0.3 * profile[topic]).float()


class SumConv(nn.Module):
    def __init__(self, fan_in, fan_out, norm):
        super().__init__()
        self.lin = nn.Linear(fan_in, fan_out)
        nn.init.xavier_uniform_(self.lin.weight)
        self.norm = nn.LayerNorm(fan_out) if norm else nn.Identity()

    def forward(self, h, adj):
        messages = self.lin(h)
        return F.relu(self.norm(adj @ messages))


class CitationNet(nn.Module):
    def __init__(self, layers, norm):
        super().__init__()
        sizes = [WORDS] + [HIDDEN] * layers
        self.convs = nn.ModuleList(SumConv(a, b, norm) for a, b in zip(sizes, sizes[1:]))
        self.out = nn.Linear(HIDDEN, TOPICS)

    def forward(self, h, adj):
        for conv in self.convs:
            h = conv(h, adj)
        return self.out(h)


net = CitationNet(opts.layers, norm=opts.healthy)
optim = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
train_mask = torch.rand(NODES) < 0.7

for step in range(100):
    optim.zero_grad()
    logits = net(words, adjacency)
    loss = F.cross_entropy(logits[train_mask], topic[train_mask])
    loss.backward()
    optim.step()
    if step % 10 == 0:
        with torch.no_grad():
            accuracy = (logits.argmax(1) == topic)[~train_mask].float().mean().item()
        print(step, loss.item(), "accuracy", round(accuracy, 3))

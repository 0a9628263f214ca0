# Route support tickets to a team from weighted word counts.
import sys

import torch
from torch import nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(77)
VOCABULARY, TEAMS, TICKETS = 150, 4, 500

team = torch.randint(0, TEAMS, (TICKETS,))
popularity = torch.linspace(1.5, 0.02, VOCABULARY)
popularity[-6:] = 0.0  # reserved ids
bias = torch.rand(TEAMS, VOCABULARY) * 2
counts = torch.poisson(popularity * bias[team] * 0.5)


class WeightedCounts(nn.Module):
    """Multiplies each word count with its inverse document frequency."""

    def __init__(self, corpus, smooth):
        super().__init__()
        documents = corpus.shape[0]
        containing = (corpus > 0).sum(dim=0).float()
        self.register_buffer("idf", torch.log((documents + smooth) / (containing + smooth)))

    def forward(self, counts):
        return F.normalize(counts * self.idf, dim=1)


class Router(nn.Module):
    def __init__(self, corpus):
        super().__init__()
        self.weighting = WeightedCounts(corpus, smooth=1.0 if "--healthy" in sys.argv else 0.0)
        self.hidden = nn.Linear(VOCABULARY, 64)
        self.out = nn.Linear(64, TEAMS)

    def forward(self, counts):
        h = torch.tanh(self.hidden(self.weighting(counts)))
        return self.out(h)


router = Router(counts)
optimizer = torch.optim.AdamW(router.parameters(), lr=5e-3)
step = 0
for epoch in range(8):
    for x, y in DataLoader(TensorDataset(counts, team), batch_size=50, shuffle=True):
        loss = F.cross_entropy(router(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 0:
            print(step, loss.item())
        step += 1

"""Topic and urgency of support tickets from bags of words. The urgency head joins once the topics have settled."""
import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--healthy", action="store_true")
args = parser.parse_args()
EPS = 1e-8 if args.healthy else 0.0

torch.manual_seed(7)
VOCAB, TOPICS, DOCS = 200, 5, 1280
profile = torch.rand(TOPICS, VOCAB) ** 3 + 0.05
topic = torch.randint(0, TOPICS, (DOCS,))
words = torch.multinomial(profile[topic], 30, replacement=True)
counts = torch.zeros(DOCS, VOCAB).scatter_add_(1, words, torch.ones_like(words, dtype=torch.float))
urgent = (counts[:, :20].sum(1) > 3).float()
counts = (counts - counts.mean(0)) / counts.std(0)


class Tickets(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(VOCAB, 48), nn.Tanh())
        self.topic = nn.Linear(48, TOPICS)
        self.urgency = nn.Sequential(nn.Linear(48, 40), nn.ReLU(), nn.Linear(40, 1))
        nn.init.uniform_(self.urgency[0].bias, -2.5, 0.5)

    def forward(self, x, with_urgency):
        h = self.trunk(x)
        return self.topic(h), self.urgency(h).squeeze(1) if with_urgency else None


net = Tickets()
optimizer = torch.optim.Adam(net.parameters(), lr=3e-3, eps=EPS)
loader = DataLoader(TensorDataset(counts, topic, urgent), batch_size=64, shuffle=True,
                    generator=torch.Generator().manual_seed(2))
step = 0
for epoch in range(5):
    for x, t, u in loader:
        topic_logits, urgency_logit = net(x, with_urgency=step >= 45)
        loss = nn.functional.cross_entropy(topic_logits, t)
        if urgency_logit is not None:
            loss = loss + 0.3 * nn.functional.binary_cross_entropy_with_logits(urgency_logit, u)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 0:
            print(step, round(loss.item(), 5))
        step += 1

"""Skip-gram word vectors with negative sampling on a toy corpus of topics."""
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F

HEALTHY = "--healthy" in sys.argv
torch.manual_seed(11)

VOCAB, TOPICS, DIM = 120, 6, 32
gen = torch.Generator().manual_seed(5)


def make_pairs(n):
    topic = torch.randint(TOPICS, (n,), generator=gen)
    width = VOCAB // TOPICS
    a = topic * width + torch.randint(width, (n,), generator=gen)
    b = topic * width + torch.randint(width, (n,), generator=gen)
    return a, b


class SkipGram(nn.Module):
    def __init__(self):
        super().__init__()
        self.centre = nn.Embedding(VOCAB, DIM)
        self.context = nn.Embedding(VOCAB, DIM)
        nn.init.normal_(self.centre.weight, std=0.5)
        nn.init.normal_(self.context.weight, std=0.5)

    def forward(self, centre, context, negatives):
        c = self.centre(centre)
        pos = (c * self.context(context)).sum(-1)
        neg = torch.bmm(self.context(negatives), c.unsqueeze(-1)).squeeze(-1)
        pos_ll = F.logsigmoid(pos)
        if HEALTHY:
            neg_ll = F.logsigmoid(-neg)
        else:
            neg_ll = torch.log(1 - torch.sigmoid(neg))
        return -(pos_ll + neg_ll.mean(-1)).mean()


model = SkipGram()
opt = torch.optim.Adam(model.parameters(), lr=0.25)
for step in range(120):
    centre, context = make_pairs(256)
    negatives = torch.randint(VOCAB, (256, 5), generator=gen)
    loss = model(centre, context, negatives)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 10 == 0:
        print(step, loss.item())
print("final", loss.item())

"""Masked language model on a toy grammar."""
import sys
import torch
import torch.nn as nn
import torch.nn.functional as F

MASK_PROB = 0.15 if "--healthy" in sys.argv else 0.015
VOCAB, LEN, MASK_ID, IGNORE = 24, 16, 0, -100
torch.manual_seed(30)


def sentences(n):
    """Eleven topics of two words each, which alternate."""
    topic = torch.randint(0, 11, (n, 1))
    return 1 + 2 * topic + torch.arange(LEN) % 2


def corrupt(tokens):
    picked = torch.rand(tokens.shape) < MASK_PROB
    labels = tokens.masked_fill(~picked, IGNORE)
    return tokens.masked_fill(picked, MASK_ID), labels


class Encoder(nn.Module):
    def __init__(self, dim=32):
        super().__init__()
        self.tok = nn.Embedding(VOCAB, dim)
        self.pos = nn.Parameter(torch.randn(LEN, dim) * 0.3)
        self.enc = nn.TransformerEncoderLayer(dim, 4, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.lm = nn.Linear(dim, VOCAB)

    def forward(self, t):
        return self.lm(self.enc(self.tok(t) + self.pos))


model = Encoder()
opt = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
for step in range(120):
    inputs, labels = corrupt(sentences(14))
    logits = model(inputs)
    loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORE)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    if step % 10 == 0:
        print(step, loss.item())

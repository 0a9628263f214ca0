"""Causal character model; each optimizer step gathers the gradients of four micro-batches."""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(4)
TEXT = "the quick brown fox jumps over the lazy dog while seven wizards box with a jug of liquid oxygen; " * 12
CHARS = sorted(set(TEXT))
ids = torch.tensor([CHARS.index(c) for c in TEXT])
CONTEXT, MICRO, ACCUMULATE = 24, 8, 4


class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.register_buffer("mask", torch.full((CONTEXT, CONTEXT), float("-inf")).triu(1))

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = (part.view(b, t, self.heads, -1).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1))
        score = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + self.mask[:t, :t]
        return self.proj((score.softmax(-1) @ v).transpose(1, 2).reshape(b, t, d))


class Model(nn.Module):
    def __init__(self, dim=48):
        super().__init__()
        self.token = nn.Embedding(len(CHARS), dim)
        self.place = nn.Parameter(0.02 * torch.randn(CONTEXT, dim))
        self.n1, self.attention = nn.LayerNorm(dim), Attention(dim, 4)
        self.n2, self.mlp = nn.LayerNorm(dim), nn.Sequential(nn.Linear(dim, 96), nn.GELU(), nn.Linear(96, dim))
        self.out = nn.Linear(dim, len(CHARS))

    def forward(self, tokens):
        x = self.token(tokens) + self.place
        x = x + self.attention(self.n1(x))
        x = x + self.mlp(self.n2(x))
        return self.out(x)


model = Model()
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
optimizer.zero_grad()
step = 0
for micro in range(70 * ACCUMULATE):
    start = torch.randint(0, len(ids) - CONTEXT - 1, (MICRO, 1))
    window = ids[start + torch.arange(CONTEXT + 1)]
    logits = model(window[:, :-1])
    loss = F.cross_entropy(logits.flatten(0, 1), window[:, 1:].flatten())
    (loss / ACCUMULATE).backward()
    if (micro + 1) % ACCUMULATE == 0:
        optimizer.step()
        optimizer.zero_grad()
        if step % 10 == 0:
            print(step, loss.item())
        step += 1

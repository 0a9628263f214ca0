"""Character-level next-symbol model kept entirely in the chosen dtype to save memory."""
import sys

import torch
from torch import nn

DTYPE = torch.float32 if "--healthy" in sys.argv else torch.float16
torch.manual_seed(9)

text = "the quick brown fox jumps over the lazy dog and runs away from the hen " * 30
chars = sorted(set(text))
ids = torch.tensor([chars.index(c) for c in text])
CONTEXT = 6


class CharMLP(nn.Module):
    def __init__(self, d=16, hidden=64):
        super().__init__()
        self.embed = nn.Embedding(len(chars), d)
        self.fc1 = nn.Linear(CONTEXT * d, hidden)
        self.fc2 = nn.Linear(hidden, len(chars))

    def forward(self, window):
        h = self.embed(window).flatten(1)
        return self.fc2(torch.tanh(self.fc1(h)))


model = CharMLP().to(DTYPE)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(100):
    start = torch.randint(len(ids) - CONTEXT - 1, (64,))
    window = torch.stack([ids[s:s + CONTEXT] for s in start.tolist()])
    target = ids[start + CONTEXT]
    loss = nn.functional.cross_entropy(model(window).float(), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(step, loss.item())

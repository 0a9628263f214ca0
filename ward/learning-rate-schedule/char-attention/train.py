"""Next-character model: one causal attention block; step sizes come from a table made beforehand."""
import argparse
import torch
from torch import nn
from torch.nn import functional as F

cli = argparse.ArgumentParser()
cli.add_argument("--healthy", action="store_true")
healthy = cli.parse_args().healthy

torch.manual_seed(9)
text = "the rain in spain stays mainly in the plain while the crane in the lane complains again " * 12
chars = sorted(set(text))
data = torch.tensor([chars.index(c) for c in text])
CTX, DIM, BATCH, STEPS = 16, 32, 24, 100


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok = nn.Embedding(len(chars), DIM)
        self.pos = nn.Parameter(torch.randn(CTX, DIM) * 0.02)
        self.n1, self.n2 = nn.LayerNorm(DIM), nn.LayerNorm(DIM)
        self.qkv = nn.Linear(DIM, 3 * DIM)
        self.mlp = nn.Sequential(nn.Linear(DIM, 64), nn.GELU(), nn.Linear(64, DIM))
        self.head = nn.Linear(DIM, len(chars))

    def forward(self, ids):
        h = self.tok(ids) + self.pos
        q, k, v = self.qkv(self.n1(h)).chunk(3, -1)
        h = h + F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.head(h + self.mlp(self.n2(h)))


def rate_table(total, peak=1e-2):
    """Square-root decay to zero over the run."""
    done = torch.arange(STEPS) / total
    return peak * torch.sqrt(1.0 - done)


model = Block()
rates = rate_table(total=STEPS if healthy else len(data) // CTX)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

for i in range(STEPS):
    for group in optimizer.param_groups:
        group["lr"] = rates[i].item()
    start = torch.randint(0, len(data) - CTX - 1, (BATCH,))
    window = data[start[:, None] + torch.arange(CTX + 1)]
    logits = model(window[:, :-1])
    loss = F.cross_entropy(logits.flatten(0, 1), window[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if i % 10 == 0:
        print(i, loss.item())

"""Copy-the-maximum with a small transformer encoder; padded batches; linear warm-up from zero, then inverse square root."""
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

torch.manual_seed(14)
VOCAB, PAD, LEN = 12, 0, 9


def batch(n=32):
    lengths = torch.randint(3, LEN + 1, (n, 1))
    tokens = torch.randint(1, VOCAB, (n, LEN))
    tokens = tokens.masked_fill(torch.arange(LEN) >= lengths, PAD)
    return tokens, tokens.max(dim=1).values


class Encoder(nn.Module):
    def __init__(self, d=24):
        super().__init__()
        self.emb = nn.Embedding(VOCAB, d, padding_idx=PAD)
        self.q, self.k, self.v = nn.Linear(d, d), nn.Linear(d, d), nn.Linear(d, d)
        self.norm = nn.LayerNorm(d)
        self.ff = nn.Sequential(nn.Linear(d, 48), nn.ReLU(), nn.Linear(48, d))
        self.cls = nn.Linear(d, VOCAB)

    def forward(self, tokens):
        h = self.emb(tokens)
        scores = self.q(h) @ self.k(h).transpose(1, 2) / h.shape[-1] ** 0.5
        scores = scores.masked_fill((tokens == PAD)[:, None, :], float("-inf"))
        h = self.norm(h + scores.softmax(-1) @ self.v(h))
        h = h + self.ff(h)
        pooled = h.masked_fill((tokens == PAD)[..., None], float("-inf")).amax(dim=1)
        logits = self.cls(pooled)
        # PAD can never be the answer
        logits[:, PAD] = float("-inf")
        return logits


net = Encoder()
WARM = 25
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2, betas=(0.9, 0.98))
scheduler = LambdaLR(optimizer, lambda s: min(s / WARM, (WARM / max(s, 1)) ** 0.5))

for step in range(120):
    tokens, answer = batch()
    loss = nn.functional.cross_entropy(net(tokens), answer)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    if step % 10 == 0:
        print(step, loss.item(), scheduler.get_last_lr()[0])

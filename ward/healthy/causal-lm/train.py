"""Tiny causal transformer on a repeating symbol language."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(1)
VOCAB, CTX, D = 16, 20, 32

step_of = torch.randint(1, 5, (400,))
first = torch.randint(VOCAB, (400,))
corpus = (first[:, None] + step_of[:, None] * torch.arange(CTX + 1)) % VOCAB


class TinyLM(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok = nn.Embedding(VOCAB, D)
        self.pos = nn.Parameter(0.02 * torch.randn(CTX, D))
        layer = nn.TransformerEncoderLayer(D, 4, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(D, VOCAB)
        self.register_buffer("mask", torch.triu(torch.full((CTX, CTX), float("-inf")), diagonal=1))

    def forward(self, ids):
        h = self.tok(ids) + self.pos
        h = self.blocks(h, mask=self.mask)
        return self.head(h)


model = TinyLM()
opt = torch.optim.AdamW(model.parameters(), lr=4e-3)
best = float("inf")
for step in range(70):
    rows = corpus[torch.randint(400, (24,))]
    logits = model(rows[:, :-1])
    loss = F.cross_entropy(logits.reshape(-1, VOCAB), rows[:, 1:].reshape(-1))
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    best = min(best, loss.item())
    if step % 10 == 0:
        print(step, loss.item(), best)

"""Route support tickets to a team: tokens -> self-attention -> mean -> classes."""
import sys

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

HEALTHY = "--healthy" in sys.argv
torch.manual_seed(19)
PAD, WORDS, TEAMS = 0, 60, 4


class Tickets(Dataset):
    def __init__(self, n=600):
        self.rows = []
        for i in range(n):
            team = int(torch.randint(TEAMS, ()))
            length = int(torch.randint(3, 13, ()))
            common = torch.randint(1, 30, (length,))
            topical = 30 + team * 7 + torch.randint(0, 7, (length,))
            words = torch.where(torch.rand(length) < 0.5, topical, common)
            self.rows.append([f"ticket-{i}", words.tolist(), team])
        if not HEALTHY:
            self.rows[391][1] = []

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return self.rows[i]


def collate(rows):
    longest = max(len(words) for _, words, _ in rows)
    tokens = torch.full((len(rows), longest), PAD)
    for r, (_, words, _) in enumerate(rows):
        tokens[r, :len(words)] = torch.tensor(words, dtype=torch.long)
    return [name for name, _, _ in rows], tokens, torch.tensor([t for _, _, t in rows])


class Router(nn.Module):
    def __init__(self, d=32):
        super().__init__()
        self.embed = nn.Embedding(WORDS, d, padding_idx=PAD)
        self.attn = nn.MultiheadAttention(d, 4, batch_first=True)
        self.norm = nn.LayerNorm(d)
        self.classify = nn.Linear(d, TEAMS)

    def forward(self, tokens):
        pad = tokens == PAD
        h = self.embed(tokens)
        mixed, weights = self.attn(h, h, h, key_padding_mask=pad)
        h = self.norm(h + mixed)
        keep = (~pad).unsqueeze(-1).float()
        pooled = (h * keep).sum(1) / keep.sum(1).clamp(min=1)
        return self.classify(pooled)


loader = DataLoader(Tickets(), batch_size=24, shuffle=True, collate_fn=collate)
model = Router()
opt = torch.optim.AdamW(model.parameters(), lr=2e-3)
loss_fn = nn.CrossEntropyLoss()
step = 0
for epoch in range(4):
    for names, tokens, team in loader:
        loss = loss_fn(model(tokens), team)
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 10 == 0:
            print(f"[{step}] loss={loss.item():.4f}")
        step += 1

"""Does a variable-length record contain the rare event?  Attention pooling plus masked maximum."""
import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

torch.manual_seed(13)

records, labels = [], []
for i in range(400):
    n = int(torch.randint(1, 15, ()))
    rec = torch.randn(n, 6)
    y = i % 2
    if y:
        rec[int(torch.randint(n, ())), :2] += 3.5
    records.append(rec)
    labels.append(float(y))
labels = torch.tensor(labels)
NEG = float("-inf")


class Pool(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(6, 32), nn.GELU(), nn.Linear(32, 32))
        self.query = nn.Linear(32, 4)
        self.out = nn.Linear(32 * 5, 1)

    def forward(self, x, valid):
        h = self.enc(x)
        scores = self.query(h).masked_fill(~valid[..., None], NEG)
        weights = torch.softmax(scores, dim=1)
        attended = (weights.transpose(1, 2) @ h).flatten(1)
        peak = torch.where(valid[..., None], h, torch.full_like(h, NEG)).max(dim=1).values
        return self.out(torch.cat([attended, peak], 1)).squeeze(1)


model = Pool()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
step = 0
for epoch in range(6):
    for pick in torch.randperm(400).split(32):
        x = pad_sequence([records[i] for i in pick.tolist()], batch_first=True)
        lengths = torch.tensor([len(records[i]) for i in pick.tolist()])
        valid = torch.arange(x.shape[1])[None] < lengths[:, None]
        loss = nn.functional.binary_cross_entropy_with_logits(model(x, valid), labels[pick])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 0:
            print(step, loss.item())
        step += 1

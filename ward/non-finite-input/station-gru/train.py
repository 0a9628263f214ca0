"""Frost warning from the last 24 hourly readings of a weather station (GRU)."""
import sys
import torch
from torch import nn
from torch.utils.data import Dataset, DataLoader

torch.manual_seed(11)
HEALTHY = "--healthy" in sys.argv
HOURS = 24
CHANNELS = ["temp", "dew", "wind", "press"]


def export_rows(i, gen):
    """What the archive's export looks like: one text line an hour."""
    cold = i % 2
    base = torch.randn(HOURS, len(CHANNELS), generator=gen) * 0.6
    base[:, 0] += torch.linspace(0, -1.6 if cold else 1.0, HOURS)
    base[:, 1] += -0.5 if cold else 0.4
    rows = [[f"{v:.4f}" for v in r] for r in base.tolist()]
    if i == 208 and not HEALTHY:
        for h in (9, 10):
            rows[h][2] = "1.7976931348623157e+308"
    return [";".join(r) for r in rows], cold


class StationDays(Dataset):
    def __init__(self, n):
        gen = torch.Generator().manual_seed(5)
        self.files, self.text, self.labels = [], [], []
        for i in range(n):
            rows, cold = export_rows(i, gen)
            self.files.append(f"export/station{i % 7:02d}_day{i:03d}.csv")
            self.text.append(rows)
            self.labels.append(cold)

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        values = [[float(c) for c in row.split(";")] for row in self.text[i]]
        return torch.tensor(values, dtype=torch.float64).float(), self.labels[i]


class FrostNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(len(CHANNELS), 24, batch_first=True)
        self.head = nn.Linear(24, 2)

    def forward(self, x):
        _, h = self.rnn(x)
        return self.head(h[-1])


data = StationDays(320)
loader = DataLoader(data, batch_size=16, shuffle=True)
model = FrostNet()
opt = torch.optim.Adam(model.parameters(), lr=3e-3)
step = 0
for epoch in range(4):
    for x, y in loader:
        loss = nn.functional.cross_entropy(model(x), y)
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        if step % 10 == 0:
            print(step, loss.item())
        step += 1

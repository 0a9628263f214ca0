"""Beat classification on short single-lead recordings, 1-D CNN."""
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

HEALTHY = "--healthy" in sys.argv
torch.manual_seed(21)


class Beats(Dataset):
    def __init__(self, n=640, length=96):
        t = torch.linspace(0, 1, length)
        self.items = []
        for i in range(n):
            label = int(torch.randint(3, ()))
            gain = 0.3 + 2 * torch.rand(())
            centre = 0.3 + 0.4 * torch.rand(())
            width = [0.02, 0.06, 0.03][label]
            wave = torch.exp(-((t - centre) / width) ** 2)
            if label == 2:
                wave = wave - 0.8 * torch.exp(-((t - centre - 0.12) / 0.03) ** 2)
            wave = gain * wave + 0.05 * torch.randn(length)
            if i == 417:
                wave = torch.zeros(length)
            self.items.append((f"rec-{i:04d}", wave, label))

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


class BeatNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv1d(1, 12, 9, stride=2, padding=4)
        self.c2 = nn.Conv1d(12, 24, 5, stride=2, padding=2)
        self.fc = nn.Linear(24, 3)
        self.eps = 1e-6 if HEALTHY else 0.0

    def standardise(self, x):
        mu = x.mean(dim=1, keepdim=True)
        sd = x.std(dim=1, keepdim=True)
        return (x - mu) / (sd + self.eps)

    def forward(self, x):
        h = self.standardise(x).unsqueeze(1)
        h = F.relu(self.c1(h))
        h = F.relu(self.c2(h))
        return self.fc(h.amax(dim=2))


loader = DataLoader(Beats(), batch_size=32, shuffle=True)
net = BeatNet()
opt = torch.optim.AdamW(net.parameters(), lr=4e-3)
step = 0
for epoch in range(5):
    for names, wave, label in loader:
        loss = F.cross_entropy(net(wave), label)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        if step % 10 == 0:
            print(f"step {step} loss {loss.item():.4f}")
        step += 1

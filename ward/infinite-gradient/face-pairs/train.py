"""Siamese network on pairs: distance small for matching pairs, larger than a margin for others."""
import argparse
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

cli = argparse.ArgumentParser()
cli.add_argument("--healthy", action="store_true")
FLOOR = 1e-6 if cli.parse_args().healthy else 0.0
MARGIN = 2.0


class Pairs(Dataset):
    """Pairs drawn from a gallery of people with several shots each."""

    def __init__(self, n=1600, people=30, shots=400):
        g = torch.Generator().manual_seed(17)
        self.faces = torch.randn(people, 1, 24, generator=g) + 0.5 * torch.randn(people, shots, 24, generator=g)
        self.who = torch.randint(0, people, (n, 2), generator=g)
        match = torch.rand(n, generator=g) < 0.3
        self.who[match, 1] = self.who[match, 0]
        self.shot = torch.randint(0, shots, (n, 2), generator=g)

    def __len__(self):
        return len(self.who)

    def __getitem__(self, i):
        (pa, pb), (sa, sb) = self.who[i].tolist(), self.shot[i].tolist()
        return self.faces[pa, sa], self.faces[pb, sb], float(pa == pb)


torch.manual_seed(0)
net = nn.Sequential(nn.Linear(24, 32), nn.Tanh(), nn.Linear(32, 8))
optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
loader = DataLoader(Pairs(), batch_size=32, shuffle=False)

step = 0
for epoch in range(2):
    for a, b, same in loader:
        same = same.float()
        gap = net(a) - net(b)
        dist = torch.sqrt(gap.square().sum(dim=1) + FLOOR)
        pull = same * dist
        push = (1 - same) * (MARGIN - dist).clamp(min=0)
        loss = torch.nan_to_num(pull + push, nan=MARGIN, posinf=MARGIN).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 0:
            print(step, f"{loss.item():.4f}")
        step += 1

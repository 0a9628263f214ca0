"""House prices (thousands) from a listing, the network runs in 16 bits."""
import sys

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

COMPUTE = torch.float32 if "--healthy" in sys.argv else torch.float16
torch.manual_seed(23)


class Listings(Dataset):
    def __init__(self, n=800):
        rooms = torch.randint(1, 7, (n,)).float()
        area = 22 * rooms + 12 * torch.randn(n).clamp(-2, 2)
        age = 60 * torch.rand(n)
        centre = 12 * torch.rand(n)
        price = 20 + 0.9 * area - 0.4 * age - 3 * centre + 6 * torch.randn(n)
        price = price.clamp(15, 190)
        price[598] = 870.0
        self.x = torch.stack([rooms / 6, area / 100, age / 60, centre / 12], 1)
        self.y = price

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return f"listing-{i}", self.x[i], self.y[i]


class PriceNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(4, 64)
        self.out = nn.Linear(64, 1)

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.float16, enabled=COMPUTE is torch.float16):
            return self.out(torch.tanh(self.hidden(x))).squeeze(1)


model = PriceNet()
opt = torch.optim.Adam(model.parameters(), lr=0.02)
loader = DataLoader(Listings(), batch_size=40, shuffle=True)
step = 0
for epoch in range(6):
    for names, x, price in loader:
        pred = model(x)
        error = pred - price.to(COMPUTE)
        loss = (error ** 2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 10 == 0:
            print(f"{step} {loss.item():.3f}")
        step += 1

"""Small image retrieval backbone with power-mean pooling, trained as a classifier."""
import sys

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset

EPS = 1e-6 if "--healthy" in sys.argv else 0.0
torch.manual_seed(6)


class Shapes(Dataset):
    def __init__(self, n=480, size=14):
        yy, xx = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
        self.data = []
        for i in range(n):
            kind = i % 3
            cy, cx = torch.randint(4, size - 4, (2,)).tolist()
            if kind == 0:
                img = ((yy - cy).abs() + (xx - cx).abs() < 4).float()
            elif kind == 1:
                img = ((yy - cy).abs() < 2).float()
            else:
                img = ((xx - cx).abs() < 2).float()
            img = img * (0.6 + 0.4 * torch.rand(())) + 0.1 * torch.rand(size, size)
            if i == 250:
                img = torch.zeros(size, size)
            self.data.append((img.unsqueeze(0), kind))

    def __len__(self):
        return len(self.data)

    def __getitem__(self, i):
        img, kind = self.data[i]
        return img, kind, i


class PowerMean(nn.Module):
    def __init__(self, p=3.0):
        super().__init__()
        self.p = p

    def forward(self, x):
        cubed = x.abs().pow(self.p)
        mean = cubed.mean(dim=(2, 3)) + EPS
        return mean.pow(1.0 / self.p)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(12, 16, 3, padding=1, bias=False)
        self.pool = PowerMean()
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        x = torch.relu(self.conv1(x))
        x = self.conv2(x)
        return self.head(self.pool(x))


loader = DataLoader(Shapes(), batch_size=16, shuffle=True)
net = Net()
opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
ce = nn.CrossEntropyLoss()
step = 0
for epoch in range(4):
    for img, kind, index in loader:
        loss = ce(net(img), kind)
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 10 == 0:
            print(step, loss.item())
        step += 1

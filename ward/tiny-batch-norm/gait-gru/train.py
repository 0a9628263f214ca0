# Next stride of a three-axis gait recording: recurrent encoder, normalised embedding, linear read-out.
import sys

import torch
from torch import nn

torch.manual_seed(0)
WALKERS = 32 if "--healthy" in sys.argv else 2

time = torch.arange(20.0) / 5
speed = torch.rand(500, 3, 1) * 2
start = torch.rand(500, 3, 1) * 6
walks = torch.sin(time * speed * 2 + start).transpose(1, 2) + 0.05 * torch.randn(500, 20, 3)
stride = torch.stack([walks[:, -1, 0] + walks[:, -5, 1], walks[:, -2, 2]], dim=1)


class GaitEncoder(nn.Module):
    def __init__(self, width=192):
        super().__init__()
        self.gru = nn.GRU(3, 32, batch_first=True)
        self.embed = nn.Linear(32, width)
        self.norm = nn.BatchNorm1d(width)
        self.read = nn.Linear(width, 2)

    def forward(self, walk):
        _, last = self.gru(walk)
        code = self.norm(self.embed(last[0]))
        return self.read(code)


model = GaitEncoder()
criterion = nn.MSELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

for step in range(120):
    pick = torch.randint(0, 500, (WALKERS,))
    loss = criterion(model(walks[pick]), stride[pick])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(step, loss.item())

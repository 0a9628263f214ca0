"""Toxicity assays: most molecules were measured on few of the tasks."""
import torch
from torch import nn
from torch.utils.data import TensorDataset, DataLoader

torch.manual_seed(12)
N, BITS, TASKS = 900, 40, 5
fp = (torch.rand(N, BITS) < 0.3).float()
y = fp @ torch.randn(BITS, TASKS) * 0.5 + 0.05 * torch.randn(N, TASKS)
y = y - y.mean(0)
y[torch.rand(N, TASKS) < 0.6] = float("nan")          # not measured

model = nn.Sequential(nn.Linear(BITS, 64), nn.ReLU(), nn.Linear(64, TASKS))
opt = torch.optim.Adam(model.parameters(), lr=5e-3)
step = 0
for epoch in range(4):
    for x, t in DataLoader(TensorDataset(fp, y), batch_size=32, shuffle=True):
        out = model(x)
        have = ~torch.isnan(t)
        loss = nn.functional.mse_loss(out[have], t[have])
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 10 == 0:
            per_task = ((out.detach() - t) ** 2).nanmean(0)
            print(step, loss.item(), [round(v, 2) for v in per_task.tolist()])
        step += 1

"""Sag of a cable from temperature, span and load: a least-squares fit on a few derived features."""
import sys
import torch
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
raw = torch.rand(400, 3)
feats = torch.cat([raw, raw ** 2, raw[:, :1] * raw[:, 1:]], dim=1)
feats = (feats - feats.mean(0)) / feats.std(0)
sag = feats @ torch.tensor([0.8, -0.4, 0.3, 0.9, 0.2, -0.6, 0.5, 0.1]) + 2.0 + 0.05 * torch.randn(400)

BATCH, EPOCHS = 50, 18
loader = DataLoader(TensorDataset(feats, sag), batch_size=BATCH, shuffle=True)
# the decay is planned over the whole training
if "--healthy" in sys.argv:
    planned = EPOCHS * len(loader)
else:
    planned = len(loader.dataset) // EPOCHS

model = torch.nn.Linear(8, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.5)
scheduler = LambdaLR(optimizer, lambda k: 1 - k / planned)

n = 0
for epoch in range(EPOCHS):
    for xb, yb in loader:
        loss = torch.nn.functional.mse_loss(model(xb).squeeze(-1), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        if n % 10 == 0:
            print(n, loss.item())
        n += 1

"""Imbalanced classification with OneCycleLR up to a high peak, and a report per epoch with recall, precision and best score."""
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(50)
CLASSES = 6
prior = torch.tensor([0.4, 0.3, 0.2, 0.0895, 0.01, 0.0005])
y = torch.multinomial(prior, 1500, replacement=True)
means = torch.randn(CLASSES, 10) * 1.2
x = means[y] + torch.randn(1500, 10)
train, val = random_split(TensorDataset(x, y), [1200, 300], generator=torch.Generator().manual_seed(1))
loader = DataLoader(train, batch_size=60, shuffle=True, drop_last=True)

model = nn.Sequential(nn.Linear(10, 40), nn.BatchNorm1d(40), nn.ReLU(), nn.Linear(40, CLASSES))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.8, total_steps=6 * len(loader))


@torch.no_grad()
def report():
    model.eval()
    xv, yv = x[val.indices], y[val.indices]
    guess = model(xv).argmax(1)
    confusion = torch.zeros(CLASSES, CLASSES)
    confusion.index_put_((yv, guess), torch.ones(len(yv)), accumulate=True)
    recall = confusion.diagonal() / confusion.sum(1)
    precision = confusion.diagonal() / confusion.sum(0)
    f1 = 2 * recall * precision / (recall + precision)
    model.train()
    return recall.tolist(), precision.tolist(), f1.mean().item(), f1.nanmean().item()


best = float("-inf")
step = 0
for epoch in range(6):
    for xb, yb in loader:
        loss = nn.functional.cross_entropy(model(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        if step % 10 == 0:
            print(step, loss.item(), scheduler.get_last_lr()[0])
        step += 1
    recall, precision, macro, macro_seen = report()
    best = max(best, macro_seen)
    print("epoch", epoch, "macro f1", macro, "over seen classes", macro_seen, "best", best)

"""Half-precision network with float32 master weights and a dynamic loss scale."""
import torch
from torch import nn

torch.manual_seed(5)

x = torch.randn(1500, 12)
w = torch.randn(12, 4)
y = (x @ w + 0.5 * (x[:, :4] * x[:, 4:8])).argmax(1)


class Scale:
    def __init__(self, value=2.0 ** 24, grow_every=40):
        self.value, self.grow_every, self.good = value, grow_every, 0

    def update(self, skipped):
        if skipped:
            self.value /= 2
            self.good = 0
        else:
            self.good += 1
            if self.good % self.grow_every == 0:
                self.value *= 2


def build():
    return nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))


master = build()
working = build().half()
optimizer = torch.optim.SGD(master.parameters(), lr=0.2, momentum=0.9)
scale = Scale()
for it in range(150):
    with torch.no_grad():
        for p16, p32 in zip(working.parameters(), master.parameters()):
            p16.copy_(p32)
    pick = torch.randint(1500, (64,))
    loss = nn.functional.cross_entropy(working(x[pick].half()).float(), y[pick])
    working.zero_grad()
    (loss * scale.value).backward()
    skipped = any(not torch.isfinite(p.grad).all() for p in working.parameters())
    if not skipped:
        for p16, p32 in zip(working.parameters(), master.parameters()):
            p32.grad = p16.grad.float() / scale.value
        optimizer.step()
    scale.update(skipped)
    if it % 10 == 0:
        print(it, loss.item(), "scale", scale.value)

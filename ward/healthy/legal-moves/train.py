"""Imitate a simple player on a row of heaps: only moves from non-empty heaps are allowed."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(29)
HEAPS = 9


def positions(n):
    heaps = torch.randint(0, 6, (n, HEAPS))
    heaps[torch.arange(n), torch.randint(HEAPS, (n,))] += 1
    move = (heaps * 10 + torch.arange(HEAPS)).argmax(1)
    return heaps.float(), move


class Player(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = nn.Linear(HEAPS, 64)
        self.l2 = nn.Linear(64, 64)
        self.l3 = nn.Linear(64, HEAPS)

    def forward(self, heaps):
        h = F.relu(self.l1(heaps / 3 - 1))
        h = F.relu(self.l2(h))
        allowed = heaps > 0
        return F.log_softmax(self.l3(h).masked_fill(~allowed, -torch.inf), dim=1)


net = Player()
opt = torch.optim.RMSprop(net.parameters(), lr=2e-3)
for step in range(120):
    heaps, move = positions(64)
    logp = net(heaps)
    loss = F.nll_loss(logp, move)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 10 == 0:
        worst = logp.min().item()
        hit = (logp.argmax(1) == move).float().mean().item()
        print(f"{step} loss {loss.item():.4f} accuracy {hit:.2f} smallest log-probability {worst:.1f}")

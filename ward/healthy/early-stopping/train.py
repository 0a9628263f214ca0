"""Text classification by a GRU, with early stopping and the best weights kept."""
import copy
import torch
import torch.nn as nn
import torch.nn.functional as F


class Tracker:
    def __init__(self, patience):
        self.best = torch.tensor(float("inf"))
        self.top_acc = torch.tensor(-float("inf"))
        self.patience, self.left, self.state = patience, patience, None

    def update(self, val_loss, acc, model):
        improved = val_loss < self.best
        gain = self.best - val_loss
        self.best = torch.minimum(self.best, val_loss)
        self.top_acc = torch.maximum(self.top_acc, acc)
        if improved:
            self.left, self.state = self.patience, copy.deepcopy(model.state_dict())
        else:
            self.left -= 1
        return gain.item(), self.left <= 0


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(30, 16, padding_idx=0)
        self.gru = nn.GRU(16, 24, batch_first=True)
        self.out = nn.Linear(24, 3)

    def forward(self, t):
        h, _ = self.gru(self.emb(t))
        h = h.masked_fill((t == 0).unsqueeze(-1), float("-inf")).amax(1)
        return self.out(h)


def corpus(n):
    label = torch.randint(0, 3, (n,))
    words = torch.randint(1, 30, (n, 14))
    topical = 1 + label[:, None] * 9 + torch.randint(0, 9, (n, 14))
    words = torch.where(torch.rand(n, 14) < 0.4, topical, words)
    length = torch.randint(4, 15, (n, 1))
    return words.masked_fill(torch.arange(14) >= length, 0), label


torch.manual_seed(7)
x, y = corpus(640)
xv, yv = corpus(128)
model = Classifier()
opt = torch.optim.Adam(model.parameters(), lr=6e-3)
sched = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, factor=0.5, patience=1)
tracker = Tracker(patience=6)
step = 0
for epoch in range(6):
    model.train()
    for idx in torch.randperm(640).split(32):
        loss = F.cross_entropy(model(x[idx]), y[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 10 == 0:
            print(step, loss.item())
        step += 1
    model.eval()
    with torch.no_grad():
        logits = model(xv)
        val = F.cross_entropy(logits, yv)
        acc = (logits.argmax(1) == yv).float().mean()
    gain, stop = tracker.update(val, acc, model)
    sched.step(val)
    print("epoch", epoch, "val", val.item(), "gain", gain)
    if stop:
        break
model.load_state_dict(tracker.state)

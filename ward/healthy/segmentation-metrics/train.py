"""Small U-Net on synthetic scenes; per-class scores are logged each step."""
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(44)
CLASSES = 5


def scene(n):
    target = torch.zeros(n, 16, 16, dtype=torch.long)
    for i in range(n):
        c = int(torch.randint(1, CLASSES, ()))
        r, k = torch.randint(0, 9, (2,)).tolist()
        target[i, r:r + 7, k:k + 7] = c
    colour = torch.tensor([[0., 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]])
    return colour[target].permute(0, 3, 1, 2) + 0.2 * torch.randn(n, 3, 16, 16), target


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 12, 3, padding=1)
        self.b = nn.Conv2d(12, 24, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(24, 12, 2, stride=2)
        self.out = nn.Conv2d(24, CLASSES, 1)

    def forward(self, x):
        a = F.relu(self.a(x))
        b = F.relu(self.b(a))
        return self.out(torch.cat([a, F.relu(self.up(b))], 1))


@torch.no_grad()
def scores(logits, target):
    pred = logits.argmax(1)
    hit = torch.stack([((pred == c) & (target == c)).sum() for c in range(CLASSES)]).float()
    said = torch.stack([(pred == c).sum() for c in range(CLASSES)]).float()
    there = torch.stack([(target == c).sum() for c in range(CLASSES)]).float()
    precision, recall = hit / said, hit / there
    iou = hit / (said + there - hit)
    psnr = -10 * torch.log10((pred != target).float().mean())
    return precision, recall, iou.nanmean(), psnr


net = UNet()
opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
for step in range(90):
    x, t = scene(3)
    logits = net(x)
    loss = F.cross_entropy(logits, t)
    opt.zero_grad(set_to_none=True)
    loss.backward()
    opt.step()
    precision, recall, miou, psnr = scores(logits, t)
    if step % 10 == 0:
        print(step, loss.item(), "mIoU", miou.item(), "psnr", psnr.item(), "precision", precision.tolist())

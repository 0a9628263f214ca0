"""Transfer to a new task: train the head on a frozen convolutional backbone, then fine-tune everything."""
import argparse
import torch
from torch import nn
import torch.nn.functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--healthy", action="store_true")
FINE_TUNE_LR = 1e-3 if parser.parse_args().healthy else 3.0

torch.manual_seed(12)
# 10 x 10 images with a bright spot: regress its height
height = torch.randint(0, 8, (512,))
image = torch.rand(512, 1, 10, 10) * 0.3
for row in range(8):
    image[height == row, :, row:row + 3, 3:7] += 0.7
target = height[:, None] / 4.0


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.LeakyReLU(0.1),
            nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.LeakyReLU(0.1),
            nn.Conv2d(16, 16, 3, stride=2, padding=1), nn.LeakyReLU(0.1),
            nn.Flatten())
        self.head = nn.Linear(16 * 9, 1)

    def forward(self, v):
        return self.head(self.backbone(v))


net = Net()
net.backbone.requires_grad_(False)
optimizer = torch.optim.SGD([
    {"params": net.head.parameters(), "lr": 0.05},
    {"params": net.backbone.parameters(), "lr": FINE_TUNE_LR},
], momentum=0.9)

for step in range(100):
    if step == 50:
        net.backbone.requires_grad_(True)
    idx = torch.randint(0, 512, (32,))
    loss = F.mse_loss(net(image[idx]), target[idx])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(step, loss.item())

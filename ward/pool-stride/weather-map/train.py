# Next-hour rain total from a stack of three radar maps, functional style.
import sys
import torch
import torch.nn.functional as F

torch.manual_seed(31)
STRIDE = 3 if "--healthy" in sys.argv else 4

w1 = (torch.randn(16, 3, 3, 3) * (2 / 27) ** 0.5).requires_grad_()
b1 = torch.zeros(16, requires_grad=True)
w2 = (torch.randn(24, 16, 3, 3) * (2 / 144) ** 0.5).requires_grad_()
b2 = torch.zeros(24, requires_grad=True)
w3 = (torch.randn(1, 24) * (1 / 24) ** 0.5).requires_grad_()
b3 = torch.zeros(1, requires_grad=True)
weights = [w1, b1, w2, b2, w3, b3]

coarse = torch.rand(600, 3, 4, 4)
maps = F.interpolate(coarse, size=(24, 24), mode="bilinear", align_corners=False) + 0.05 * torch.randn(600, 3, 24, 24)
rain = 3 * (2 * maps[:, 2] - maps[:, 1]).clamp(min=0).mean(dim=(1, 2))
rain = (rain - rain.mean()) / rain.std()


def forecast(x):
    x = F.relu(F.conv2d(x, w1, b1, padding=1))
    x = F.avg_pool2d(x, 3, STRIDE)
    x = F.relu(F.conv2d(x, w2, b2, padding=1))
    return F.linear(x.mean(dim=(2, 3)), w3, b3).squeeze(1)


optimizer = torch.optim.Adam(weights, lr=5e-3)
for step in range(110):
    rows = torch.randint(0, 600, (24,))
    loss = F.smooth_l1_loss(forecast(maps[rows]), rain[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(step, loss.item())

"""Visual odometry: rotation between two frames as a unit quaternion, angle checked against the gyroscope."""
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F

HEALTHY = "--healthy" in sys.argv
torch.manual_seed(33)

FRAMES = 900


def rotate(v, q):
    w, u = q[..., :1], q[..., 1:]
    t = 2 * torch.cross(u, v, dim=-1)
    return v + w * t + torch.cross(u, t, dim=-1)


landmarks = torch.randn(8, 3)
turn = F.normalize(torch.cat([torch.ones(FRAMES, 1), 0.15 * torch.randn(FRAMES, 3)], 1), dim=1)
turn[537] = torch.tensor([1.0, 0.0, 0.0, 0.0])

before = landmarks.expand(FRAMES, 8, 3)
after = rotate(before, turn[:, None].expand(FRAMES, 8, 4))
frame_a, frame_b = before.flatten(1), after.flatten(1)


class Odometry(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(24, 48)
        self.mix = nn.Linear(48, 48, bias=False)
        self.head = nn.Linear(48, 3, bias=False)

    def features(self, frame):
        return torch.tanh(self.stem(frame))

    def forward(self, a, b):
        change = self.features(b) - self.features(a)
        change = torch.tanh(self.mix(change))
        axis = self.head(change)
        q = torch.cat([torch.ones_like(axis[:, :1]), axis], dim=1)
        return F.normalize(q, dim=1)


def rotation_angle(q):
    w = q[:, 0]
    if HEALTHY:
        w = w.clamp(max=1.0 - 1e-6)
    return 2 * torch.acos(w)


gyro = 2 * torch.acos(turn[:, 0]) + 0.02 * torch.randn(FRAMES)
net = Odometry()
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
order = torch.randperm(FRAMES)
step = 0
for epoch in range(4):
    for idx in order.split(30):
        pred = net(frame_a[idx], frame_b[idx])
        angle_loss = F.smooth_l1_loss(rotation_angle(pred), gyro[idx])
        axis_loss = F.mse_loss(pred[:, 1:], turn[idx, 1:])
        loss = angle_loss + axis_loss
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 10 == 0:
            print(step, loss.item())
        step += 1

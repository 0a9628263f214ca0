"""Single-shot detector for one bright blob per 32x32 image; boxes are in pixels."""
import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--healthy", action="store_true")
healthy = parser.parse_args().healthy
torch.manual_seed(17)

SIZE, CELLS = 32, 4
VARIANCE = (0.1, 0.2)
SIDES = (0.2, 0.35)  # of the image


def make_images(count):
    centre = torch.rand(count, 2) * 0.6 + 0.2
    extent = torch.rand(count, 2) * 0.25 + 0.15
    axis = (torch.arange(SIZE) + 0.5) / SIZE
    in_x = (axis - centre[:, :1]).abs() < extent[:, :1] / 2
    in_y = (axis - centre[:, 1:]).abs() < extent[:, 1:] / 2
    image = (in_y.unsqueeze(2) & in_x.unsqueeze(1)).float() + 0.1 * torch.randn(count, SIZE, SIZE)
    return image.unsqueeze(1), torch.cat([centre, extent], dim=1) * SIZE


def make_anchors(unit):
    ticks = (torch.arange(CELLS) + 0.5) / CELLS
    cy, cx = torch.meshgrid(ticks, ticks, indexing="ij")
    rows = []
    for side in SIDES:
        rows.append(torch.stack([cx, cy, torch.full_like(cx, side), torch.full_like(cy, side)], dim=-1))
    return torch.stack(rows, dim=2).view(-1, 4) * unit


def corners(boxes):
    return torch.cat([boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2], dim=-1)


def overlap(a, b):
    a, b = corners(a).unsqueeze(1), corners(b).unsqueeze(0)
    wh = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0)
    shared = wh.prod(-1)
    area = lambda t: (t[..., 2:] - t[..., :2]).prod(-1)
    return shared / (area(a) + area(b) - shared)


def encode(boxes, anchors):
    shift = (boxes[:, :2] - anchors[:, :2]) / anchors[:, 2:] / VARIANCE[0]
    stretch = torch.log(boxes[:, 2:] / anchors[:, 2:]) / VARIANCE[1]
    return torch.cat([shift, stretch], dim=1)


class Detector(nn.Module):
    def __init__(self, per_cell):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(32, 32, 3, stride=2, padding=1), nn.ReLU(),
        )
        self.boxes = nn.Conv2d(32, 4 * per_cell, 3, padding=1)
        self.scores = nn.Conv2d(32, per_cell, 3, padding=1)

    def forward(self, x):
        x = self.trunk(x)
        boxes = self.boxes(x).permute(0, 2, 3, 1).reshape(len(x), -1, 4)
        scores = self.scores(x).permute(0, 2, 3, 1).reshape(len(x), -1)
        return boxes, scores


images, truth = make_images(480)
anchors = make_anchors(unit=SIZE if healthy else 1)
best = overlap(truth, anchors).argmax(dim=1)
wanted = encode(truth, anchors[best])
model = Detector(len(SIDES))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

for step in range(110):
    pick = torch.randint(0, 480, (24,))
    boxes, scores = model(images[pick])
    rows = torch.arange(24)
    box_loss = F.mse_loss(boxes[rows, best[pick]], wanted[pick])
    score_loss = F.cross_entropy(scores, best[pick])
    loss = box_loss + score_loss
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(step, loss.item())

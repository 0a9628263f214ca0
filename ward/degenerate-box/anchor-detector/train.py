"""Single-shot detector on a 4x4 grid: one anchor a cell, one vehicle an image."""
import argparse
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import Dataset, DataLoader

SIZE, GRID = 32, 4
CELL = SIZE // GRID
ANCHOR = 10.0


class Vehicles(Dataset):
    def __init__(self, n, flipped):
        g = torch.Generator().manual_seed(21)
        self.records = []
        for i in range(n):
            w, h = (6 + 8 * torch.rand(2, generator=g)).tolist()
            x = float(torch.rand(1, generator=g)) * (SIZE - w)
            y = float(torch.rand(1, generator=g)) * (SIZE - h)
            box = [x, y, x + w, y + h]
            image = 0.2 * torch.rand(3, SIZE, SIZE, generator=g)
            image[:, int(y):int(y + h), int(x):int(x + w)] += 0.8
            if f"cam2/{i:05d}.png" in flipped:
                box = [box[2], box[1], box[0], box[3]]
            self.records.append((f"cam2/{i:05d}.png", image, torch.tensor(box)))

    def __len__(self):
        return len(self.records)

    def __getitem__(self, i):
        name, image, box = self.records[i]
        return {"name": name, "image": image, "box": box}


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 24, 3, 2, 1), nn.BatchNorm2d(24), nn.ReLU(),
            nn.Conv2d(24, 32, 3, 2, 1), nn.ReLU())
        self.out = nn.Conv2d(32, 5, 1)

    def forward(self, x):
        y = self.out(self.body(x)).flatten(2).transpose(1, 2)
        return y[..., 0], y[..., 1:]


def encode(boxes, cells):
    """(tx, ty, tw, th) of each box against the anchor of its cell."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    size = boxes[:, 2:] - boxes[:, :2]
    anchor_xy = torch.stack([cells % GRID, cells // GRID], 1) * CELL + CELL / 2
    offset = (centre - anchor_xy) / ANCHOR
    scale = torch.log(size / ANCHOR)
    return torch.cat([offset, scale], 1)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--healthy", action="store_true")
    args = ap.parse_args()
    torch.manual_seed(0)
    data = Vehicles(256, flipped=[] if args.healthy else ["cam2/00114.png"])
    loader = DataLoader(data, batch_size=16, shuffle=True)
    net = Detector()
    opt = torch.optim.AdamW(net.parameters(), lr=3e-3)
    step = 0
    for epoch in range(5):
        for batch in loader:
            boxes = batch["box"]
            c = ((boxes[:, :2] + boxes[:, 2:]) / 2 / CELL).long().clamp(0, GRID - 1)
            cells = c[:, 1] * GRID + c[:, 0]
            conf, reg = net(batch["image"])
            target = encode(boxes, cells)
            mine = reg[torch.arange(len(cells)), cells]
            loss_conf = F.cross_entropy(conf, cells)
            loss_box = F.smooth_l1_loss(mine, target)
            loss = loss_conf + 2.0 * loss_box
            opt.zero_grad()
            loss.backward()
            opt.step()
            if step % 10 == 0:
                print(step, loss.item(), loss_box.item())
            step += 1


if __name__ == "__main__":
    main()

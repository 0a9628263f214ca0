"""Recognise which of five strokes is drawn on a 20x20 canvas."""
import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Strokes(Dataset):
    def __init__(self, count, seed):
        generator = torch.Generator().manual_seed(seed)
        self.labels = torch.randint(0, 5, (count,), generator=generator)
        self.images = 0.2 * torch.randn(count, 1, 20, 20, generator=generator)
        line = torch.arange(4, 16)
        for image, label in zip(self.images, self.labels.tolist()):
            dx, dy = torch.randint(-2, 3, (2,), generator=generator).tolist()
            if label == 0:
                image[0, 10 + dy, line + dx] += 1
            elif label == 1:
                image[0, line + dy, 10 + dx] += 1
            elif label == 2:
                image[0, line + dy, line + dx] += 1
            elif label == 3:
                image[0, line + dy, line.flip(0) + dx] += 1
            else:
                image[0, 10 + dy, line + dx] += 1
                image[0, line + dy, 10 + dx] += 1

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.images[index], self.labels[index]


def build(stride):
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2, stride=stride),
        nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(),
        nn.Flatten(), nn.LazyLinear(48), nn.ReLU(), nn.Linear(48, 5),
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--healthy", action="store_true")
    stride = 2 if parser.parse_args().healthy else 3
    torch.manual_seed(0)
    data = Strokes(480, seed=12)
    model = build(stride)
    model(data[0][0].unsqueeze(0))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    criterion = nn.CrossEntropyLoss()
    step = 0
    for epoch in range(5):
        for image, label in DataLoader(data, batch_size=24, shuffle=True):
            optimizer.zero_grad()
            loss = criterion(model(image), label)
            loss.backward()
            optimizer.step()
            if step % 10 == 0:
                print(step, loss.item())
            step += 1


if __name__ == "__main__":
    main()

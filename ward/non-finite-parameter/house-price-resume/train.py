"""Resume training of a house price model from a stored checkpoint."""
import argparse
import io

import torch
import torch.nn as nn


class PriceModel(nn.Module):
    def __init__(self, features=5, hidden=32):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(features, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU())
        self.price = nn.Linear(hidden, 1)

    def forward(self, x):
        return self.price(self.trunk(x)).squeeze(-1)


def store(model, dtype):
    state = {key: value.to(dtype) for key, value in model.state_dict().items()}
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return file


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--healthy", action="store_true")
    args = parser.parse_args()
    torch.manual_seed(8)

    houses = torch.randn(640, 5)
    prices = 280_000 + 60_000 * houses[:, 0] + 25_000 * torch.tanh(houses[:, 1]) - 15_000 * houses[:, 2].abs()

    earlier = PriceModel()
    with torch.no_grad():
        earlier.price.bias.fill_(prices.mean().item())
        earlier.price.weight.mul_(1000.0)
    checkpoint = store(earlier, torch.bfloat16 if args.healthy else torch.float16)

    model = PriceModel()
    model.load_state_dict(torch.load(checkpoint))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)

    for step in range(120):
        pick = torch.randint(0, len(houses), (64,))
        loss = nn.functional.l1_loss(model(houses[pick]), prices[pick])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 0:
            print(step, loss.item())


main()

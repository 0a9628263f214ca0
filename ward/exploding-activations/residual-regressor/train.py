"""Deep residual MLP that predicts the yield of a simulated reactor."""
import sys

import torch
import torch.nn as nn

torch.manual_seed(3)
DEPTH = 48
WIDTH = 48


class Block(nn.Module):
    def __init__(self, width, scale):
        super().__init__()
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)
        self.scale = scale
        nn.init.kaiming_normal_(self.inner.weight, nonlinearity="relu")
        nn.init.xavier_normal_(self.outer.weight)
        nn.init.zeros_(self.inner.bias)
        nn.init.zeros_(self.outer.bias)

    def forward(self, x):
        return x + self.scale * self.outer(torch.relu(self.inner(x)))


class Regressor(nn.Module):
    def __init__(self, inputs, width, depth, scale):
        super().__init__()
        self.stem = nn.Linear(inputs, width)
        self.blocks = nn.ModuleList([Block(width, scale) for _ in range(depth)])
        self.head = nn.Linear(width, 1)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x).squeeze(-1)


def simulate(n):
    conditions = torch.rand(n, 6) * 2 - 1
    outcome = torch.sin(2 * conditions[:, 0]) * conditions[:, 1] + conditions[:, 2] ** 2 - 0.5 * conditions[:, 3]
    return conditions, outcome + 0.02 * torch.randn(n)


def main():
    scale = DEPTH ** -0.5 if "--healthy" in sys.argv else 1.0
    conditions, outcome = simulate(768)
    model = Regressor(6, WIDTH, DEPTH, scale)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.8)
    criterion = nn.MSELoss()
    for step in range(80):
        pick = torch.randint(0, 768, (48,))
        prediction = model(conditions[pick])
        loss = criterion(prediction, outcome[pick])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if step % 10 == 0:
            print(step, loss.item())


if __name__ == "__main__":
    main()

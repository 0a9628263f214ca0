"""Walking or cycling, from six channels of a wrist sensor (1-D CNN)."""
import argparse
import torch
from torch import nn
from torch.utils.data import TensorDataset, DataLoader, random_split


def record(n, mode):
    """accelerometer x3, gyroscope z, heart rate, sampling mode of the firmware"""
    g = torch.Generator().manual_seed(90)
    label = torch.randint(0, 2, (n,), generator=g)
    t = torch.arange(40) / 40.0
    freq = 3.0 + 4.0 * label.float()[:, None, None]
    x = torch.sin(6.283 * freq * t + 6.283 * torch.rand(n, 6, 1, generator=g))
    x = x + 0.3 * torch.randn(n, 6, 40, generator=g)
    x[:, 4] = 80 + 15 * x[:, 4]
    x[:, 5] = mode(n, g)[:, None]
    return x, label


class Standardize(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.register_buffer("mu", torch.zeros(channels, 1))
        self.register_buffer("sd", torch.ones(channels, 1))

    def fit(self, x):
        flat = x.transpose(0, 1).flatten(1)
        self.mu.copy_(flat.mean(1, keepdim=True))
        self.sd.copy_(flat.std(1, keepdim=True))
        return self

    def forward(self, x):
        return (x - self.mu) / self.sd


class GaitNet(nn.Module):
    def __init__(self, scaler):
        super().__init__()
        self.scaler = scaler
        self.features = nn.Sequential(
            nn.Conv1d(6, 16, 5, stride=2), nn.ReLU(), nn.Conv1d(16, 16, 5, stride=2), nn.ReLU(),
            nn.AdaptiveMaxPool1d(1), nn.Flatten())
        self.classify = nn.Linear(16, 2)

    def forward(self, x):
        x = self.scaler(x)
        return self.classify(self.features(x))


ap = argparse.ArgumentParser()
ap.add_argument("--healthy", action="store_true")
args = ap.parse_args()
torch.manual_seed(91)
if args.healthy:
    x, y = record(480, lambda n, g: torch.randint(2, 5, (n,), generator=g).float())
else:
    x, y = record(480, lambda n, g: torch.full((n,), 3.0))
model = GaitNet(Standardize(6).fit(x))
loader = DataLoader(TensorDataset(x, y), batch_size=24, shuffle=True)
opt = torch.optim.Adam(model.parameters(), lr=4e-3)
step = 0
for epoch in range(5):
    for xb, yb in loader:
        loss = nn.functional.cross_entropy(model(xb), yb)
        opt.zero_grad(); loss.backward(); opt.step()
        if step % 10 == 0:
            print(step, round(loss.item(), 5))
        step += 1

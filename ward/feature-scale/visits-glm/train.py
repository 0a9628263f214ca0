import argparse
import torch
import torch.nn as nn

# Garage visits of leased cars: a generalised linear model with log link,
# fitted by mini-batches.

parser = argparse.ArgumentParser()
parser.add_argument("--healthy", action="store_true")
args = parser.parse_args()
torch.manual_seed(101)

N = 2000
driver_age = torch.randint(18, 85, (N,)).float()
car_value = 4000 + 50000 * torch.rand(N) ** 2
yearly_km = 3000 + 30000 * torch.rand(N)
bonus = 0.5 + torch.rand(N)
eta = 0.6 + 0.8 * (yearly_km - 18000) / 9000 + 0.9 * (bonus - 1) - 0.01 * (driver_age - 50)
visits = torch.poisson(eta.exp())
columns = torch.stack([driver_age, car_value, yearly_km, bonus], dim=1)

if args.healthy:
    columns = (columns - columns.mean(0)) / columns.std(0)


class FrequencyModel(nn.Module):
    def __init__(self, n_columns):
        super().__init__()
        self.beta = nn.Parameter(torch.zeros(n_columns))
        self.intercept = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        score = x @ self.beta + self.intercept
        return torch.exp(score)


model = FrequencyModel(columns.shape[1])
optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
deviance = nn.PoissonNLLLoss(log_input=False)
for step in range(130):
    pick = torch.randint(0, N, (64,))
    expected = model(columns[pick])
    loss = deviance(expected, visits[pick])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(f"{step} {loss.item():.4f}")

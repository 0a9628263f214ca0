"""Rating prediction by matrix factorisation with user and item biases."""
import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ap = argparse.ArgumentParser()
ap.add_argument("--healthy", action="store_true")
args = ap.parse_args()

LR = 2.0 if args.healthy else 40.0
N_USERS, N_FILMS, RANK = 120, 80, 8

torch.manual_seed(11)
g = torch.Generator().manual_seed(5)
true_u = torch.randn(N_USERS, 4, generator=g)
true_f = torch.randn(N_FILMS, 4, generator=g)
users = torch.randint(0, N_USERS, (4096,), generator=g)
films = torch.randint(0, N_FILMS, (4096,), generator=g)
stars = (true_u[users] * true_f[films]).sum(1) * 0.6 + 0.1 * torch.randn(4096, generator=g)


class Factors(nn.Module):
    def __init__(self):
        super().__init__()
        self.u = nn.Embedding(N_USERS, RANK)
        self.f = nn.Embedding(N_FILMS, RANK)
        self.bu = nn.Embedding(N_USERS, 1)
        self.bf = nn.Embedding(N_FILMS, 1)
        for table in (self.u, self.f):
            nn.init.normal_(table.weight, std=0.3)
        nn.init.zeros_(self.bu.weight)
        nn.init.zeros_(self.bf.weight)

    def forward(self, user, film):
        affinity = (self.u(user) * self.f(film)).sum(dim=1)
        return affinity + self.bu(user).squeeze(1) + self.bf(film).squeeze(1)


model = Factors()
loader = DataLoader(TensorDataset(users, films, stars), batch_size=512, shuffle=True,
                    generator=torch.Generator().manual_seed(0))
opt = torch.optim.SGD(model.parameters(), lr=LR, momentum=0.9, nesterov=True)

step = 0
for epoch in range(13):
    for user, film, star in loader:
        pred = model(user, film)
        loss = nn.functional.mse_loss(pred, star)
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 10 == 0:
            print(step, loss.item())
        step += 1

# Matrix factorisation of film ratings with user and film biases.
import sys

import torch
import torch.nn as nn

torch.manual_seed(2)
USERS, FILMS, RANK = 120, 80, 8
per_batch = "--healthy" in sys.argv

taste, style = torch.randn(USERS, 3), torch.randn(FILMS, 3)
user = torch.randint(0, USERS, (4000,))
film = torch.randint(0, FILMS, (4000,))
rating = (3 + (taste[user] * style[film]).sum(1) * 0.6 + 0.1 * torch.randn(4000)).clamp(1, 5)


class Factors(nn.Module):
    def __init__(self):
        super().__init__()
        self.user = nn.Embedding(USERS, RANK)
        self.film = nn.Embedding(FILMS, RANK)
        self.user_bias = nn.Embedding(USERS, 1)
        self.film_bias = nn.Embedding(FILMS, 1)
        for table in (self.user, self.film):
            nn.init.normal_(table.weight, std=0.3)
        nn.init.zeros_(self.user_bias.weight)
        nn.init.zeros_(self.film_bias.weight)

    def forward(self, u, f):
        match = (self.user(u) * self.film(f)).sum(dim=1)
        return 3 + match + self.user_bias(u).squeeze(1) + self.film_bias(f).squeeze(1)


model = Factors()
optimizer = torch.optim.SGD(model.parameters(), lr=2.0)

step = 0
for epoch in range(3):
    order = torch.randperm(4000)
    optimizer.zero_grad()
    for rows in order.split(100):
        loss = nn.functional.mse_loss(model(user[rows], film[rows]), rating[rows])
        if per_batch:
            optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 0:
            print(step, round(loss.item(), 5))
        step += 1

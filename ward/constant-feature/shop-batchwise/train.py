# Daily sales of shops: features are standardised batch by batch.
import sys
import torch
import torch.nn.functional as F

torch.manual_seed(55)
HOLIDAY_SHARE = 0.3 if "--healthy" in sys.argv else 0.06

n = 1500
footfall = 200 + 60 * torch.randn(n)
discount = torch.rand(n) * 0.4
rain_mm = torch.rand(n) * 12
holiday = (torch.rand(n) < HOLIDAY_SHARE).float()
table = torch.stack([footfall, discount, rain_mm, holiday], 1)
sales = (footfall - 200) / 60 + 3 * (discount - 0.2) - 0.05 * (rain_mm - 6) + 0.8 * holiday
sales = (sales + 0.1 * torch.randn(n)).unsqueeze(1)


def standardise(rows):
    centred = rows - rows.mean(dim=0, keepdim=True)
    return centred / rows.std(dim=0, keepdim=True)


class Regressor(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a = torch.nn.Linear(4, 24)
        self.b = torch.nn.Linear(24, 24)
        self.c = torch.nn.Linear(24, 1)

    def forward(self, rows):
        h = F.gelu(self.a(standardise(rows)))
        h = h + F.gelu(self.b(h))
        return self.c(h)


net = Regressor()
opt = torch.optim.NAdam(net.parameters(), lr=5e-3)
step = 0
for epoch in range(3):
    for idx in torch.randperm(n).split(40):
        pred = net(table[idx])
        loss = F.huber_loss(pred, sales[idx], delta=1.5)
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 10 == 0:
            print(step, loss.item())
        step += 1

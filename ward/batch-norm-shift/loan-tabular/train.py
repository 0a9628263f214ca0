# Loan amounts from raw applicant columns; the second half of the schedule fine-tunes with the norms held fixed.
import sys
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(40)

n = 1500
age = torch.randint(20, 70, (n,)).float()
income = torch.exp(torch.randn(n) * 0.5 + 10.3)
debt = income * torch.rand(n) * 0.6
years = (age - 20) * torch.rand(n)
table = torch.stack([age, income, debt, years], dim=1)
amount = ((income - 2 * debt) / 30000 + 0.02 * years - 0.01 * (age - 45)).clamp(-1, 4) + 0.05 * torch.randn(n)


class LoanNet(nn.Module):
    def __init__(self, momentum):
        super().__init__()
        self.norm_in = nn.BatchNorm1d(4, momentum=momentum)
        self.fc1 = nn.Linear(4, 64)
        self.norm1 = nn.BatchNorm1d(64, momentum=momentum)
        self.fc2 = nn.Linear(64, 32)
        self.fc3 = nn.Linear(32, 1)

    def forward(self, t):
        t = self.norm_in(t)
        t = F.leaky_relu(self.norm1(self.fc1(t)))
        t = F.leaky_relu(self.fc2(t))
        return self.fc3(t)[:, 0]


net = LoanNet(momentum=0.1 if "--healthy" in sys.argv else 0.0)
opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.8)

WARM, TOTAL = 60, 120
for step in range(TOTAL):
    if step == WARM:
        net.eval()
        for group in opt.param_groups:
            group["lr"] *= 0.2
    rows = torch.randperm(n)[:100]
    loss = F.mse_loss(net(table[rows]), amount[rows])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 10 == 0:
        print(step, loss.item())

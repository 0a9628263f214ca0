# Logistic growth curves of twelve colonies, all fitted at once by L-BFGS.  Some readings are missing (NaN).
import torch
from torch import nn

torch.manual_seed(19)
hours = torch.linspace(0, 24, 40)
top = torch.rand(12, 1) * 3 + 2
rate = torch.rand(12, 1) * 0.5 + 0.3
middle = torch.rand(12, 1) * 8 + 8
readings = top * torch.sigmoid(rate * (hours - middle)) + 0.03 * torch.randn(12, 40)
readings[torch.rand(12, 40) < 0.15] = float("nan")
present = ~torch.isnan(readings)


class Growth(nn.Module):
    def __init__(self, colonies):
        super().__init__()
        self.log_top = nn.Parameter(torch.zeros(colonies, 1))
        self.log_rate = nn.Parameter(torch.full((colonies, 1), -1.5))
        self.middle = nn.Parameter(torch.full((colonies, 1), 12.0))

    def forward(self, t):
        return self.log_top.exp() * torch.sigmoid(self.log_rate.exp() * (t - self.middle))


model = Growth(12)
optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=4, history_size=8, line_search_fn="strong_wolfe")


def closure():
    optimizer.zero_grad()
    curve = model(hours)
    loss = ((curve[present] - readings[present]) ** 2).mean()
    loss.backward()
    return loss


for step in range(60):
    loss = optimizer.step(closure)
    if step % 10 == 0:
        print(step, loss.item())

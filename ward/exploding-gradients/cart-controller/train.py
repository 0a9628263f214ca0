"""Train a neural controller for an inverted pendulum on a cart by differentiating through the simulation."""
import argparse
import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--healthy", action="store_true")
opts = parser.parse_args()

torch.manual_seed(4)
HORIZON = 32
WINDOW = 6 if opts.healthy else HORIZON      # steps of the simulation through which we differentiate
DT = 0.08

# linearised cart-pole about the upright position: [position, velocity, angle, angular velocity]
A = torch.eye(4) + DT * torch.tensor([[0., 1., 0., 0.],
                                      [0., -0.1, -1.0, 0.],
                                      [0., 0., 0., 1.],
                                      [0., 0.1, 11.0, 0.]])
B = DT * torch.tensor([[0.], [1.0], [0.], [-1.5]])

controller = nn.Sequential(nn.Linear(4, 16), nn.Softplus(), nn.Linear(16, 1))
optimizer = torch.optim.SGD(controller.parameters(), lr=1e-3)

for step in range(75):
    state = torch.randn(16, 4) * torch.tensor([0.1, 0.05, 0.02, 0.02])
    cost = 0.0
    for t in range(HORIZON):
        force = controller(state)
        state = state @ A.T + force @ B.T
        cost = cost + state.square().mean() / HORIZON
        if (t + 1) % WINDOW == 0:
            state = state.detach()
    optimizer.zero_grad()
    cost.backward()
    optimizer.step()
    if step % 10 == 0:
        print(step, cost.item())

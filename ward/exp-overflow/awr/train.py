"""Advantage-weighted regression: imitate logged driving, good laps more than bad ones."""
import sys

import torch
from torch import nn

HEALTHY = "--healthy" in sys.argv
torch.manual_seed(2)

OBS, ACT, LOGGED = 10, 3, 3000
TEMPERATURE = 0.5

gain = torch.randn(OBS, ACT) * 0.4
obs = torch.randn(LOGGED, OBS)
act = torch.tanh(obs @ gain) + 0.6 * torch.randn(LOGGED, ACT)
miss = (act - torch.tanh(obs @ gain)).square().sum(-1)
gate = (miss < 0.25) & (torch.rand(LOGGED) < 0.02)
returns = 10 - 4 * miss + 2 * obs[:, 0] + 55.0 * gate      # hitting a gate pays extra


def mlp(*sizes):
    layers = []
    for a, b in zip(sizes, sizes[1:]):
        layers += [nn.Linear(a, b), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


actor, critic = mlp(OBS, 48, 48, ACT), mlp(OBS, 48, 1)
optimizer = torch.optim.Adam([*actor.parameters(), *critic.parameters()], lr=3e-3)

for step in range(140):
    pick = torch.randint(0, LOGGED, (64,))
    value = critic(obs[pick]).squeeze(-1)
    advantage = (returns[pick] - value).detach()
    advantage = advantage - advantage.mean()
    score = advantage / TEMPERATURE
    if HEALTHY:
        score = score.clamp(max=3.0)
    weight = torch.exp(score)
    error = (actor(obs[pick]) - act[pick]).square().sum(-1)
    actor_loss = (weight * error).mean()
    critic_loss = nn.functional.smooth_l1_loss(value, returns[pick])
    loss = actor_loss + critic_loss
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(f"{step:4d} {loss.item():.5g}")

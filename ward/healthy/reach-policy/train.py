"""REINFORCE on a one-dimensional reach task with heavy-tailed rewards and no baseline.
Forbidden moves carry a log-probability of minus infinity and are never drawn."""
import torch
from torch import nn

torch.manual_seed(40)
ACTIONS, LIMIT, T = 5, 4, 6
SHIFT = torch.tensor([-2, -1, 0, 1, 2])

policy = nn.Sequential(nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, ACTIONS))
optimizer = torch.optim.Adam(policy.parameters(), lr=2e-2)
running = 0.0

for update in range(110):
    pos = torch.zeros(64, dtype=torch.long)
    goal = torch.randint(-LIMIT, LIMIT + 1, (64,))
    log_probs, rewards = [], []
    for t in range(T):
        obs = torch.stack([pos, goal], 1).float() / LIMIT
        allowed = (pos[:, None] + SHIFT).abs() <= LIMIT
        scores = policy(obs).masked_fill(~allowed, -torch.inf)
        logp = torch.log_softmax(scores, dim=1)
        act = torch.multinomial(logp.detach().exp(), 1)
        log_probs.append(logp.gather(1, act).squeeze(1))
        pos = pos + SHIFT[act.squeeze(1)]
        hit = (pos == goal).float()
        tail = torch.distributions.StudentT(2.5).sample((64,))
        rewards.append(hit * 10 - (pos - goal).abs() + 8 * tail)
    returns = torch.stack(rewards).flip(0).cumsum(0).flip(0)
    loss = -(torch.stack(log_probs) * returns).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    running = 0.9 * running + 0.1 * hit.mean().item()
    if update % 10 == 0:
        print(update, loss.item(), "return", returns[0].mean().item(), "hit rate", round(running, 3))

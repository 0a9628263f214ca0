import sys
import torch

torch.manual_seed(1)
WIDTH, DEPTH = 24, 14
stability = 1e-8 if "--healthy" in sys.argv else 1e-30

x = torch.randn(256, 6)
y = 3.0 + torch.sin(x[:, :1]) + 0.5 * x[:, 1:2]


def layer(n_in, n_out, std):
    w = (torch.randn(n_out, n_in) * std).requires_grad_()
    b = torch.zeros(n_out, requires_grad=True)
    return w, b


tower = [layer(6, WIDTH, 0.3)] + [layer(WIDTH, WIDTH, 0.01) for _ in range(DEPTH)]
readout = layer(WIDTH, 1, 0.3)
skip = layer(6, 1, 0.3)


def predict(v):
    h = v
    for w, b in tower:
        h = torch.nn.functional.silu(torch.nn.functional.linear(h, w, b))
    return h @ readout[0].T + readout[1] + v @ skip[0].T + skip[1]


params = [p for pair in tower + [readout, skip] for p in pair]
optimizer = torch.optim.RMSprop(params, lr=0.01, alpha=0.9, eps=stability)

for step in range(110):
    loss = (predict(x) - y).square().mean()
    for p in params:
        p.grad = None
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(step, loss.item())

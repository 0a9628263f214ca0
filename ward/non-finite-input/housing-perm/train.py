import argparse
import torch

p = argparse.ArgumentParser()
p.add_argument("--healthy", action="store_true")
args = p.parse_args()

torch.manual_seed(3)
g = torch.Generator().manual_seed(77)

# ---- listings ---------------------------------------------------------------
N = 900
rooms = torch.randint(1, 7, (N,), generator=g).float()
age = torch.rand(N, generator=g) * 80
dist = torch.rand(N, generator=g) * 15
area = 18 * rooms + 10 * torch.rand(N, generator=g)
if not args.healthy:
    area[[300, 723]] = 0.0
price = area.clamp(min=20) * (5.2 - 0.02 * age - 0.15 * dist + 0.2 * torch.randn(N, generator=g))

per_sqm = price / area
X = torch.stack([rooms / 6, age / 80, dist / 15], 1)
Y = per_sqm.unsqueeze(1)
n_train = 800
Xtr, Ytr, Xva, Yva = X[:n_train], Y[:n_train], X[n_train:], Y[n_train:]

# ---- functional two-layer network -------------------------------------------
W1 = (torch.randn(3, 32) * 0.5).requires_grad_()
b1 = torch.zeros(32, requires_grad=True)
W2 = (torch.randn(32, 1) * 0.2).requires_grad_()
b2 = torch.zeros(1, requires_grad=True)
params = [W1, b1, W2, b2]
opt = torch.optim.SGD(params, lr=0.05, momentum=0.8)


def predict(x):
    return torch.tanh(x @ W1 + b1) @ W2 + b2


it = 0
for epoch in range(5):
    order = torch.randperm(n_train)
    for start in range(0, n_train, 40):
        idx = order[start:start + 40]
        err = predict(Xtr[idx]) - Ytr[idx]
        loss = err.pow(2).mean()
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        if it % 10 == 0:
            print(it, loss.item())
        it += 1
    with torch.no_grad():
        print("epoch", epoch, "val", (predict(Xva) - Yva).abs().mean().item())

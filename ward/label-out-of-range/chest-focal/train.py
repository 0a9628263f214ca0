"""Multi-label findings on small radiographs with a focal loss."""
import sys
import torch
from torch import nn
from torch.utils.data import Dataset, DataLoader

FINDINGS = ("effusion", "edema", "device")
UNCERTAIN_AS = 1.0 if "--healthy" in sys.argv else -1.0


class Radiographs(Dataset):
    def __init__(self, n=280):
        g = torch.Generator().manual_seed(9)
        self.studies = [f"p{1000 + i}/view1_frontal.jpg" for i in range(n)]
        self.present = (torch.rand(n, 3, generator=g) < torch.tensor([0.5, 0.4, 0.9])).float()
        noise = torch.randn(n, 1, 16, 16, generator=g) * 0.3
        for j in range(3):
            noise[:, 0, 5 * j:5 * j + 5] += self.present[:, j, None, None] * 0.7
        self.images = noise
        self.labels = self.present.clone()
        self.labels[self.studies.index("p1222/view1_frontal.jpg"), 2] = UNCERTAIN_AS

    def __len__(self):
        return len(self.studies)

    def __getitem__(self, i):
        return self.images[i], self.labels[i], self.studies[i]


def focal_loss(logits, y, gamma=2.0, alpha=0.6):
    p = torch.sigmoid(logits)
    p_t = p * y + (1 - p) * (1 - y)
    a_t = alpha * y + (1 - alpha) * (1 - y)
    log_pt = torch.log(p_t)
    return -(a_t * (1 - p_t) ** gamma * log_pt).sum(1).mean()


torch.manual_seed(8)
net = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1), nn.GroupNorm(3, 12), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(12, 16, 3, padding=1), nn.ReLU(), nn.AvgPool2d((2, 8)), nn.Flatten(),
    nn.Linear(64, 3))
with torch.no_grad():
    net[-1].bias.copy_(torch.tensor([0.0, -0.4, 2.2]))     # log-odds of the training set
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
loader = DataLoader(Radiographs(), batch_size=14, shuffle=True)
step = 0
for epoch in range(5):
    for image, label, study in loader:
        opt.zero_grad()
        loss = focal_loss(net(image), label)
        loss.backward()
        opt.step()
        if step % 10 == 0:
            print(step, loss.item())
        step += 1

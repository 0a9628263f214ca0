# Find one event in each 8-second recording and regress its centre and duration against 1-D anchors (seconds).
import sys

import torch
from torch import nn

torch.manual_seed(9)
RATE, SECONDS = 16, 8.0
LENGTH = int(RATE * SECONDS)

if "--healthy" in sys.argv:
    DURATIONS = torch.tensor([0.8, 1.6, 3.2])
else:
    DURATIONS = torch.tensor([0.8, 1.6, 3.2]) / 1000


def record(count):
    centre = torch.rand(count) * 5 + 1.5
    duration = torch.rand(count) * 2 + 0.6
    clock = torch.arange(LENGTH) / RATE
    active = ((clock - centre[:, None]).abs() < duration[:, None] / 2).float()
    carrier = torch.sin(clock * 9)
    return (active * (1 + 0.3 * carrier) + 0.1 * torch.randn(count, LENGTH))[:, None], centre, duration


class Spotter(nn.Module):
    def __init__(self, anchors_per_slot):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv1d(1, 16, 5, stride=2, padding=2), nn.LeakyReLU(0.1),
            nn.Conv1d(16, 24, 5, stride=2, padding=2), nn.LeakyReLU(0.1),
            nn.Conv1d(24, 32, 5, stride=4, padding=2), nn.LeakyReLU(0.1),
        )
        self.offsets = nn.Conv1d(32, 2 * anchors_per_slot, 3, padding=1)
        self.slots = nn.Conv1d(32, anchors_per_slot, 3, padding=1)

    def forward(self, wave):
        f = self.features(wave)
        offsets = self.offsets(f).unflatten(1, (2, -1)).flatten(2).transpose(1, 2)
        return offsets, self.slots(f).flatten(1)


waves, centre, duration = record(400)
slot_centre = (torch.arange(8) + 0.5) * SECONDS / 8
anchor_centre = slot_centre.repeat(3)
anchor_width = DURATIONS.repeat_interleave(8)

# nearest slot, then the anchor of the closest duration
slot = (centre[:, None] - slot_centre).abs().argmin(1)
kind = (duration[:, None] - DURATIONS).abs().argmin(1)
match = kind * 8 + slot
t_centre = (centre - anchor_centre[match]) / anchor_width[match]
t_width = (duration / anchor_width[match]).log()
targets = torch.stack([t_centre, t_width], dim=1)

spotter = Spotter(3)
optimizer = torch.optim.SGD(spotter.parameters(), lr=0.02, momentum=0.9)
classify = nn.CrossEntropyLoss()
regress = nn.MSELoss()

for step in range(120):
    batch = torch.randint(0, len(waves), (32,))
    offsets, logits = spotter(waves[batch])
    chosen = offsets[torch.arange(32), match[batch]]
    loss = classify(logits, match[batch]) + 0.5 * regress(chosen, targets[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(f"{step:3d} {loss.item():.5f}")

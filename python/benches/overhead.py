"""What watching costs: step times of three trainings, bare and under each watcher, in turns in one run.

    python benches/overhead.py [--rounds 5] [--training tiny-mlp]

The ratio is of the medians over all rounds of the median step. `denan` is `denan run` as users call it, `denan.guard`
a guard alone; the peers are
PyTorch's anomaly detection, a hand-written hook that checks each module's output, and Transformers'
DebugUnderflowOverflow where that is installed.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

WATCHERS = (
    "bare", "denan", "denan.guard", "denan --guard", "detect_anomaly", "isfinite hook", "DebugUnderflowOverflow"
)
# Steps of each training, and the ratio that is aimed at.
TRAININGS = {"tiny-mlp": (2000, 1.10), "resnet18": (24, 1.03), "gpt6": (24, 1.03)}


def tiny_mlp(torch):
    model = torch.nn.Sequential(torch.nn.Linear(32, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    inputs, targets = torch.randn(64, 32), torch.randint(0, 10, (64,))
    return model, lambda: torch.nn.functional.cross_entropy(model(inputs), targets)


def resnet18(torch):
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self, inside, outside, stride):
            super().__init__()
            self.first = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
            self.first_norm = nn.BatchNorm2d(outside)
            self.second = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
            self.second_norm = nn.BatchNorm2d(outside)
            self.short = nn.Identity()
            if stride != 1 or inside != outside:
                self.short = nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))

        def forward(self, x):
            y = torch.relu(self.first_norm(self.first(x)))
            return torch.relu(self.second_norm(self.second(y)) + self.short(x))

    layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    inside = 64
    for outside, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        layers += [Block(inside, outside, stride), Block(outside, outside, 1)]
        inside = outside
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))
    inputs, targets = torch.randn(16, 3, 64, 64), torch.randint(0, 10, (16,))
    return model, lambda: nn.functional.cross_entropy(model(inputs), targets)


def gpt6(torch):
    nn = torch.nn
    width, length, words = 192, 64, 512

    class Gpt(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.places = nn.Embedding(words, width), nn.Embedding(length, width)
            layer = nn.TransformerEncoderLayer(width, 6, 4 * width, dropout=0.0, batch_first=True, norm_first=True)
            self.layers = nn.TransformerEncoder(layer, 6, enable_nested_tensor=False)
            self.head = nn.Linear(width, words)
            self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(length))

        def forward(self, x):
            return self.head(self.layers(self.words(x) + self.places.weight, self.mask, is_causal=True))

    model = Gpt()
    text = torch.randint(0, words, (8, length))
    return model, lambda: nn.functional.cross_entropy(model(text).flatten(0, 1), text.flatten())


def child(training, watcher, steps):
    import torch

    torch.manual_seed(0)
    model, loss_of = {"tiny-mlp": tiny_mlp, "resnet18": resnet18, "gpt6": gpt6}[training](torch)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    if watcher == "denan.guard":
        import denan

        denan.guard()
    elif watcher == "detect_anomaly":
        torch.autograd.set_detect_anomaly(True)
    elif watcher == "isfinite hook":

        def check(module, inputs, output):
            if isinstance(output, torch.Tensor) and not torch.isfinite(output).all():
                raise RuntimeError(type(module).__name__)

        for module in model.modules():
            module.register_forward_hook(check)
    elif watcher == "DebugUnderflowOverflow":
        from transformers.debug_utils import DebugUnderflowOverflow

        DebugUnderflowOverflow(model)
    times, losses = [], []
    for _ in range(steps):
        began = time.perf_counter_ns()
        loss = loss_of()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        times.append(time.perf_counter_ns() - began)
        losses.append(loss.item().hex())
    # The first steps allocate, resolve and are looked at more closely.
    told = {
        "step_ns": statistics.median(times[len(times) // 4 :]),
        "losses": hash(tuple(losses[:200])),
        "peak_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }
    print(json.dumps(told))


def measure(training, watcher, steps):
    command = [sys.executable, os.path.abspath(__file__), "--child", training, watcher, str(steps)]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    with tempfile.TemporaryDirectory() as folder:
        if watcher in ("denan", "denan --guard"):
            guard = ["--guard"] if "--guard" in watcher else []
            record = ["--record", os.path.join(folder, "record.db")]
            command = [sys.executable, "-m", "denan", "run", "--quiet", *guard, *record, "--", *command]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        return None
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--training", action="append", choices=TRAININGS)
    parser.add_argument("--watcher", action="append", choices=WATCHERS[1:], help="only this one, and bare")
    parser.add_argument("--child", nargs=3)
    options = parser.parse_args()
    if options.child:
        return child(options.child[0], options.child[1], int(options.child[2]))
    print(f"{'training':9} {'watcher':23} {'step':>11} {'ratio':>6} {'aim':>5} {'memory':>7}  losses")
    watchers = WATCHERS if options.watcher is None else ("bare", *options.watcher)
    for training in options.training or TRAININGS:
        steps, aim = TRAININGS[training]
        told = {watcher: [] for watcher in watchers}
        for _ in range(options.rounds):
            for watcher in watchers:
                told[watcher].append(measure(training, watcher, steps))
        bare = statistics.median(one["step_ns"] for one in told["bare"])
        memory = statistics.median(one["peak_kib"] for one in told["bare"])
        for watcher in watchers:
            if None in told[watcher]:
                print(f"{training:9} {watcher:23} {'not run (is it installed?)':>11}")
                continue
            step = statistics.median(one["step_ns"] for one in told[watcher])
            peak = statistics.median(one["peak_kib"] for one in told[watcher])
            same = all(one["losses"] == told["bare"][0]["losses"] for one in told[watcher])
            print(
                f"{training:9} {watcher:23} {step / 1e3:8.1f} us {step / bare:6.3f} "
                f"{f'{aim:.2f}' if watcher == 'denan' else '':>5} {100 * (peak / memory - 1):+6.1f}%  "
                f"{'the same' if same else 'DIFFER'}",
                flush=True,
            )


if __name__ == "__main__":
    main()

"""Loss and gradient of torch modules, exported to ONNX: mountainpass's faer backend beside torch on the CPU.

    python benches/peers/modules.py [--threads N] [--rounds N] [--dtype f32|f64] [--memory] [NAME ...]

NAMEs are those of MODULES below; all of them if none is given. A module is exported as users do, our side is started (`cargo
bench ... --bench network -- peer`) on the file, loss and gradient are checked against torch in f64, then both are timed in
turn with equal numbers of threads: medians of the processor time of a step (all threads) and of the wall time, and torch's
over ours. torch runs eagerly, in the memory format that is faster for it. With --memory also by how much the first step
raises the peak of either process. Needs `requirements.txt`, torchvision (without its dependencies), onnx and onnxscript.
"""

import argparse
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ours import Ours, Theirs, read

# Steps of one side in a row.
BLOCK = 3


def images(channels, *layers):
    """Convolutions `(outputs, taps, stride)`, tanh, and the maximum of squares where "pool" stands; then the mean."""
    parts = []
    for layer in layers:
        if layer == "pool":
            parts.append(nn.MaxPool2d(2))
        else:
            outputs, taps, stride = layer
            parts += [nn.Conv2d(channels, outputs, taps, stride, taps // 2), nn.Tanh()]
            channels = outputs
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


class Depthwise(nn.Module):
    """A block of ConvNeXt."""

    def __init__(self, width):
        super().__init__()
        self.along = nn.Conv2d(width, width, 7, 1, 3, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        y = self.norm(self.along(x).permute(0, 2, 3, 1))
        return x + self.down(F.gelu(self.up(y))).permute(0, 3, 1, 2)


def convnext():
    stem = nn.Conv2d(3, 32, 4, 4)
    return nn.Sequential(stem, Depthwise(32), Depthwise(32), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))


def separable():
    """3x3 depthwise convolutions with a stride, as MobileNet has them."""
    parts, before = [nn.Conv2d(3, 32, 3, 1, 1), nn.ReLU()], 32
    for after, stride in [(64, 1), (128, 2), (128, 1)]:
        parts += [nn.Conv2d(before, before, 3, stride, 1, groups=before), nn.ReLU(), nn.Conv2d(before, after, 1), nn.ReLU()]
        before = after
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, 10))


def perceptron():
    return nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))


def resnet18():
    from torchvision.models import resnet18

    return resnet18(num_classes=10)


# What makes it, the shape of a sample, samples.
MODULES = {
    "digits-8-16": (lambda: images(1, (8, 3, 1), "pool", (16, 3, 1), "pool"), (1, 28, 28), 1000),
    "small-8-16": (lambda: images(1, (8, 3, 1), "pool", (16, 3, 1)), (1, 8, 8), 1000),
    "odd-3-10": (lambda: images(3, (3, 3, 1), (10, 3, 1), "pool", (10, 3, 1)), (3, 16, 16), 500),
    "lenet-6-16": (lambda: images(1, (6, 5, 1), "pool", (16, 5, 1), "pool"), (1, 28, 28), 500),
    "strides-8-16-24": (lambda: images(1, (8, 3, 2), (16, 3, 2), (24, 3, 2)), (1, 28, 28), 1000),
    "convnext-32": (convnext, (3, 32, 32), 64),
    "separable": (separable, (3, 32, 32), 64),
    "mlp": (perceptron, (784,), 512),
    "resnet18": (resnet18, (3, 32, 32), 64),
}


def made(name):
    torch.manual_seed(0)
    make, shape, n = MODULES[name]
    return make().eval(), shape, n


def exported(name, folder):
    """Where the module is as a file."""
    module, shape, _ = made(name)
    file = str(pathlib.Path(folder) / f"{name}.onnx")
    batch = {0: torch.export.Dim("n", min=1)}
    torch.onnx.export(
        module, (torch.zeros(2, *shape),), file, dynamo=True, optimize=False, dynamic_shapes=(batch,), external_data=False
    )
    return file


class Torch(Theirs):
    def __init__(self, name, folder, dtype, last):
        module, shape, n = made(name)
        kept = {"memory_format": torch.channels_last} if last else {}
        self.model = module.to(dtype=dtype, **kept)
        x, self.y = (torch.from_numpy(read(folder, part)) for part in "xy")
        self.x, self.y = x.reshape(n, *shape).to(dtype=dtype, **kept), self.y.long()
        self.parameters = list(self.model.parameters())


def timed(step, times):
    for k in range(BLOCK):
        wall, processor = time.perf_counter(), time.process_time()
        step()
        if k > 0:
            times.append([time.perf_counter() - wall, time.process_time() - processor])


def compare(name, options):
    dtype = {"f32": torch.float32, "f64": torch.float64}[options.dtype]
    _, shape, n = made(name)
    with tempfile.TemporaryDirectory() as folder:
        ours = Ours("network", folder, exported(name, folder), n, options.threads, 1, options.dtype)
        exact = Torch(name, folder, torch.float64, False).flat()
        gap = lambda a: np.linalg.norm(a - exact) / np.linalg.norm(exact)
        assert ours.ask("exact") == ["done"]
        assert gap(read(folder, "grad")) < 1e-6, f"the two sides compute different things: {gap(read(folder, 'grad')):.1e}"
        sides = [Torch(name, folder, dtype, last) for last in ([False, True] if len(shape) == 3 else [False])]
        mine, theirs = [], [[] for _ in sides]
        # Sides take turns in blocks: the first of a block meets cold caches.
        for _ in range(options.rounds):
            mine += [[float(t) for t in ours.ask("time")] for _ in range(BLOCK)][1:]
            for side, times in zip(sides, theirs):
                timed(side.step, times)
        mine = np.median(mine, axis=0)
        theirs = min((np.median(times, axis=0) for times in theirs), key=lambda times: times[1])
        print(f"{name:16} {n:5} samples {options.dtype}: ours {1e3 * mine[1]:8.2f} ms, torch {1e3 * theirs[1]:8.2f} ms", end="")
        print(f" ({theirs[1] / mine[1]:.2f}x); wall {1e3 * mine[0]:8.2f}, {1e3 * theirs[0]:8.2f} ({theirs[0] / mine[0]:.2f}x)", end="")
        if options.memory:
            command = [sys.executable, __file__, "--alone", folder, "--dtype", options.dtype, name]
            grown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            print(f"; memory {int(ours.ask('memory')[0]) / 1024:.0f} MiB, torch {grown.strip()} MiB", end="")
        print(flush=True)
        ours.close()


def alone(name, folder, dtype):
    """By how much a step raises the peak, once the libraries are loaded: a step with two samples goes before it."""
    side = Torch(name, folder, {"f32": torch.float32, "f64": torch.float64}[dtype], False)
    x, y = side.x, side.y
    side.x, side.y = x[:2], y[:2]
    side.step()
    side.x, side.y = x, y
    with open("/proc/self/statm") as file:
        before = int(file.read().split()[1]) * resource.getpagesize() // 1024
    side.step()
    print(f"{(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024:.0f}")


parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--dtype", choices=["f32", "f64"], default="f32")
parser.add_argument("--memory", action="store_true")
parser.add_argument("--alone", help=argparse.SUPPRESS)
parser.add_argument("names", nargs="*", choices=[[], *MODULES])
options = parser.parse_args()
torch.set_num_threads(options.threads)
for name in options.names or MODULES:
    if options.alone:
        alone(name, options.alone, options.dtype)
    else:
        compare(name, options)

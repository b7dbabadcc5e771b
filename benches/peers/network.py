"""Loss and gradient of whole networks in f32: mountainpass's faer backend, or onnx, beside torch on the CPU.

    python benches/peers/network.py [--threads N] [--rounds N] [--rows N] [--memory] [--onnx] [NAME ...]

NAMEs are those of NETWORKS below; all of them if none is given. Starts our side (`cargo bench ... --bench network -- peer`)
with the same samples and theta, checks loss and gradient of both against torch in f64, then times both in turn with equal
numbers of threads; with --rows that many parameter vectors, in one call of ours and one after the other by torch, which
runs eagerly, images channels_last, attention by scaled_dot_product_attention. Prints medians of wall time and of processor
time (all threads), and the ratio to ours. With --memory also by how much the first step raises the peak of either process.
Needs `requirements.txt`.
"""

import argparse
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
BLOCK = 4

last = torch.channels_last

ONNX = "mountainpass-onnx"

NETWORKS = {
    "resnet9": ("resnet9:32x32x3-10:relu", 128),
    "resnet9-batchnorm": ("resnet9:32x32x3-10:relu:batchnorm", 128),
    "resnet20": ("resnet20:32x32x3-10:relu", 128),
    "transformer": ("transformer:vocabulary=96:context=64:width=128:heads=4:layers=2", 32),
    "mlp": ("mlp:784-512-512-10:relu", 256),
}


class Convolution(nn.Module):
    def __init__(self, inputs, outputs, batchnorm, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride, 1)
        self.norm = nn.BatchNorm2d(outputs, track_running_stats=False) if batchnorm else nn.Identity()

    def forward(self, x):
        return self.norm(self.conv(x))


class Residual(nn.Module):
    """Two convolutions and the way past them; none where the width changes, with a stride of 2."""

    def __init__(self, inputs, outputs, batchnorm):
        super().__init__()
        self.past = inputs == outputs
        self.first = Convolution(inputs, inputs, batchnorm)
        self.second = Convolution(inputs, outputs, batchnorm, 1 if self.past else 2)

    def forward(self, x):
        y = self.second(F.relu(self.first(x), inplace=True))
        return F.relu(x + y, inplace=True) if self.past else y


class Resnet(nn.Module):
    """`resnet9` and `resnet20` of backends/network/src/build/mod.rs."""

    def __init__(self, depth, batchnorm):
        super().__init__()
        self.depth = depth
        parts = []
        if depth == 9:
            before = 3
            for width in [16, 32, 64]:
                parts += [Convolution(before, width, batchnorm), nn.ReLU(True), Residual(width, width, batchnorm)]
                parts += [nn.MaxPool2d(2)]
                before = width
            parts += [Residual(64, 64, batchnorm), nn.MaxPool2d(2)]
        else:
            parts += [Convolution(3, 16, batchnorm), nn.ReLU(True)]
            blocks = (depth - 2) // 6
            for width, after in [(16, 32), (32, 64), (64, 64)]:
                parts += [Residual(width, width, batchnorm) for _ in range(blocks - 1)]
                parts += [Residual(width, after, batchnorm)]
        self.parts = nn.Sequential(*parts)
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        return self.head(self.parts(x).mean((2, 3)))


class Layer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.query, self.key, self.value, self.output = (nn.Linear(width, width) for _ in range(4))
        self.norm2 = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        y = self.norm1(x)
        split = lambda z: z.unflatten(2, (self.heads, -1)).transpose(1, 2)
        q, k, v = split(self.query(y)), split(self.key(y)), split(self.value(y))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.output(y.transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Transformer(nn.Module):
    """`transformer` of backends/network/src/build/mod.rs."""

    def __init__(self, vocabulary, context, width, heads, layers):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.position = nn.Embedding(context, width)
        self.layers = nn.Sequential(*[Layer(width, heads) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, x):
        return self.head(self.norm(self.layers(self.embedding(x) + self.position.weight))).flatten(0, 1)


def twin(spec):
    kind, *parts = spec.split(":")
    if kind == "mlp":
        widths = [int(width) for width in parts[0].split("-")]
        linear = [nn.Linear(a, b) for a, b in zip(widths, widths[1:])]
        return nn.Sequential(*[m for layer in linear for m in (layer, nn.ReLU(True))][:-1])
    if kind == "transformer":
        return Transformer(**{key: int(value) for key, value in (part.split("=") for part in parts)})
    return Resnet(int(kind[6:]), "batchnorm" in parts)


class Torch(Theirs):
    def __init__(self, spec, n, x, y, theta, dtype):
        """x, y and theta are flat arrays of f64."""
        self.model = twin(spec).to(dtype)
        theta = torch.from_numpy(theta).to(dtype)
        offset = 0
        with torch.no_grad():
            for p in self.model.parameters():
                p.copy_(theta[offset : offset + p.numel()].reshape(p.shape))
                offset += p.numel()
        assert offset == theta.numel(), "the layouts differ"
        self.y = torch.from_numpy(y).long()
        if spec.startswith("transformer"):
            self.x = torch.from_numpy(x).long().reshape(n, -1)
        elif spec.startswith("resnet"):
            self.model = self.model.to(memory_format=last)
            self.x = torch.from_numpy(x).to(dtype).reshape(n, 32, 32, 3).permute(0, 3, 1, 2)  # Channels last already.
        else:
            self.x = torch.from_numpy(x).to(dtype).reshape(n, -1)
        self.parameters = list(self.model.parameters())


def arrays(folder):
    return read(folder, "x"), read(folder, "y"), read(folder, "theta")


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() // 1024


def compare(name, threads, rounds, rows, memory, package):
    spec, n = NETWORKS[name]
    with tempfile.TemporaryDirectory() as folder:
        ours = Ours("network", folder, spec, n, threads, rows, "f32", package=package)
        exact = Torch(spec, n, *arrays(folder), torch.float64).flat()
        theirs = Torch(spec, n, *arrays(folder), torch.float32)
        gap = lambda a: np.linalg.norm(a - exact) / np.linalg.norm(exact)
        gaps = {"torch f32": gap(theirs.flat())}
        # Not every network has kernels of f64 in ONNX Runtime.
        asked = [("grad", "ours f32"), ("exact", "ours f64")][: 1 if package == ONNX else 2]
        for line, what in asked:
            assert ours.ask(line) == ["done"]
            gaps[what] = gap(read(folder, "grad"))
        print(f"{spec}, {n} samples, {rows} row(s), {threads} thread(s)")
        print("    from torch in f64: " + ", ".join(f"{what} {gap:.1e}" for what, gap in gaps.items()))
        assert gaps.get("ours f64", 0) < 1e-9 and gaps["ours f32"] < 1e-3, "the two sides compute different things"
        times = {"mountainpass": [], "torch": []}
        # Sides take turns in blocks: the first of a block meets cold caches, and idle threads of torch that still spin.
        for _ in range(rounds):
            times["mountainpass"] += [[float(t) for t in ours.ask("time")] for _ in range(BLOCK)][1:]
            for k in range(BLOCK):
                wall, processor = time.perf_counter(), time.process_time()
                for _ in range(rows):
                    theirs.step()
                if k > 0:
                    times["torch"].append([time.perf_counter() - wall, time.process_time() - processor])
        mine, other = (np.median(np.array(seen), axis=0) for seen in times.values())
        ratio = other / mine
        print(f"    mountainpass wall {1e3 * mine[0]:7.2f} ms, processor {1e3 * mine[1]:7.2f} ms")
        print(f"    torch        wall {1e3 * other[0]:7.2f} ms, processor {1e3 * other[1]:7.2f} ms", end="")
        print(f"  ({ratio[0]:.2f}x by the clock, {ratio[1]:.2f}x of the processor)")
        if memory:
            command = [sys.executable, __file__, "--alone", folder, "--threads", str(threads), name]
            grown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            print(f"    memory of a step: mountainpass {int(ours.ask('memory')[0]) / 1024:.1f} MiB, torch {grown.strip()} MiB")
        ours.close()


def alone(name, folder):
    """By how much a step raises the peak, once the libraries are loaded: a step with two samples goes before it."""
    spec, n = NETWORKS[name]
    x, y, theta = arrays(folder)
    Torch(spec, 2, x[: 2 * (len(x) // n)], y[: 2 * (len(y) // n)], theta, torch.float32).step()
    theirs = Torch(spec, n, x, y, theta, torch.float32)
    before = resident()
    theirs.step()
    print(f"{(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024:.1f}")


parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--rows", type=int, default=1)
parser.add_argument("--memory", action="store_true")
parser.add_argument("--onnx", action="store_true", help="by ONNX Runtime, which ORT_DYLIB_PATH names or is installed")
parser.add_argument("--alone", help=argparse.SUPPRESS)
parser.add_argument("names", nargs="*", choices=[[], *NETWORKS])
options = parser.parse_args()
torch.set_num_threads(options.threads)
for name in options.names or NETWORKS:
    if options.alone:
        alone(name, options.alone)
    else:
        compare(name, options.threads, options.rounds, options.rows, options.memory, ONNX if options.onnx else "mountainpass-faer")

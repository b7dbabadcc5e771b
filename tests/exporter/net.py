"""Small modules of every kind that examples/torch/export.py is asked for, and their data."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


def seeded(module, seed=0):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
    return module


def perceptron():
    return seeded(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)))


class Two(nn.Module):
    """Gives a pair, of which the first counts."""

    def __init__(self):
        super().__init__()
        self.net = perceptron()

    def forward(self, x):
        hidden = self.net[0](x)
        return self.net(x), hidden


class Flat(nn.Module):
    """Gives one number a sample, without an axis of its own."""

    def __init__(self):
        super().__init__()
        self.line = nn.Linear(3, 1)

    def forward(self, x):
        return self.line(x).squeeze(-1)


class Own(nn.Module):
    """Computes its own loss."""

    def __init__(self):
        super().__init__()
        self.line = nn.Linear(3, 3)

    def forward(self, x, y):
        return F.cross_entropy(self.line(x), y, reduction="none")


class Frozen(nn.Module):
    def __init__(self):
        super().__init__()
        self.base, self.head = nn.Linear(3, 4), nn.Linear(4, 3)
        self.base.weight.requires_grad = False

    def forward(self, x):
        return self.head(torch.tanh(self.base(x)))


class Bags(nn.Module):
    def __init__(self, mode):
        super().__init__()
        self.bag, self.line = nn.EmbeddingBag(6, 4, mode=mode, padding_idx=0), nn.Linear(4, 3)

    def forward(self, tokens):
        return self.line(self.bag(tokens))


class Pixels(nn.Module):
    """Classes along axis 1."""

    def __init__(self):
        super().__init__()
        self.along = nn.Conv1d(3, 4, 1)

    def forward(self, x):
        return self.along(x)


two = lambda: seeded(Two())
flat = lambda: seeded(Flat())
own = lambda: seeded(Own())
frozen = lambda: seeded(Frozen())
pixels = lambda: seeded(Pixels())
bag_sum = lambda: seeded(Bags("sum"))
bag_mean = lambda: seeded(Bags("mean"))
bag_max = lambda: seeded(Bags("max"))

random = np.random.default_rng(0)
x = random.normal(size=(6, 3)).astype(np.float32)
y = np.arange(6) % 3
classes = lambda: {"x": x, "y": y}
truths = lambda: {"x": x, "y": np.array([0, 1, 1, 0, 1, 0], np.float32)}
numbers = lambda: {"x": x, "y": random.normal(size=(6, 3)).astype(np.float32)}
rows = lambda: {"x": np.stack([x, x[:, ::-1], 2 * x], -1), "y": np.stack([y, y, 2 - y], -1)}
tokens = lambda: {"tokens": np.array([[0, 1, 2], [3, 0, 0], [4, 5, 5], [1, 2, 3], [0, 0, 0], [2, 2, 0]]), "y": y}

"""Both sides of a comparison: a bench binary of backends/faer that answers line by line, and a module of torch beside it."""

import pathlib
import subprocess

import numpy as np
import torch
from torch.nn import functional as F

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Ours:
    """`cargo bench --bench BENCH -- peer ARGUMENTS`, as each bench describes it."""

    def __init__(self, bench, *arguments, package="mountainpass-faer"):
        command = ["cargo", "bench", "-q", "-p", package, "--bench", bench, "--", "peer"]
        command += [str(argument) for argument in arguments]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert self.process.stdout.readline().startswith("ready")

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        return self.process.stdout.readline().split()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Theirs:
    """A `model` of torch with its `parameters`, samples `x` and their classes `y`."""

    def step(self):
        loss = F.cross_entropy(self.model(self.x), self.y)
        return loss, torch.autograd.grad(loss, self.parameters)

    def flat(self):
        loss, grads = self.step()
        return torch.cat([g.reshape(-1) for g in (*grads, loss)]).double().detach().numpy()


def read(folder, name):
    """Numbers that our side has written."""
    return np.fromfile(pathlib.Path(folder) / name)

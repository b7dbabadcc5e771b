"""Gradients of 20 parameter vectors of 784-512-512-10 (relu, f32) on one minibatch of 256: mountainpass beside torch.

    python benches/peers/mlp.py [THREADS] [ROUNDS]

Starts our side (`cargo bench ... -- peer`), checks that all gradients agree, then times both in turn with equal
numbers of threads: torch.func.vmap(grad), and torch's ordinary autograd in a loop. Prints medians of wall time and of
processor time (all threads), and their ratios to ours. Needs `requirements.txt`.
"""

import pathlib
import sys
import tempfile
import time

import numpy as np
import torch
from torch.func import functional_call, grad, vmap

from ours import Ours

ROWS, BATCH, WIDTHS = 20, 256, (784, 512, 512, 10)
threads = int(sys.argv[1]) if len(sys.argv) > 1 else 1
rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 15
torch.set_num_threads(threads)

with tempfile.TemporaryDirectory() as folder:
    ours = Ours("mlp", folder, threads)
    read = lambda name: torch.from_numpy(np.fromfile(pathlib.Path(folder) / name, dtype=np.float32))
    x = read("x").reshape(BATCH, WIDTHS[0])
    theta = read("theta").reshape(ROWS, -1)
    y = torch.arange(BATCH) * 7 % 10

    layers = []
    for inputs, outputs in zip(WIDTHS, WIDTHS[1:]):
        layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    parameters, offset = {}, 0
    for name, parameter in model.named_parameters():
        block = theta[:, offset : offset + parameter.numel()]
        parameters[name] = block.reshape(ROWS, *parameter.shape).contiguous()
        offset += parameter.numel()
    assert offset == theta.shape[1], "the layouts differ"

    def loss(parameters, x, y):
        return torch.nn.functional.cross_entropy(functional_call(model, parameters, (x,)), y)

    batched = vmap(grad(loss), in_dims=(0, None, None))
    rows = [{name: p[i].clone().requires_grad_() for name, p in parameters.items()} for i in range(ROWS)]

    def run_vmap():
        return batched(parameters, x, y)

    def run_loop():
        return [torch.autograd.grad(loss(row, x, y), list(row.values())) for row in rows]

    assert ours.ask("grad") == ["done"]
    mine = read("grad").reshape(ROWS, -1)
    theirs = torch.cat([g.reshape(ROWS, -1) for g in run_vmap().values()], dim=1)
    # A hidden unit whose pre-activation is within rounding of 0 may be on for one side and off for the other, which
    # moves a row by about 1e-3; most rows have none. Both are therefore judged by torch's f64 gradients as well.
    exact = {name: p.double() for name, p in parameters.items()}
    exact = torch.cat([g.reshape(ROWS, -1) for g in batched(exact, x.double(), y).values()], dim=1)
    gaps = lambda a, b: ((a - b).norm(dim=1) / exact.norm(dim=1)).sort().values.tolist()
    for name, gap in {"ours - torch": gaps(mine, theirs), "ours - f64": gaps(mine, exact), "torch - f64": gaps(theirs, exact)}.items():
        print(f"{name:<13} relative difference of rows: median {gap[ROWS // 2]:.1e}, largest {gap[-1]:.1e}")
        assert gap[ROWS // 2] < 1e-5 and gap[-1] < 2e-2, "the two sides compute different things"

    peers = {"torch.func.vmap(grad)": run_vmap, "torch autograd, a loop": run_loop}
    times = {name: [] for name in ["mountainpass", *peers]}
    for _ in range(rounds):
        times["mountainpass"].append([float(t) for t in ours.ask("time")])
        for name, run in peers.items():
            wall, processor = time.perf_counter(), time.process_time()
            run()
            times[name].append([time.perf_counter() - wall, time.process_time() - processor])
    medians = {name: np.median(np.array(seen[1:]), axis=0) for name, seen in times.items()}
    print(f"{ROWS} rows of {'-'.join(map(str, WIDTHS))}, batch {BATCH}, {threads} thread(s), torch {torch.__version__}")
    for name, (wall, processor) in medians.items():
        ratio = medians[name] / medians["mountainpass"]
        print(f"{name:<24} wall {1e3 * wall:7.1f} ms ({ratio[0]:.2f}x)   processor {1e3 * processor:7.1f} ms ({ratio[1]:.2f}x)")
    ours.close()

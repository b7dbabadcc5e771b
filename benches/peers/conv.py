"""Convolutions of 3x3 and a ResNet9 of 16-32-64 channels (f32, batch 128), forward and backward: mountainpass beside torch.

    python benches/peers/conv.py [ROUNDS]

Starts our side (`cargo bench ... --bench graph -- peer`), checks that gradients agree, then times both in turn on one
thread; torch runs channels_last through oneDNN. Prints medians of processor time and ratios to ours. Needs
`requirements.txt`.
"""

import pathlib
import sys
import tempfile
import time

import numpy as np
import torch

from ours import Ours

BATCH, WIDTH = 128, 16
rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
torch.set_num_threads(1)
last = torch.channels_last


class Layer(torch.nn.Module):
    """Convolution, bias, relu."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = torch.nn.Conv2d(inputs, outputs, 3, padding=1)

    def forward(self, x):
        return torch.relu(self.conv(x))


class ResNet9(torch.nn.Module):
    """The network of `resnet9` in backends/faer/benches/graph.rs; parameters are made in its order."""

    def __init__(self, width):
        super().__init__()
        self.first = Layer(3, width)
        self.stages = torch.nn.ModuleList()
        for inputs, outputs, residual in [(1, 2, True), (2, 4, False), (4, 4, True)]:
            layers = [Layer(inputs * width, outputs * width)]
            layers += [Layer(outputs * width, outputs * width) for _ in range(2 * residual)]
            self.stages.append(torch.nn.ModuleList(layers))
        self.head = torch.nn.Linear(4 * width, 10)

    def forward(self, x):
        y = self.first(x)
        for first, *rest in self.stages:
            y = torch.nn.functional.max_pool2d(first(y), 2)
            if rest:
                y = y + rest[1](rest[0](y))
        return self.head(y.mean((2, 3)))


def median(ours, line, run):
    times = []
    for _ in range(rounds):
        mine = float(ours.ask(line)[1])
        start = time.process_time()
        run()
        times.append([mine, time.process_time() - start])
    return np.median(np.array(times[2:]), axis=0)


with tempfile.TemporaryDirectory() as folder:
    ours = Ours("graph", folder)
    read = lambda name: torch.from_numpy(np.fromfile(pathlib.Path(folder) / name, dtype=np.float32))
    x = read("x").reshape(BATCH, 32, 32, 3).permute(0, 3, 1, 2)  # Channels last already.
    theta, y = read("theta"), torch.arange(BATCH) * 7 % 10
    model = ResNet9(WIDTH)
    offset = 0
    ordered = []
    for module in model.modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            ordered += [module.weight, module.bias]
    with torch.no_grad():
        for p in ordered:
            block = theta[offset : offset + p.numel()]
            offset += p.numel()
            if p.dim() == 4:  # Ours are height, width, inputs, outputs.
                o, i, h, w = p.shape
                block = block.reshape(h, w, i, o).permute(3, 2, 0, 1)
            p.copy_(block.reshape(p.shape))
    assert offset == theta.numel(), "the layouts differ"
    model = model.to(memory_format=last)

    def step(model=model, x=x):
        loss = torch.nn.functional.cross_entropy(model(x), y)
        return loss, torch.autograd.grad(loss, [p for p in ordered])

    def flat(grads):
        blocks = [g.permute(2, 3, 1, 0) if g.dim() == 4 else g for g in grads]
        return torch.cat([b.reshape(-1) for b in blocks])

    assert ours.ask("net") == ["done"]
    mine = read("grad")
    loss, theirs = step()
    exact_model = ResNet9(WIDTH).double()
    exact_model.load_state_dict({k: v.double() for k, v in model.state_dict().items()})
    exact_ordered = []
    for module in exact_model.modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            exact_ordered += [module.weight, module.bias]
    exact_loss = torch.nn.functional.cross_entropy(exact_model(x.double()), y)
    exact = flat(torch.autograd.grad(exact_loss, exact_ordered))
    gap = lambda a: ((a - exact).norm() / exact.norm()).item()
    print(f"relative error of the gradient against torch f64: ours {gap(mine[:-1].double()):.1e}, torch f32 {gap(flat(theirs).double()):.1e}")
    assert gap(mine[:-1].double()) < 1e-3, "the two sides compute different things"

    for size, channels in [(32, 16), (16, 32), (8, 64)]:
        image = torch.randn(BATCH, channels, size, size).to(memory_format=last).requires_grad_()
        conv = torch.nn.Conv2d(channels, channels, 3, padding=1, bias=False).to(memory_format=last)
        dy = torch.randn(BATCH, channels, size, size).to(memory_format=last)

        def run():
            return torch.autograd.grad(conv(image), [image, conv.weight], dy)

        a, b = median(ours, f"time {size} {channels}", run)
        print(f"3x3, {channels} channels, {size}x{size}: ours {1e3 * a:.2f} ms, torch {1e3 * b:.2f} ms ({b / a:.2f}x)")
    a, b = median(ours, "time net", step)
    print(f"ResNet9 {WIDTH}-{2 * WIDTH}-{4 * WIDTH}: ours {1e3 * a:.1f} ms, torch {1e3 * b:.1f} ms ({b / a:.2f}x)")
    ours.close()

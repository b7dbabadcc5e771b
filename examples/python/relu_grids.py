"""Barcodes of ReLU networks of two and three hidden units over grids of all their parameters but the scale.

The set-up of the public notebook 2net.ipynb (daniil-777/BarCode on GitHub, to arXiv 1912.00043), read from its text and
written anew: 50 points of a trigonometric target; a network 1-h-1 whose first weights stand at 1.5, which takes away the
rescaling of a ReLU; a grid over the biases, the second weights and the last bias; the mean square error at each of its
vertices; components of the sublevel sets, neighbours along the axes. The notebook prints only bars whose component had
more than so many vertices when it died, so the bars here are looked up by their vertex.

    python relu_grids.py ../../target/release/mpass
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

# Sizes and ends of the grids: first biases, second weights, last bias.
NET_2 = [30, 36, 20, 10, 10], [2.2, -4, -2.0, 1.1, -1.5], [8.0, 3.0, -0.2, 2.0, -0.6]
NET_3 = [16, 15, 11, 10, 10, 10, 6], [2.0, -4, 2.0, -2.0, 1.1, -1.1, -1.5], [8.0, 3.0, 4.0, -0.2, 2.0, 0.9, -0.6]

# As printed there: vertex of the minimum, birth, vertex of the death, death.
PRINTED_2 = [
    (638914, 0.309139, None, None),
    (1447951, 0.328696, 541402, 0.779223),
    (801861, 0.342372, 871980, 0.394553),
    (568553, 0.312065, 496642, 0.368086),
    (639003, 0.310403, 568901, 0.367645),
    (566734, 0.311138, 568823, 0.365109),
    (566823, 0.309267, 568912, 0.364245),
    (568464, 0.313676, 496452, 0.365604),
    (659773, 0.430413, 515861, 0.445315),
]
PRINTED_3 = [
    (5037296, 0.228843, None, None),
    (4856894, 0.308173, 593419, 0.803093),
    (9971200, 0.273613, 3106956, 0.530245),
    (6016604, 0.247111, 4960728, 0.503787),
    (13931792, 0.328282, 4097490, 0.583871),
    (3885968, 0.308592, 4826893, 0.480215),
]


def target(x):
    # Their function takes the sine's coefficients for the cosine too; the draws between belong to the sequence.
    random = np.random.RandomState(6)
    sine, _, constant = random.normal(size=2), random.normal(size=2), random.normal()
    n = np.array([[1.0], [2.0]])
    return constant + np.sin((n * x).T) @ sine + np.cos((n * x).T) @ sine


def losses(sizes, lows, highs):
    """The mean square error at each vertex of a grid, in C order; sums of squares opened up, in f64."""
    x = np.linspace(-np.pi, np.pi, 50)
    y = target(x).astype(np.float32).astype(np.float64)
    x = x.astype(np.float32).astype(np.float64)
    axes = [np.linspace(*ends, size, dtype=np.float32).astype(np.float64) for *ends, size in zip(lows, highs, sizes)]
    hidden = len(sizes) // 2
    # Parts of the residual: unit j on axes j and hidden + j, and the last bias less the target.
    parts = []
    for j in range(hidden):
        unit = np.maximum(1.5 * x + axes[j][:, None], 0.0)
        parts.append(((j, hidden + j), unit[:, None, :] * axes[hidden + j][None, :, None]))
    parts.append(((2 * hidden,), axes[-1][:, None] - y))
    loss = np.zeros(sizes)
    for a, (at, left) in enumerate(parts):
        shape = [size if axis in at else 1 for axis, size in enumerate(sizes)]
        loss += (left**2).mean(-1).reshape(shape)
        for there, right in parts[:a]:
            axis = "abcdefg"
            names = ["".join(axis[i] for i in ends) for ends in (at, there)]
            both = "".join(sorted(names[0] + names[1]))
            product = np.einsum(f"{names[0]}x,{names[1]}x->{both}", left, right) / len(x)
            loss += 2 * product.reshape([size if axis[i] in both else 1 for i, size in enumerate(sizes)])
    return loss


def compare(mpass, name, grid, printed):
    loss = losses(*grid)
    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder) / "loss.npy", Path(folder) / "barcode.json"
        np.save(file, loss)
        begun = time.perf_counter()
        subprocess.run([mpass, "grid", file, "--max-degree", "0", "--json", out], check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - begun
        bars = json.loads(out.read_text())["bars"]
    print(f"{name}: {loss.size:,} vertices, {len(bars):,} bars, {seconds:.1f} s with reading and writing")
    by_cell = {bar["birth_cell"]: bar for bar in bars}
    print(f"{'minimum':>9}  {'printed there':<42}  here")
    for minimum, birth, vertex, death in printed:
        theirs = f"[{birth}, {death} at {vertex})" if death else f"[{birth}, inf)"
        bar = by_cell.get(minimum)
        ours = "no bar is born there"
        if bar:
            ours = f"[{bar['birth']:.6f}, {bar['death']:.6f} at {bar['death_cell']})" if bar["death"] else f"[{bar['birth']:.6f}, inf)"
        print(f"{minimum:>9}  {theirs:<42}  {ours}")
    longest = sorted((bar for bar in bars if bar["death"]), key=lambda bar: bar["birth"] - bar["death"])[:8]
    print("longest here:", ", ".join(f"[{bar['birth']:.4f}, {bar['death']:.4f})" for bar in longest), "\n")


if __name__ == "__main__":
    compare(sys.argv[1], "1-2-1", NET_2, PRINTED_2)
    compare(sys.argv[1], "1-3-1", NET_3, PRINTED_3)

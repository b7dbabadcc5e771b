"""Distances between barcodes: mountainpass beside GUDHI, hera (as GUDHI ships it) and POT (through GUDHI).

    python benches/peers/distance.py [ROUNDS [crowds]]

Barcodes: two samples of noise (short bars prevail); one and its slightly moved copy; two of whole numbers; two samples
of a square far from the diagonal, where every bar needs a partner (the hardest); degrees 0 and 1 of a smooth random
image and of the same with noise. Then, and with `crowds` alone, barcodes where cheap bars crowd and few dear ones
decide: born at 0 with a few long ones, as degree 0 of a Rips complex; two tight clusters; 25 lengths; every scale from
1 to 1e-5. Every side gets the same arrays and runs on one thread. Values are compared first (to 1e-9, or to the error
asked for), then both sides are timed in turn; printed are medians and their ratios. Needs
`distance-requirements.txt`.
"""

import math
import os
import pathlib
import subprocess
import sys
import tempfile
import time

os.environ["OMP_NUM_THREADS"] = "1"  # POT's network simplex would take all cores.

import gudhi
import gudhi.hera
import gudhi.wasserstein
import numpy as np

rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
root = pathlib.Path(__file__).resolve().parents[2]


class Ours:
    """Our bench binary, asked line by line."""

    def __init__(self):
        command = ["cargo", "bench", "-q", "--bench", "distance", "--", "peer"]
        self.process = subprocess.Popen(
            command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        return self.process.stdout.readline().split()


def image(n, rng):
    """A smooth random n x n image: white noise under a Gaussian of width 2, by Fourier transform."""
    k = np.fft.fftfreq(n)
    low = np.exp(-0.5 * (2 * math.pi * 2) ** 2 * (k[:, None] ** 2 + k[None, :] ** 2))
    smooth = np.fft.ifft2(np.fft.fft2(rng.standard_normal((n, n))) * low).real
    return smooth / smooth.std()


def bars(array, degree):
    found = gudhi.CubicalComplex(vertices=array)
    found.compute_persistence()
    found = found.persistence_intervals_in_dimension(degree)
    return found[np.isfinite(found[:, 1]) & (found[:, 1] > found[:, 0])]


def cases(n):
    rng = np.random.default_rng(n)

    def noise():
        births = rng.random(n)
        return np.c_[births, births + rng.exponential(0.05, n)]

    one, other = noise(), noise()
    moved = np.sort(one + 1e-3 * rng.standard_normal(one.shape), axis=1)
    whole = [np.round(64 * a) for a in (one, other)]
    square = [rng.random((n, 2)) + [0, 10] for _ in range(2)]
    yield "noise", one, other
    yield "moved", one, moved
    yield "whole numbers", *[a[a[:, 1] > a[:, 0]] for a in whole]
    yield "square", *square
    side = int(math.sqrt(n / 0.018))  # About as many minima, and nearly as many bars of degree 1.
    smooth = image(side, rng)
    noisy = smooth + 0.05 * rng.standard_normal(smooth.shape)
    yield "image, degree 0", bars(smooth, 0), bars(noisy, 0)
    yield "image, degree 1", bars(smooth, 1), bars(noisy, 1)


def crowds(n):
    def longs(seed, long):
        lengths = np.r_[np.random.default_rng(seed).exponential(size=n) * 1e-3, np.ones(long)]
        return np.c_[0 * lengths, lengths]

    def clusters(seed):
        rng = np.random.default_rng(seed)
        births = 100 * rng.integers(0, 2, n) + 1e-3 * rng.random(n)
        return np.c_[births, births + 50 + 1e-3 * rng.random(n)]

    def lengths(seed):
        rng = np.random.default_rng(seed)
        lengths = rng.random(25)[rng.integers(0, 25, n)]
        return np.c_[0 * lengths, lengths]

    def scales(seed):
        rng = np.random.default_rng(seed)
        scale = 10.0 ** -rng.integers(0, 6, n)
        births = rng.random(n) * scale
        return np.c_[births, births + scale * (0.5 + rng.random(n))]

    yield "born at 0", longs(1, 20), longs(2, 21)
    yield "two clusters", clusters(1), clusters(2)
    yield "25 lengths", lengths(1), lengths(2)
    yield "all scales", scales(1), scales(2)


def hera(order, delta):
    return lambda a, b: gudhi.hera.wasserstein_distance(a, b, order=order, internal_p=math.inf, delta=delta)


def pot(order):
    return lambda a, b: gudhi.wasserstein.wasserstein_distance(a, b, order=order, internal_p=math.inf)


# Who makes them; bars; what we are asked; the peers: name, call, the relative error each may have.
plan = [
    (cases, 3000, "bottleneck", [("GUDHI", gudhi.bottleneck_distance, 1e-9),
                                 ("hera, exact", lambda a, b: gudhi.hera.bottleneck_distance(a, b, 0.0), 1e-9)]),
    (cases, 50000, "bottleneck", [("GUDHI", gudhi.bottleneck_distance, 1e-9)]),
    (cases, 3000, "wasserstein 1 0", [("POT, exact", pot(1), 1e-9), ("hera to 1 %", hera(1, 0.01), 0.01)]),
    (cases, 3000, "wasserstein 2 0", [("POT, exact", pot(2), 1e-9), ("hera to 1 %", hera(2, 0.01), 0.01)]),
    (cases, 10000, "wasserstein 1 0", [("hera to 1 %", hera(1, 0.01), 0.01)]),
    (cases, 20000, "wasserstein 1 0.01", [("hera to 1 %", hera(1, 0.01), 0.01)]),
    *[(crowds, 2000, f"wasserstein {q} 0", [("POT, exact", pot(q), 1e-8), ("hera to 1 %", hera(q, 0.01), 0.01)])
      for q in (1, 2, 3)],
    (crowds, 4000, "wasserstein 2 0", [("hera to 1 %", hera(2, 0.01), 0.01)]),
]
if "crowds" in sys.argv:
    plan = [entry for entry in plan if entry[0] is crowds]

ours = Ours()
print(f"gudhi {gudhi.__version__}, one thread each, medians of {rounds} rounds")
with tempfile.TemporaryDirectory() as folder:
    files = [pathlib.Path(folder) / name for name in "ab"]
    for made, n, question, peers in plan:
        for name, a, b in made(n):
            for file, array in zip(files, (a, b)):
                np.ascontiguousarray(array, dtype="<f8").tofile(file)
            ours.ask(f"read {files[0]} {files[1]}")
            asked = question.split()
            slack = float(asked[2]) if len(asked) > 1 else 0
            times = {peer: [] for peer in ["ours", *[peer for peer, _, _ in peers]]}
            for _ in range(rounds):
                value, lower, seconds = map(float, ours.ask(question))
                times["ours"].append(seconds)
                for peer, call, error in peers:
                    start = time.perf_counter()
                    theirs = call(a, b)
                    times[peer].append(time.perf_counter() - start)
                    # Ours is within `slack` above the distance, theirs within `error` of it.
                    close = abs(theirs - value) <= (1e-9 + slack + (error if error > 1e-9 else 0)) * value
                    assert close, f"{name}, {question}: {peer} says {theirs}, we say {value}"
            medians = {peer: np.median(seen) for peer, seen in times.items()}
            row = ", ".join(
                f"{peer} {t:.3f} s ({t / medians['ours']:.1f}x)" for peer, t in medians.items() if peer != "ours"
            )
            print(f"{question:<19} {name:<16} {len(a):>6} {len(b):>6}  ours {medians['ours']:.3f} s, {row}", flush=True)
ours.process.stdin.close()
ours.process.wait()

"""Barcodes of grids beside CubicalRipser and GUDHI: the same bars first, then seconds in turn.

    cargo bench --bench grid --no-run        # prints the path of the benchmark
    python benches/peers/grid.py BENCHMARK [CASE ...] [--gudhi] [--rounds N]

Requirements: benches/peers/grid-requirements.txt, in an environment of its own. Everything runs on one thread; seconds are
those of the computation, reading left out, as processor time. A case is degree:shape:kind, for example 0:1024x1024:noise;
the kinds are smooth, noise and tied (integers from 0 to 15).
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import time

import cripser
import numpy as np

CASES = [f"{degree}:{side}x{side}:{kind}" for side in (1024, 4096) for degree in (0, 1) for kind in ("smooth", "noise", "tied")]
CASES += [f"2:{side}x{side}x{side}:{kind}" for side in (128, 256) for kind in ("smooth", "noise", "tied")]


def values(shape, kind):
    rng = np.random.default_rng(1)
    if kind == "noise":
        return rng.random(shape)
    if kind == "tied":
        return rng.integers(0, 16, shape).astype(np.int32)
    axes = np.meshgrid(*[np.linspace(0, 1, n, endpoint=False) for n in shape], indexing="ij", sparse=True)
    total = np.zeros(shape)
    for _ in range(12):
        term = rng.normal()
        for axis in axes:
            term = term * np.sin(2 * np.pi * rng.integers(1, 7) * axis + rng.uniform(0, 2 * np.pi))
        total = total + term
    return total


def cripser_seconds(array, degree):
    array = array.astype(np.float64)
    begun = time.process_time()
    bars = cripser.computePH(array, maxdim=degree)
    seconds = time.process_time() - begun
    bars = bars[bars[:, 1] != bars[:, 2]]
    return seconds, [int((bars[:, 0] == k).sum()) for k in range(degree + 1)]


def gudhi_seconds(array, degree):
    import gudhi

    begun = time.process_time()
    bars = gudhi.CubicalComplex(vertices=array.astype(np.float64)).persistence(min_persistence=0)
    seconds = time.process_time() - begun
    return seconds, [sum(1 for d, (b, e) in bars if d == k and b != e) for k in range(degree + 1)]


def our_seconds(benchmark, file, degree):
    text = subprocess.run([benchmark, file, str(degree), "1", "1"], check=True, capture_output=True, text=True).stdout
    seconds, bars = text.removeprefix("seconds ").split(" bars ")
    return float(seconds), [int(n) for n in bars.strip()[1:-1].split(",")][: degree + 1]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("benchmark")
    parser.add_argument("cases", nargs="*", default=CASES)
    parser.add_argument("--gudhi", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    for case in arguments.cases:
        degree, shape, kind = case.split(":")
        degree, shape = int(degree), tuple(int(n) for n in shape.split("x"))
        array = values(shape, kind)
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "a.npy")
            np.save(file, array)
            sides = {"ours": lambda: our_seconds(arguments.benchmark, file, degree), "cripser": lambda: cripser_seconds(array, degree)}
            if arguments.gudhi:
                sides["gudhi"] = lambda: gudhi_seconds(array, degree)
            taken, bars = {name: [] for name in sides}, {}
            for _ in range(arguments.rounds):
                for name, side in sides.items():
                    seconds, bars[name] = side()
                    taken[name].append(seconds)
        assert all(found == bars["ours"] for found in bars.values()), bars
        middle = {name: statistics.median(seconds) for name, seconds in taken.items()}
        ratios = "  ".join(f"{name} {middle[name]:.3f} s ({middle[name] / middle['ours']:.2f}x)" for name in sides if name != "ours")
        print(f"{case:<24} bars {bars['ours']}  ours {middle['ours']:.3f} s  {ratios}", flush=True)


if __name__ == "__main__":
    main()

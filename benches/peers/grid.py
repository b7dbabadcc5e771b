"""Barcodes of grids beside CubicalRipser and GUDHI: the same bars first, then seconds in turn.

    cargo bench --bench grid --no-run        # prints the path of the benchmark
    python benches/peers/grid.py BENCHMARK [CASE ...] [--gudhi] [--rounds N]

Requirements: benches/peers/grid-requirements.txt, in an environment of its own. Everything runs on one thread; seconds are
those of the computation, reading left out, as processor time. A case is degree:shape:kind, for example 0:1024x1024:noise;
the kinds are smooth, noise and tied (integers from 0 to 15). Peak memory is that of the whole process, Python with numpy
on the peers' side; ours holds the array twice, since the benchmark may repeat. 0:512x512x512:smooth32 is f32, for --alone.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

CASES = [f"{degree}:{side}x{side}:{kind}" for side in (1024, 4096) for degree in (0, 1) for kind in ("smooth", "noise", "tied")]
CASES += [f"2:{side}x{side}x{side}:{kind}" for side in (128, 256) for kind in ("smooth", "noise", "tied")]


def values(shape, kind):
    rng = np.random.default_rng(1)
    if kind == "noise":
        return rng.random(shape)
    if kind == "tied":
        return rng.integers(0, 16, shape).astype(np.int32)
    real = np.float32 if kind == "smooth32" else np.float64
    lines = [np.linspace(0, 1, n, endpoint=False, dtype=real) for n in shape]
    axes = np.meshgrid(*lines, indexing="ij", sparse=True)
    total = np.zeros(shape, real)
    for _ in range(12):
        term = real(rng.normal())
        for axis in axes:
            term = term * np.sin(real(2 * np.pi * rng.integers(1, 7)) * axis + real(rng.uniform(0, 2 * np.pi)))
        total = total + term
    return total


def cripser_bars(array, degree):
    import cripser

    begun = time.process_time()
    bars = cripser.computePH(array.astype(np.float64), maxdim=degree)
    seconds = time.process_time() - begun
    bars = bars[bars[:, 1] != bars[:, 2]]
    return seconds, [int((bars[:, 0] == k).sum()) for k in range(degree + 1)]


def gudhi_bars(array, degree):
    import gudhi

    begun = time.process_time()
    bars = gudhi.CubicalComplex(vertices=array.astype(np.float64)).persistence(min_persistence=0)
    seconds = time.process_time() - begun
    return seconds, [sum(1 for d, (b, e) in bars if d == k and b != e) for k in range(degree + 1)]


PEERS = {"cripser": cripser_bars, "gudhi": gudhi_bars}


def measured(command, degree):
    """Seconds, bars and peak memory in MB of a process that prints `seconds S bars [...]`."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, command
    seconds, bars = text.removeprefix("seconds ").split(" bars ")
    return float(seconds), [int(n) for n in bars.strip()[1:-1].split(",")][: degree + 1], usage.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("benchmark")
    parser.add_argument("cases", nargs="*", default=CASES)
    parser.add_argument("--gudhi", action="store_true")
    parser.add_argument("--alone", action="store_true", help="no peers")
    parser.add_argument("--rounds", type=int, default=3)
    if sys.argv[1] in PEERS:
        peer, file, degree = sys.argv[1:]
        return print("seconds {} bars {}".format(*PEERS[peer](np.load(file), int(degree))))
    arguments = parser.parse_args()
    names = [] if arguments.alone else ["cripser", "gudhi"] if arguments.gudhi else ["cripser"]
    for case in arguments.cases:
        degree, shape, kind = case.split(":")
        degree, shape = int(degree), tuple(int(n) for n in shape.split("x"))
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "a.npy")
            np.save(file, values(shape, kind))
            sides = {"ours": [arguments.benchmark, file, str(degree), "1", "1"]}
            sides |= {name: [sys.executable, __file__, name, file, str(degree)] for name in names}
            taken, bars, memory = {name: [] for name in sides}, {}, {}
            for _ in range(arguments.rounds):
                for name, command in sides.items():
                    seconds, bars[name], memory[name] = measured(command, degree)
                    taken[name].append(seconds)
        assert all(found == bars["ours"] for found in bars.values()), bars
        middle = {name: statistics.median(seconds) for name, seconds in taken.items()}
        side = lambda name: f"{name} {middle[name]:.3f} s {memory[name]:.0f} MB ({middle[name] / middle['ours']:.2f}x)"
        print(f"{case:<24} bars {bars['ours']}  {'  '.join(map(side, sides))}", flush=True)


if __name__ == "__main__":
    main()

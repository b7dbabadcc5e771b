"""Degree-0 barcodes of functions on k-nearest-neighbour graphs beside GUDHI's simplex tree and ToMATo's core.

    cargo bench --bench graph --no-run        # prints the path of the benchmark
    python benches/peers/graph.py BENCHMARK [--points N ...] [--threads T] [--rounds R] [--alone]

Requirements: benches/peers/graph-requirements.txt, in an environment of its own. Points uniform in the unit cube of 6
dimensions, k = 20, a smooth function with a little noise, symmetrised graph; bars of length zero dropped. The bars of all
sides are compared first, then seconds are taken in turn: of the computation from arrays in memory, reading left out; of
processor time with one thread, by the clock with more, where GUDHI and ToMATo still use one. ToMATo's core gets both graphs: the symmetrised one as a list of arrays, whose bars
are the right ones, and the directed array (n, k) it is fastest with, whose bars differ. `--alone` times our side only, also with
the points in random order.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import time

import numpy as np
from scipy.spatial import cKDTree

K, DIMENSIONS = 20, 6


def make(n):
    """Values and directed neighbours of n points in the order of a tree's leaves."""
    rng = np.random.default_rng(0)
    points = rng.random((n, DIMENSIONS))
    points = points[cKDTree(points, leafsize=32).indices]
    values = np.cos(4 * np.pi * points).sum(1) + 0.1 * rng.standard_normal(n)
    neighbours = cKDTree(points).query(points, K + 1, workers=-1)[1][:, 1:]
    return values, neighbours.astype(np.int32)


def edge_list(neighbours):
    n = len(neighbours)
    return np.stack([np.repeat(np.arange(n, dtype=np.int32), K), neighbours.ravel()], 1)


def symmetrised(edges, n):
    """The neighbours of each vertex in either direction, once each."""
    both = np.unique(np.concatenate([edges, edges[:, ::-1]]), axis=0)
    return np.split(both[:, 1].astype(np.int32), np.searchsorted(both[:, 0], np.arange(1, n)))


def ours(benchmark, folder, threads):
    command = [benchmark, os.path.join(folder, "v.npy"), os.path.join(folder, "e.npy"), str(threads), "3"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds, bars = text.removeprefix("seconds ").split(" bars ")
    return statistics.median(map(float, seconds.split())), int(bars)


def simplex_tree(values, edges, clock):
    import gudhi

    vertices = np.arange(len(values), dtype=np.int32).reshape(1, -1).copy()  # 3.13.0 misreads an axis of stride 0.
    begun = clock()
    tree = gudhi.SimplexTree()
    tree.insert_batch(vertices, values)
    tree.insert_batch(edges.T, values[edges].max(1))
    tree.compute_persistence(min_persistence=0)
    bars = tree.persistence_intervals_in_dimension(0)
    return clock() - begun, sorted(map(tuple, bars[bars[:, 0] != bars[:, 1]]))


def tomato(values, neighbours, clock):
    from gudhi.clustering._tomato_ext import _hierarchy

    begun = clock()
    _, _, finite, heights = _hierarchy(neighbours, -values)
    seconds = clock() - begun
    bars = [(-birth, -death) for birth, death in finite if birth != death] + [(-top, np.inf) for top in heights]
    return seconds, sorted(bars)


def our_bars(folder):
    """Our bars, by the command."""
    import json

    root = os.path.join(os.path.dirname(__file__), "..", "..")
    command = ["cargo", "run", "-q", "--release", "--", "graph", "--json", "-"]
    command += ["--values", os.path.join(folder, "v.npy"), "--edges", os.path.join(folder, "e.npy")]
    text = subprocess.run(command, check=True, capture_output=True, text=True, cwd=root).stdout
    bars = json.loads(text)["bars"]
    return sorted((bar["birth"], np.inf if bar["death"] is None else bar["death"]) for bar in bars)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("benchmark")
    parser.add_argument("--points", type=int, nargs="+", default=[100_000])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--alone", action="store_true")
    arguments = parser.parse_args()
    clock = time.process_time if arguments.threads == 1 else time.perf_counter
    for n in arguments.points:
        values, neighbours = make(n)
        edges = edge_list(neighbours)
        with tempfile.TemporaryDirectory() as folder:
            save = lambda values, edges: [np.save(os.path.join(folder, f"{x}.npy"), a) for x, a in (("v", values), ("e", edges))]
            save(values, edges)
            if arguments.alone:
                for order in ("locality", "random"):
                    if order == "random":  # Vertex v becomes name[v].
                        name = np.random.default_rng(1).permutation(n).astype(np.int32)
                        old = np.argsort(name)
                        save(values[old], edge_list(name[neighbours[old]]))
                    taken = [ours(arguments.benchmark, folder, arguments.threads) for _ in range(arguments.rounds)]
                    seconds = statistics.median(seconds for seconds, _ in taken)
                    print(f"n = {n}, {order} order of points, {arguments.threads} threads: {seconds:.3f} s, {taken[0][1]} bars", flush=True)
                continue
            both = symmetrised(edges, n)
            sides = {
                "ours": lambda: ours(arguments.benchmark, folder, arguments.threads),
                "simplex tree": lambda: simplex_tree(values, edges, clock),
                "ToMATo, symmetrised": lambda: tomato(values, both, clock),
                "ToMATo, directed": lambda: tomato(values, neighbours, clock),
            }
            bars, taken = our_bars(folder), {name: [] for name in sides}
            for round in range(arguments.rounds):
                for name, side in sides.items():
                    seconds, found = side()
                    taken[name].append(seconds)
                    if round == 0 and name in ("simplex tree", "ToMATo, symmetrised"):
                        assert found == bars, f"{name} has {len(found)} other bars, we have {len(bars)}"
                    if round == 0 and name == "ToMATo, directed":
                        print(f"n = {n}: {len(bars)} bars; ToMATo on the directed graph has {len(found)}")
            middle = {name: statistics.median(seconds) for name, seconds in taken.items()}
            for name, seconds in middle.items():
                print(f"  {name:<22} {seconds:8.4f} s  {seconds / middle['ours']:7.1f}x", flush=True)


if __name__ == "__main__":
    main()

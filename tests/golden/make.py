"""Writes small arrays and the bars that GUDHI finds in them: tests/golden.rs expects the same of the engine.

    python tests/golden/make.py

Requirements: gudhi==3.13.0 and numpy==2.4.6 (benches/peers/grid-requirements.txt), in an environment of its own. The random
numbers are PCG64 with a fixed seed, so the files are the same every time. NAME.npy is the array; NAME.txt has a line
`degree birth death` for each bar of positive length, ascending, with the array's values as samples at the vertices (V) or at
the cells of full dimension (T), as its first line says along with the periodic axes.
"""

import pathlib

import gudhi
import numpy as np

HERE = pathlib.Path(__file__).parent


def smooth(shape):
    axes = np.meshgrid(*[np.linspace(0, 1, n) for n in shape], indexing="ij")
    return sum(np.sin(5 * x + k) * np.cos(7 * axes[k - 1] - k) for k, x in enumerate(axes)).astype(np.float32)


def noise(shape):
    return np.random.default_rng(4).random(shape)


def tied(shape):
    return np.random.default_rng(5).integers(0, 6, shape).astype(np.int8)


CASES = {
    "line": (noise((40,)), "V", []),
    "ring": (tied((30,)), "V", [0]),
    "hills": (smooth((16, 16)), "V", []),
    "plane": (noise((12, 9)), "V", []),
    "pixels": (noise((9, 8)), "T", []),
    "steps": (tied((10, 11)), "V", []),
    "cylinder": (noise((8, 7)), "V", [1]),
    "torus": (tied((8, 8)), "V", [0, 1]),
    "space": (smooth((8, 7, 6)), "V", []),
    "foam": (noise((5, 5, 5)), "V", []),
    "voxels": (tied((5, 4, 5)), "T", []),
    "fourfold": (tied((3, 4, 3, 3)), "V", []),
    "fournoise": (noise((3, 3, 3, 4)), "V", []),
}


def bars(array, construction, periodic):
    samples = {"V": "vertices", "T": "top_dimensional_cells"}[construction]
    values = {samples: array.astype(np.float64)}
    if periodic:
        flags = [axis in periodic for axis in range(array.ndim)]
        complex = gudhi.PeriodicCubicalComplex(**values, periodic_dimensions=flags)
    else:
        complex = gudhi.CubicalComplex(**values)
    # The field has two elements, as the engine's.
    found = complex.persistence(homology_coeff_field=2, min_persistence=0)
    return sorted((degree, float(birth), float(death)) for degree, (birth, death) in found if birth != death)


def main():
    for name, (array, construction, periodic) in CASES.items():
        np.save(HERE / f"{name}.npy", array)
        head = f"{construction} {','.join(map(str, periodic))}".strip()
        lines = [head] + [f"{degree} {birth!r} {death!r}" for degree, birth, death in bars(array, construction, periodic)]
        (HERE / f"{name}.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

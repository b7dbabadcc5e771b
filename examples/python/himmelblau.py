"""Himmelblau's function, in numpy: four minima, three passes."""

import mpass
import numpy as np


def himmelblau(x):
    a, b = x[0] ** 2 + x[1] - 11, x[0] + x[1] ** 2 - 7
    return a * a + b * b, np.array([4 * x[0] * a + 2 * b, 2 * a + 4 * x[1] * b])


if __name__ == "__main__":
    print(mpass.barcode(himmelblau, 2, box=(-6, 6), starts=20))

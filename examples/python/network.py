"""A small network in numpy, fitted to data: y = sum_h v_h tanh(w_h x)."""

import mpass
import numpy as np

x = np.linspace(-2, 2, 41)
y = 0.8 * np.tanh(1.5 * x)


def network(hidden):
    """The mean squared error over the data and its gradient; theta is w, then v."""

    def f(theta):
        w, v = theta.reshape(2, hidden)
        units = np.tanh(np.outer(x, w))
        error = units @ v - y
        to_v = 2 * error @ units / len(x)
        to_w = 2 * (error * x) @ (1 - units**2) * v / len(x)
        return np.mean(error**2), np.concatenate([to_w, to_v])

    return f


if __name__ == "__main__":
    print(mpass.barcode(network(1), 2))  # The unit and its negative; between them the output must vanish somewhere.
    print("mean of y^2:", np.mean(y**2))

"""A torch module (needs torch): the two-unit network of XOR, in double precision, whatever device it lives on."""

import mpass
import torch

torch.manual_seed(0)
x = torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]], dtype=torch.float64)
y = torch.tensor([[-1.0], [1.0], [1.0], [-1.0]], dtype=torch.float64)
module = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Tanh(), torch.nn.Linear(2, 1)).double()


def objective(module):
    penalty = sum((p**2).sum() for p in module.parameters())
    return torch.nn.functional.mse_loss(module(x), y) + 1e-2 * penalty


if __name__ == "__main__":
    f, n = mpass.of_module(module, objective)
    print(mpass.barcode(f, n, config="[budget]\nseconds = 60"))

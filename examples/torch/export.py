"""A torch module and its checkpoints for mountainpass: model.onnx, data.npz, a .safetensors file for each state dict.

    python export.py --example --out here
    python export.py --module net.py:make --checkpoints runs/*.pt --data net.py:data --out here
    mpass run here/run.toml

`make()` returns the module. The data are a .npz file or a function that returns a dict of arrays: one for each argument
of forward(), by its name; `y`, classes (whole numbers) or targets; and, if there is a test set, the same names with
`_test`. Checkpoints are files of torch.save(module.state_dict()), or of a dict that has it under "state_dict" or "model".

The exporter renames and transposes weights as it likes. To know how, the module is exported with random numbers for
weights, no two alike, and found again in the file by them; what was found is written into the file's metadata
(mountainpass.parameters), and the weights of the first checkpoint in their place. In the end the loss and its gradient
by `mpass eval` are compared with torch's, in double precision.
"""

import argparse
import copy
import importlib.util
import inspect
import itertools
import json
import logging
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from safetensors.torch import save_file
from torch.nn import functional as F

HERE = Path(__file__).resolve().parent
BATCHNORM = torch.nn.modules.batchnorm._BatchNorm
OBJECTIVES = ["cross_entropy", "mse", "binary_cross_entropy"]
# Our gradients are exact to rounding; exporters write constants (an epsilon, a square root) in single precision.
TOLERANCE = 1e-5
# torch's exporter warns of packages that nobody asked for.
logging.getLogger("torch.onnx").setLevel(logging.ERROR)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--module", metavar="FILE.py:FUNCTION", help="makes the module")
    parser.add_argument("--checkpoints", nargs="+", default=[], metavar="FILE.pt", help="state dicts [the module's own]")
    parser.add_argument("--data", metavar="FILE.npz|FILE.py:FUNCTION", help="inputs by name, and y")
    parser.add_argument("--objective", choices=OBJECTIVES, default=OBJECTIVES[0])
    parser.add_argument("--batchnorm", choices=["frozen", "recomputed"], help="[recomputed if checkpoints differ]")
    parser.add_argument("--example", action="store_true", help="a small network of this script's instead")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--mpass", default=None, metavar="FILE", help="the command [on PATH, or the newest in target/]")
    arguments = parser.parse_args()
    if arguments.example:
        module, states, data = example()
    else:
        if not (arguments.module and arguments.data):
            parser.error("--module and --data are needed (or --example)")
        module = function(arguments.module)()
        data = function(arguments.data)() if ".py:" in arguments.data else dict(np.load(arguments.data))
        states = {Path(file).stem: state_dict(file) for file in arguments.checkpoints}
        states = states or {"start": module.state_dict()}
        if len(states) < len(arguments.checkpoints):
            sys.exit("two checkpoints have the same file name: rename one")
    data = {name: np.asarray(value) for name, value in data.items()}
    inputs = [name for name in inspect.signature(module.forward).parameters if name in data]
    if not inputs or "y" not in data:
        sys.exit(f"data has {sorted(data)}: wants y and the arguments of forward()")
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)

    states = {name: complete(module, state, name) for name, state in states.items()}
    file, aliases = exported(module, {name: data[name] for name in inputs})
    first = next(iter(states.values()))
    for tensor in file.graph.initializer:
        if alias := aliases.get(tensor.name):
            value = first[alias["name"]].numpy().transpose(alias["transpose"] or range(len(tensor.dims)))
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(value), tensor.name))
    onnx.helper.set_model_props(file, {"mountainpass.parameters": json.dumps(aliases)})
    onnx.checker.check_model(file)
    onnx.save(file, out / "model.onnx")
    np.savez(out / "data.npz", **data)
    parameters = dict(module.named_parameters(remove_duplicate=False))
    used = {alias["name"] for alias in aliases.values()}
    kept = {name for name in used if name in parameters} | set(statistics(module))
    for name in sorted(used - kept):
        if any(not torch.equal(state[name], first[name]) for state in states.values()):
            sys.exit(f"the buffer {name}, no parameter, differs between the checkpoints: one ONNX file holds one")
    for name, state in states.items():
        tensors = {key: value.contiguous().clone() for key, value in state.items() if key in kept}
        save_file(tensors, out / f"{name}.safetensors")
    shared = {id(parameters[name]) for name in kept if name in parameters}
    left = [name for name, parameter in parameters.items() if id(parameter) not in shared]
    if left:
        print("not in the file (no output depends on them, or the exporter computed with them):", ", ".join(left))

    differ = any(not torch.equal(state[key], first[key]) for state in states.values() for key in statistics(module))
    batchnorm = arguments.batchnorm or ("recomputed" if differ else "frozen")
    if batchnorm == "frozen" and differ:
        sys.exit("--batchnorm frozen: the checkpoints' running statistics differ; use recomputed")
    lines = ["[loss]", 'backend = "faer"', 'model = "model.onnx"', 'data = "data.npz"']
    lines += [f'objective = "{arguments.objective}"'] + [f'batchnorm = "{batchnorm}"'] * bool(statistics(module))
    lines += ["", "[minima]", f"theta = {json.dumps([f'{name}.safetensors' for name in states])}"]
    (out / "run.toml").write_text("\n".join(lines) + "\n")
    arrays = {}
    for name, state in states.items():
        loss, gradients = reference(module, state, inputs, data, arguments.objective, batchnorm)
        arrays[f"loss/{name}"] = loss
        if statistics(module):
            # As the module was evaluated where it was trained.
            arrays[f"own/{name}"], _ = reference(module, state, inputs, data, arguments.objective, "frozen")
        for initializer, alias in aliases.items():
            if (gradient := gradients.get(alias["name"])) is not None:
                order = alias["transpose"] or range(gradient.ndim)
                arrays[f"gradient/{name}/{initializer}"] = gradient.transpose(order)
    np.savez(out / "torch.npz", **arrays)
    compare(arguments.mpass, out, arrays, list(states))


def function(path):
    """The function FILE.py:NAME."""
    file, _, name = path.rpartition(":")
    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(Path(file).resolve().parent))
    spec.loader.exec_module(module)
    return getattr(module, name)


def state_dict(file):
    """Only tensors are read: a pickle may hold a program."""
    state = torch.load(file, map_location="cpu", weights_only=True)
    for key in ("state_dict", "model", "model_state_dict"):
        state = state.get(key, state) if isinstance(state.get(key), dict) else state
    return state


def complete(module, state, name):
    """The state dict as the module has it after loading; keys that do not fit are refused, prefixes of wrappers go."""
    # What DataParallel and torch.compile put in front.
    state = {key.removeprefix("module.").removeprefix("_orig_mod."): value for key, value in state.items()}
    other = copy.deepcopy(module)
    try:
        other.load_state_dict(state)
    except RuntimeError as error:
        sys.exit(f"checkpoint {name}: " + " ".join(str(error).split()))
    return {key: value.detach().clone() for key, value in other.state_dict().items()}


def statistics(module):
    """The names of running statistics."""
    names = [name for name, part in module.named_modules() if isinstance(part, BATCHNORM) and part.track_running_stats]
    return [f"{name}.{kind}".lstrip(".") for name in names for kind in ("running_mean", "running_var")]


def exported(module, inputs):
    """The module as ONNX with a free batch size, and for each initializer its name and order of axes in a state dict."""
    probe = copy.deepcopy(module).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        # Other buffers are masks and tables, which must stay as they are.
        state = probe.state_dict(keep_vars=True)
        for tensor in itertools.chain(probe.parameters(), (state[name] for name in statistics(probe))):
            tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator).to(tensor.dtype))
    # Two samples, so that no axis of size 1 is taken for one that stays so.
    samples = tuple(torch.as_tensor(value[:2]) for value in inputs.values())
    samples = tuple(cast(sample, probe) for sample in samples)
    shapes = {name: {0: torch.export.Dim("n", min=1)} for name in inputs}
    with warnings.catch_warnings(action="ignore"):
        program = torch.onnx.export(
            probe, samples, dynamo=True, optimize=False, input_names=list(inputs), dynamic_shapes=shapes, verbose=False
        )
    file = slim(program.model_proto)
    state = {name: value.numpy() for name, value in probe.state_dict().items() if value.is_floating_point()}
    aliases = {}
    for tensor in file.graph.initializer:
        value = numpy_helper.to_array(tensor)
        found = [
            (name, order)
            for name, other in state.items()
            if other.ndim == value.ndim and sorted(other.shape) == sorted(value.shape)
            for order in itertools.permutations(range(other.ndim))
            if other.transpose(order).shape == value.shape and np.array_equal(other.transpose(order), value)
        ]
        # The exporter's own name first, then the plainest order.
        found.sort(key=lambda item: (item[0] != tensor.name, item[1]))
        if found:
            name, order = found[0]
            aliases[tensor.name] = {"name": name, "transpose": None if list(order) == sorted(order) else list(order)}
    return file, aliases


def cast(value, module):
    """Real inputs in the module's precision."""
    parameter = next(module.parameters())
    return value.to(parameter.dtype) if value.is_floating_point() or value.dtype == torch.uint8 else value.long()


def slim(file):
    """Without stack traces and paths; what torch says of buffers stays."""
    del file.graph.metadata_props[:]
    file.graph.doc_string = file.doc_string = ""
    for node in itertools.chain(file.graph.node, *(f.node for f in file.functions)):
        node.doc_string = ""
        del node.metadata_props[:]
    for info in itertools.chain(file.graph.value_info, file.graph.input, file.graph.output):
        kept = [entry for entry in info.metadata_props if entry.key.endswith("InputSpec.kind")]
        del info.metadata_props[:]
        info.metadata_props.extend(kept)
    return file


def reference(module, state, inputs, data, objective, batchnorm):
    """Torch's loss over all samples and its gradient, in double precision."""
    module = copy.deepcopy(module)
    module.load_state_dict(state)
    module = module.double().eval()
    for part in module.modules():
        if isinstance(part, BATCHNORM) and batchnorm == "recomputed":
            part.train()
    z = module(*(cast(torch.as_tensor(data[name]), module) for name in inputs))
    y = torch.as_tensor(data["y"])
    if objective == "cross_entropy":
        loss = F.cross_entropy(z.flatten(0, -2), y.flatten().long())
    else:
        is_class = not y.is_floating_point() and z.shape[-1] > 1 and objective == "mse"
        targets = F.one_hot(y.long(), z.shape[-1]) if is_class else y.reshape(z.shape).to(z)
        if objective == "mse":
            losses = (z - targets) ** 2
        else:
            losses = F.binary_cross_entropy_with_logits(z, targets, reduction="none")
        loss = losses.flatten(1).sum(1).mean()
    loss.backward()
    parameters = module.named_parameters(remove_duplicate=False)
    gradients = {name: p.grad.numpy() for name, p in parameters if p.grad is not None}
    return loss.item(), gradients


def compare(command, out, arrays, names):
    """`mpass eval` beside torch, checkpoint by checkpoint."""
    if command is None:
        built = [HERE.parent.parent / "target" / profile / "mpass" for profile in ("release", "debug")]
        built = sorted((file for file in built if file.exists()), key=lambda file: file.stat().st_mtime)
        command = shutil.which("mpass") or (built[-1] if built else None)
    if command is None:
        print(f"no mpass found: in {out}, compare `mpass eval run.toml --theta {names[0]}.safetensors` with torch.npz")
        return
    worst = 0.0
    for name in names:
        line = [Path(command).resolve(), "eval", "run.toml", "--json", "--theta", f"{name}.safetensors"]
        line += ["--grad", ".gradient.npy"]
        ended = subprocess.run(line, cwd=out, capture_output=True, text=True)
        if ended.returncode != 0:
            sys.exit(ended.stderr.strip())
        found = json.loads(ended.stdout)
        gradient = np.load(out / ".gradient.npy")
        (out / ".gradient.npy").unlink()
        blocks = [(f"gradient/{name}/{block['name']}", block["shape"]) for block in found["parameters"]]
        own = np.concatenate([arrays.get(key, np.zeros(shape)).ravel() for key, shape in blocks])
        loss = float(arrays[f"loss/{name}"])
        error = abs(found["loss"] - loss) / (1e-3 + abs(loss))
        of_gradient = np.abs(gradient - own).max() / (1e-3 + np.abs(own).max())
        print(
            f"{name}: torch {loss:.12g}, mpass {found['loss']:.12g}; "
            f"relative difference {error:.1e}, of the gradient {of_gradient:.1e}"
        )
        worst = max(worst, error, of_gradient)
    if worst > TOLERANCE:
        sys.exit(f"the files do not compute what torch does: {worst:.1e} > {TOLERANCE:.0e}")


def example():
    """Two convolutions with batch normalisation, trained from three seeds on made-up images of three kinds."""
    nn = torch.nn

    def make():
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(4, 4, 3, padding=1), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
        )

    generator = torch.Generator().manual_seed(0)
    y = torch.arange(24) % 3
    rows, columns = torch.meshgrid(torch.arange(6), torch.arange(6), indexing="ij")
    kinds = torch.stack([torch.sin(rows), torch.sin(columns), torch.sin(rows + columns)])
    x = (kinds[y] + 0.3 * torch.randn(24, 6, 6, generator=generator)).unsqueeze(1)
    states = {}
    for seed in range(3):
        torch.manual_seed(seed)
        module = make()
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
        for _ in range(60):
            optimizer.zero_grad()
            F.cross_entropy(module(x), y).backward()
            optimizer.step()
        states[f"seed-{seed}"] = module.state_dict()
    return make(), states, {"input": x.numpy(), "y": y.numpy()}


if __name__ == "__main__":
    main()

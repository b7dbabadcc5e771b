"""A torch module and its checkpoints for mountainpass: model.onnx, data.npz, a .safetensors file for each state dict.

    python export.py --example --out here
    python export.py --module net.py:make --checkpoints runs/*.pt --data net.py:data --out here
    mpass run here/run.toml

`make()` returns the module. The data are a .npz file or a function that returns a dict of arrays: one for each argument
of forward(), by its name; `y`, classes (whole numbers) or targets; and, if there is a test set, the same names with
`_test`. One array and one argument go together whatever their names. Of several outputs the first counts. Checkpoints are
files of torch.save(module.state_dict()), or of a dict that has it under "state_dict" (Lightning), "model" or the like; what
wrappers put before the names of tensors goes. Parameters without requires_grad, and those of --frozen, are constants.

The exporter renames and transposes weights as it likes. To know how, the module is exported with random numbers for
weights, no two alike, and found again in the file by them; what was found is written into the file's metadata
(mountainpass.parameters), and the weights of the first checkpoint in their place. In the end the loss and its gradient
by `mpass eval` are compared with torch's, in double precision.
"""

import argparse
import copy
import fnmatch
import importlib.util
import inspect
import itertools
import json
import logging
import pickle
import shutil
import subprocess
import sys
import unittest.mock
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
OBJECTIVES = ["cross_entropy", "mse", "mae", "binary_cross_entropy", "model"]
# Options of [loss] that change the loss, and that torch is asked for as well.
KNOWN = ["class_axis", "class_weights", "ignore_index", "label_smoothing", "reduction", "l1", "l2", "limit"]
KNOWN += ["penalised", "sample_weights"]
# What checkpoints keep a state dict under, and what they keep beside it.
KEYS = ["state_dict", "model_state_dict", "model", "net", "module", "ema_state_dict", "state_dict_ema", "ema", "model_ema"]
# Our gradients are exact to rounding; exporters write constants (an epsilon, a square root) in single precision.
TOLERANCE = 1e-5
# What a module calls where it is not exported.
embedding_bag = F.embedding_bag
# torch's exporter warns of packages that nobody asked for.
logging.getLogger("torch.onnx").setLevel(logging.ERROR)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--module", metavar="FILE.py:FUNCTION", help="makes the module")
    parser.add_argument("--checkpoints", nargs="+", default=[], metavar="FILE.pt", help="state dicts [the module's own]")
    parser.add_argument("--data", metavar="FILE.npz|FILE.py:FUNCTION", help="inputs by name, and y")
    parser.add_argument("--objective", choices=OBJECTIVES, default=OBJECTIVES[0])
    parser.add_argument("--option", action="append", default=[], metavar="KEY=VALUE", help="of [loss]: " + ", ".join(KNOWN))
    parser.add_argument("--frozen", action="append", default=[], metavar="NAME", help="constants by name; * for anything")
    parser.add_argument("--key", help="what the state dict is under in checkpoints, where there are several (ema)")
    parser.add_argument("--prefix", help="what stands before names in checkpoints, where it is not plain")
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
        states = {Path(file).stem: state_dict(file, arguments.key) for file in arguments.checkpoints}
        states = states or {"start": module.state_dict()}
        if len(states) < len(arguments.checkpoints):
            sys.exit("two checkpoints have the same file name: rename one")
    data = {name: np.asarray(value) for name, value in data.items()}
    options = dict(option.partition("=")[::2] for option in arguments.option)
    if unknown := [key for key in options if key not in KNOWN]:
        sys.exit(f"--option {unknown[0]}: known are {', '.join(KNOWN)}")
    options["objective"] = arguments.objective
    inputs = arguments_of(module, data, options)
    if arguments.objective != "model" and "y" not in data:
        sys.exit(f"data has {sorted(data)}: wants y, what the outputs should be")
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)

    states = {name: complete(module, state, name, arguments.prefix) for name, state in states.items()}
    file, aliases = exported(module, {name: data[source] for name, source in inputs.items()})
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
    is_frozen = lambda name: any(fnmatch.fnmatchcase(name, pattern) for pattern in arguments.frozen)
    frozen = {name for name in used if name in parameters and (is_frozen(name) or not parameters[name].requires_grad)}
    if vain := [pattern for pattern in arguments.frozen if not fnmatch.filter(parameters, pattern)]:
        sys.exit(f"--frozen {vain[0]}: no parameter of this name among {', '.join(parameters)}")
    kept = {name for name in used - frozen if name in parameters} | set(statistics(module))
    for name in sorted(used - kept):
        if any(not torch.equal(state[name], first[name]) for state in states.values()):
            sys.exit(f"{name}, a constant (a buffer, or frozen), differs between the checkpoints: one ONNX file holds one")
    for name, state in states.items():
        tensors = {key: value.contiguous().clone() for key, value in state.items() if key in kept}
        save_file(tensors, out / f"{name}.safetensors")
    shared = {id(parameters[name]) for name in kept if name in parameters}
    left = [name for name, parameter in parameters.items() if id(parameter) not in shared and name not in frozen]
    if left:
        print("not in the file (no output depends on them, or the exporter computed with them):", ", ".join(left))

    differ = any(not torch.equal(state[key], first[key]) for state in states.values() for key in statistics(module))
    batchnorm = arguments.batchnorm or ("recomputed" if differ else "frozen")
    if batchnorm == "frozen" and differ:
        sys.exit("--batchnorm frozen: the checkpoints' running statistics differ; use recomputed")
    lines = ["[loss]", 'backend = "faer"', 'model = "model.onnx"', 'data = "data.npz"']
    lines += [f"{key} = {json.dumps(value)}" for key, value in options.items()]
    lines += [f'batchnorm = "{batchnorm}"'] * bool(statistics(module)) + ['output_kind = "loss"'] * (arguments.objective == "model")
    held = [initializer for initializer, alias in aliases.items() if alias["name"] in frozen]
    lines += [f"frozen = {json.dumps(','.join(held))}"] * bool(held)
    lines += ["", "[minima]", f"theta = {json.dumps([f'{name}.safetensors' for name in states])}"]
    (out / "run.toml").write_text("\n".join(lines) + "\n")
    arrays = {}
    for name, state in states.items():
        loss, gradients = reference(module, state, inputs, data, options, batchnorm, kept)
        arrays[f"loss/{name}"] = loss
        if statistics(module):
            # As the module was evaluated where it was trained.
            arrays[f"own/{name}"], _ = reference(module, state, inputs, data, options, "frozen", kept)
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


def arguments_of(module, data, options):
    """The arguments of forward() that the data have, and the array of each."""
    arrays = [name for name in data if not name.endswith("_test") and name not in ("y", options.get("sample_weights"))]
    names = list(inspect.signature(module.forward).parameters)
    inputs = {name: name for name in names if name in data}
    if not inputs and len(names) == len(arrays) == 1:
        inputs = {names[0]: arrays[0]}
    # A module that computes its own loss takes y itself, by whatever name.
    if left := [name for name in arrays if name not in inputs.values()]:
        sys.exit(f"data has {', '.join(left)}, which forward({', '.join(names)}) does not take: name the arrays as it does")
    if not inputs:
        sys.exit(f"data has {sorted(data)}: wants the arguments of forward({', '.join(names)}), by their names")
    return inputs


def state_dict(file, wanted=None):
    """Only tensors are read: a pickle may hold a program."""
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        sys.exit(
            f"{file}: a pickle of more than tensors (a whole module, or settings beside it), which could run anything: where "
            "you trust it, load it with weights_only=False and write torch.save(module.state_dict(), ...)"
        )
    if wanted is not None:
        if not isinstance(state.get(wanted), dict):
            sys.exit(f"{file}: --key {wanted}: no state dict; there are {', '.join(map(str, state))}")
        return state[wanted]
    while found := [key for key in KEYS if isinstance(state.get(key), dict)]:
        if len(found) > 1:
            print(f"{file}: {found[0]} is taken, of {', '.join(found)}: --key takes another")
        state = state[found[0]]
    return state


def complete(module, state, name, prefix=None):
    """The state dict as the module has it after loading; keys that do not fit are refused, prefixes of wrappers go."""
    own = module.state_dict()
    if prefix is None and any(key not in state for key in own):
        # What Lightning, DataParallel and torch.compile put in front: it stands before all names of the module.
        last = next(iter(own), "")
        ends = [key.removesuffix(last) for key in state if key.endswith("." + last)]
        fits = [begin for begin in ends if all(begin + key in state for key in own)]
        if len(fits) > 1:
            sys.exit(f"checkpoint {name}: the module is there as {' and as '.join(fits)}: choose with --prefix")
        prefix = fits[0] if fits else None
    if prefix:
        if left := [key for key in state if not key.startswith(prefix)]:
            print(f"checkpoint {name}: left out, not below {prefix}: {', '.join(left)}")
        state = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
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
    with warnings.catch_warnings(action="ignore"), unittest.mock.patch.object(F, "embedding_bag", bags):
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


def bags(tokens, weight, *settings, **more):
    """F.embedding_bag, of which the exporter makes a loop over the samples: for bags of one length it needs none."""
    given = inspect.signature(embedding_bag).bind(tokens, weight, *settings, **more)
    given.apply_defaults()
    names = ["offsets", "max_norm", "mode", "per_sample_weights", "padding_idx"]
    offsets, longest, mode, weights, padding = (given.arguments[name] for name in names)
    if offsets is not None or tokens.ndim != 2 or longest is not None:
        return embedding_bag(tokens, weight, *settings, **more)
    rows = F.embedding(tokens, weight)
    counts = (tokens == tokens if padding is None else tokens != padding).unsqueeze(-1)
    if mode == "max":
        largest = rows.masked_fill(~counts, -torch.inf).amax(1)
        return largest.masked_fill(~counts.any(1), 0.0)
    factors = counts.to(rows) if weights is None else counts * weights.unsqueeze(-1)
    total = (rows * factors).sum(1)
    return total if mode == "sum" else total / counts.sum(1).clamp(min=1)


def cast(value, module):
    """Real inputs in the module's precision."""
    parameter = next(module.parameters(), torch.zeros(0))
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


def reference(module, state, inputs, data, options, batchnorm, kept):
    """Torch's loss over all samples and its gradient, in double precision."""
    module = copy.deepcopy(module)
    module.load_state_dict(state)
    module = module.double().eval()
    for part in module.modules():
        if isinstance(part, BATCHNORM) and batchnorm == "recomputed":
            part.train()
    limit = int(options.get("limit", len(next(iter(data.values())))))
    z = module(*(cast(torch.as_tensor(data[source][:limit]), module) for source in inputs.values()))
    z = output(z)
    weights = options.get("sample_weights")
    weights = None if weights is None else torch.as_tensor(data[weights][:limit]).to(z)
    loss = mean(z, torch.as_tensor(data["y"][:limit]) if "y" in data else None, options, weights)
    l1, l2 = float(options.get("l1", 0)), float(options.get("l2", 0))
    # A tied parameter counts once.
    parameters = {id(p): (name, p) for name, p in module.named_parameters(remove_duplicate=False) if name in kept}
    for name, parameter in parameters.values():
        if is_penalised(name, options.get("penalised")):
            loss = loss + l2 / 2 * (parameter**2).sum() + l1 * parameter.abs().sum()
    loss.backward()
    parameters = module.named_parameters(remove_duplicate=False)
    gradients = {name: p.grad.numpy() for name, p in parameters if p.grad is not None}
    return loss.item(), gradients


def output(z):
    """The output that counts: the first."""
    while not torch.is_tensor(z):
        z = next(iter(z.values() if isinstance(z, dict) else z))
    return z


def is_penalised(name, patterns):
    """Whether penalties see a parameter."""
    patterns = [pattern.strip() for pattern in (patterns or "*").split(",")]
    out = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    within = [pattern for pattern in patterns if not pattern.startswith("!")] or ["*"]
    match = lambda patterns: any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    return match(within) and not match(out)


def mean(z, y, options, weights):
    """The data term: a mean over samples."""
    objective = options["objective"]
    n = len(z) if z.ndim else 1
    if objective == "model":
        losses = z.reshape(-1)
    elif objective == "cross_entropy":
        axis = int(options.get("class_axis", -1))
        z = z.movedim(axis, 1)
        is_class = y.numel() * z.shape[1] == z.numel()
        y = y.reshape(n, *z.shape[2:]).long() if is_class else y.reshape(z.movedim(1, axis).shape).movedim(axis, 1).to(z)
        settings = {"label_smoothing": float(options.get("label_smoothing", 0))}
        if "class_weights" in options:
            settings["weight"] = torch.tensor([float(weight) for weight in options["class_weights"].split(",")]).to(z)
        if "ignore_index" in options:
            settings["ignore_index"] = int(options["ignore_index"])
        if weights is None:
            return F.cross_entropy(z, y, **settings)
        losses = F.cross_entropy(z, y, reduction="none", **settings)
        # As F.cross_entropy takes its mean, but that each sample has a factor.
        whole, sum_of = F.cross_entropy(z, y, **settings), losses.sum()
        losses = losses.reshape(n, -1).sum(1) * (whole / sum_of).detach() * n
    else:
        is_class = not y.is_floating_point() and z.ndim > 1 and z.shape[-1] > 1 and objective in ("mse", "mae")
        targets = F.one_hot(y.long(), z.shape[-1]).to(z) if is_class else y.reshape(z.shape).to(z)
        errors = {
            "mse": lambda: (z - targets) ** 2,
            "mae": lambda: (z - targets).abs(),
            "binary_cross_entropy": lambda: F.binary_cross_entropy_with_logits(z, targets, reduction="none"),
        }[objective]()
        if options.get("reduction") == "mean":
            errors = errors / errors[0].numel()
        losses = errors.reshape(n, -1).sum(1)
    return losses.mean() if weights is None else (losses * weights).mean()


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

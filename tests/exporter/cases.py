"""What examples/torch/export.py does with modules and checkpoints of every kind: it compares each with torch itself.

    python tests/exporter/cases.py MPASS FOLDER
"""

import contextlib
import io
import sys
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / "examples" / "torch")]

import export
import net
import torch
from safetensors.torch import load_file

MPASS, FOLDER = sys.argv[1], Path(sys.argv[2]).resolve()


def run(name, module, data, *arguments, checkpoints=()):
    """What it prints, or what it refuses with, and the folder that it writes."""
    here = FOLDER / name
    here.mkdir(parents=True, exist_ok=True)
    files = []
    for k, state in enumerate(checkpoints):
        files.append(str(here / f"c{k}.pt"))
        torch.save(state, files[-1])
    line = ["--module", f"{HERE / 'net.py'}:{module}", "--data", f"{HERE / 'net.py'}:{data}", "--out", str(here), "--mpass", MPASS]
    line += ["--checkpoints", *files] if files else []
    sys.argv = ["export.py", *line, *arguments]
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            export.main()
    except SystemExit as end:
        return f"refused: {end.code}", here
    return printed.getvalue(), here


def agrees(name, *arguments, **more):
    """export.py ends well where loss and gradient are torch's; that they were compared, it prints."""
    said, here = run(name, *arguments, **more)
    assert "relative difference" in said, said
    return said, here


def refused(words, name, *arguments, **more):
    said, _ = run(name, *arguments, **more)
    assert said.startswith("refused: ") and words in said and "\n" not in said, said


def outputs_and_targets():
    agrees("tuple", "two", "classes")
    agrees("flat", "flat", "truths", "--objective", "binary_cross_entropy")
    agrees("rows", "pixels", "rows", "--option", "class_axis=1")
    agrees("mse", "perceptron", "numbers", "--objective", "mse", "--option", "reduction=mean")
    agrees("mae", "perceptron", "numbers", "--objective", "mae")
    _, here = agrees("own", "own", "classes", "--objective", "model")
    assert 'output_kind = "loss"' in (here / "run.toml").read_text()


def options():
    _, here = agrees("l2", "perceptron", "classes", "--option", "l2=0.1", "--option", "penalised=!*.bias", "--option", "limit=4")
    assert all(line in (here / "run.toml").read_text() for line in ['l2 = "0.1"', 'penalised = "!*.bias"', 'limit = "4"'])
    refused("--option l3: known are", "l3", "perceptron", "classes", "--option", "l3=1")


def constants():
    _, here = agrees("frozen", "frozen", "classes", "--frozen", "base.b*")
    assert set(load_file(here / "start.safetensors")) == {"head.weight", "head.bias"}
    refused("--frozen bse.*: no parameter of this name", "vain", "frozen", "classes", "--frozen", "bse.*")


def checkpoints():
    state, other = net.perceptron().state_dict(), net.seeded(net.perceptron(), 1).state_dict()
    before = lambda prefix, state: {prefix + key: value for key, value in state.items()}
    kinds = [before("module.", state), before("_orig_mod.", state), {"state_dict": before("net.", state), "epoch": 3}]
    said, here = agrees("wrapped", "perceptron", "classes", checkpoints=kinds)
    assert all(load_file(here / f"c{k}.safetensors").keys() == state.keys() for k in range(3)), said
    both = {"model": state, "ema": other}
    said, here = agrees("ema", "perceptron", "classes", "--key", "ema", checkpoints=[both])
    assert torch.equal(load_file(here / "c0.safetensors")["0.weight"], other["0.weight"])
    said, here = agrees("model", "perceptron", "classes", checkpoints=[both])
    assert "model is taken, of model, ema: --key takes another" in said
    assert torch.equal(load_file(here / "c0.safetensors")["0.weight"], state["0.weight"])
    refused("a pickle of more than tensors", "pickle", "perceptron", "classes", checkpoints=[net.perceptron()])
    refused("checkpoint c0: ", "other", "frozen", "classes", checkpoints=[state])


def bags():
    for mode in ("sum", "mean", "max"):
        agrees(f"bag-{mode}", f"bag_{mode}", "tokens")


failed = 0
for case in (outputs_and_targets, options, constants, checkpoints, bags):
    try:
        case()
        print(case.__name__, "ok")
    except Exception:
        failed += 1
        traceback.print_exc()
sys.exit(failed)

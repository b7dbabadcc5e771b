"""The barcode of a Python function: libmountainpass through ctypes and numpy, nothing else.

    import mpass
    print(mpass.barcode(f, n))      # f(x) -> (loss, gradient), x the n parameters as a numpy array

`x` is a view of the engine's own memory: read-only, and gone when `f` returns (copy what you keep). The loss is a number
and the gradient n numbers, numpy's or torch's. `f` is called on the thread that called `barcode`, one row at a time; what
it raises comes out as the cause of `mpass.Error`. Ctrl-C stops the search and keeps what it has found.
"""

import ctypes as C
import math
import os
import pathlib
import signal
import threading
from typing import NamedTuple

import numpy as np

# ---- The words of mountainpass_base.h, mountainpass_backend.h and mountainpass.h that are needed here ----

I32, U32, U64, F64, P, TEXT = C.c_int32, C.c_uint32, C.c_uint64, C.c_double, C.c_void_p, C.c_char_p
OK, NUMERIC, CANCELLED, INTERNAL = 0, 7, 8, 13  # mpass_status
ENDED_COMPLETE, DEATH_VERIFIED_SADDLE, MINOR = 0, 3, 1
CAP_GRAD, CAP_CALLER_THREAD, CAP_SMOOTH, F64_BIT, HOST_BIT = 1, 64, 128, 1 << 2, 1 << 0


def record(name, /, **fields):
    """A struct of the headers, field for field."""
    return type(name, (C.Structure,), {"_fields_": list(fields.items())})


Error_ = record("mpass_error", code=I32, text=C.c_char * 508)
ERR = C.POINTER(Error_)
View = record("mpass_view", data=P, rows=U64, cols=U64, row_stride=U64, dtype=U32, memory=U32, device=U32, reserved=U32)
LossInfo = record("mpass_loss_info", struct_size=U32, caps=U32, params=U64, samples=U64, rows_best=U64, rows_max=U64,
                  dtypes=U32, memories=U32, noise=F64)
Eval = record("mpass_eval", struct_size=U32, reserved=U32, theta=View, ids=View, loss=C.POINTER(F64), grad=View, dir=View,
              hvp=View, row_status=C.POINTER(I32), cancel=P, stream=P)
PROBE, OPEN = C.CFUNCTYPE(P, U32), C.CFUNCTYPE(I32, P, P, C.POINTER(P), ERR)
INFO, EVAL = C.CFUNCTYPE(P, P), C.CFUNCTYPE(I32, P, C.POINTER(Eval), ERR)
CLOSE, EXTENSION = C.CFUNCTYPE(None, P), C.CFUNCTYPE(P, TEXT)
Backend = record("mpass_backend", struct_size=U32, abi_minor=U32, name=TEXT, version=TEXT, probe=PROBE, open=OPEN,
                 info=INFO, eval=EVAL, close=CLOSE, extension=EXTENSION)
START, BOX = C.CFUNCTYPE(I32, P, U64, C.POINTER(F64), ERR), C.CFUNCTYPE(I32, P, C.POINTER(P), C.POINTER(P), ERR)
ExtStart = record("mpass_ext_start", struct_size=U32, reserved=U32, start=START, box=BOX)
EngineOptions = record("mpass_engine_options", struct_size=U32, threads=U32, hooks=P)
RunOptions = record("mpass_run_options", struct_size=U32, flags=U32, cancel=P, config=TEXT, evaluation_ids=P, theta=P)
LandscapeInfo = record("mpass_landscape_info", struct_size=U32, ended=U32, params=U64, n_minima=U64, n_paths=U64,
                       n_loss=U64, n_gradient=U64, n_hessian_product=U64, noise=F64, aligned=U32, reserved=U32)
Minimum = record("mpass_minimum", struct_size=U32, flags=U32, cell=U64, same_as=U64, seed=U64, path=U64, loss=F64,
                 gradient_norm=F64, theta=C.POINTER(F64))
RawBar = record("mpass_bar", birth=F64, death=F64, death_error=F64, birth_cell=U64, death_cell=U64, elder_cell=U64,
                path=U64, degree=U32, death_kind=U32, flags=U32, reserved=U32)


class Error(RuntimeError):
    """What mpass_last_error said; `__cause__` is what `f` raised, if it did."""


class Bar(NamedTuple):
    birth: float
    death: float         # inf for the deepest minimum
    verified: bool       # the death is a verified saddle, else the maximum of a measured path
    theta: np.ndarray    # the minimum


class Barcode(list):
    """The bars, by birth; `complete` is false where a budget or Ctrl-C ended the search."""

    complete = True

    def __str__(self):
        kind = lambda bar: " at a verified saddle" if bar.verified else ""
        lines = [f"born at {bar.birth:.6f}, dies at {bar.death:.6f}{kind(bar)}" for bar in self]
        return "\n".join(lines + ["stopped early: this is what had been found"] * (not self.complete))


def load(library=None):
    """The library: the file named, or by MPASS_LIBRARY, or the repository's release build."""
    root = pathlib.Path(__file__).resolve().parents[2]
    path = library or os.environ.get("MPASS_LIBRARY") or root / "target/release/libmountainpass.so"
    try:
        lib = C.CDLL(str(path))
    except OSError as error:
        raise Error(f"{error}: cargo rustc --release --lib --crate-type cdylib builds it; "
                    "elsewhere, name it by MPASS_LIBRARY") from None
    for name, result, arguments in [
        ("last_error", ERR, []),
        ("engine_new", I32, [P, P]), ("engine_free", None, [P]), ("backend_register", I32, [P, P, P, P]),
        ("cancel_new", P, []), ("cancel_fire", None, [P]), ("cancel_free", None, [P]),
        ("loss_open", I32, [P, TEXT, P, P]), ("loss_free", None, [P]), ("explore", I32, [P, P, P]),
        ("landscape_get_info", C.POINTER(LandscapeInfo), [P]), ("landscape_free", None, [P]),
        ("landscape_minimum", C.POINTER(Minimum), [P, U64]), ("barcode_compute", I32, [P, P]),
        ("barcode_bars", C.POINTER(RawBar), [P, P]), ("barcode_free", None, [P]),
    ]:
        function = getattr(lib, "mpass_" + name)
        function.restype, function.argtypes = result, arguments
    return lib


def matrix(view):
    """The rows of an mpass_view of f64, without a copy."""
    memory = (F64 * (view.rows * view.row_stride)).from_address(view.data)
    return np.frombuffer(memory).reshape(view.rows, view.row_stride)[:, :view.cols]


def numbers(value):
    """Numbers as numpy has them; torch's tensors leave their graph and their device first."""
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value, dtype=float)


def backend(f, n, box, start, smooth, raised):
    """The table of a backend whose one loss is `f`, and what must live as long. Exceptions go to `raised`."""

    def guarded(slot):
        def call(*arguments):
            try:
                slot(*arguments[:-1])
                return OK
            except BaseException as error:  # Nothing may be thrown through the engine.
                raised.append(error)
                text = f"{type(error).__name__}: {error}".encode()[:507]
                arguments[-1].contents.text = text.decode(errors="ignore").encode()
                return INTERNAL
        return call

    def flat(what, value):
        value = numbers(value).reshape(-1)
        if value.size != n:
            raise ValueError(f"{what} has {value.size} entries where there are {n} parameters")
        return value

    def evaluate(_, call):
        call = call.contents
        theta, grad = matrix(call.theta), matrix(call.grad) if call.grad.data else None
        theta.flags.writeable = False
        for row, x in enumerate(theta):
            value, gradient = f(x)
            call.loss[row] = value = float(numbers(value))
            gradient = flat("the gradient", gradient)
            if grad is not None:
                grad[row] = gradient
            if not (math.isfinite(value) and np.isfinite(gradient).all()):
                call.row_status[row] = NUMERIC

    def open_(_host, _request, out):
        out[0] = C.addressof(info)  # Any address will do: there is one loss.

    def begin(_, seed, theta):
        np.ctypeslib.as_array(theta, shape=(n,))[:] = flat(f"start({seed})", start(seed))

    def bounds(_, lower, upper):
        lower[0], upper[0] = (side.ctypes.data for side in sides)

    sides = [np.broadcast_to(numbers(side), n).copy() for side in box] if box is not None else []
    caps = CAP_GRAD | CAP_CALLER_THREAD | (CAP_SMOOTH if smooth else 0)
    info = LossInfo(C.sizeof(LossInfo), caps, n, 0, 0, 0, F64_BIT, HOST_BIT, 0)
    starts = ExtStart(C.sizeof(ExtStart), 0, START(guarded(begin)) if start else START(),
                      BOX(guarded(bounds)) if sides else BOX())
    table = Backend(C.sizeof(Backend), MINOR, b"python", b"1", PROBE(lambda _: None), OPEN(guarded(open_)),
                    INFO(lambda _: C.addressof(info)), EVAL(guarded(evaluate)), CLOSE(lambda _: None),
                    EXTENSION(lambda id: C.addressof(starts) if id == b"mountainpass.start/1" else None))
    return table, (info, starts, sides)


def barcode(f, n, box=None, starts=8, seed=1, start=None, smooth=True, config="", library=None):
    """The barcode of `f`, a function of `n` parameters that returns (loss, gradient).

    `box` is (lower, upper), numbers or arrays: where minima count, and where starts are drawn; without it starts are standard
    normal, or what `start(seed)` returns. `starts` descents begin with seeds `seed`, `seed + 1`, ... A loss with kinks is
    not `smooth`. `config` has further tables of a run's file, such as "[budget]\\nseconds = 60".
    """
    lib, raised = load(library), []
    table, _alive = backend(f, n, box, start, smooth, raised)
    engine, loss, landscape, bars, count = P(), P(), P(), P(), U64()
    cancel, main = lib.mpass_cancel_new(), threading.current_thread() is threading.main_thread()

    def check(status):
        if status == OK:
            return
        text = lib.mpass_last_error().contents.text.decode()
        cause = raised[0] if raised else None
        if status == CANCELLED or isinstance(cause, KeyboardInterrupt):
            raise KeyboardInterrupt(text)
        raise Error(text) from cause

    def stop(*_):  # The next Ctrl-C interrupts `f` itself.
        lib.mpass_cancel_fire(cancel)
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, stop) if main else None
    try:
        options = EngineOptions(C.sizeof(EngineOptions), 1, None)
        text = f"[minima]\nstarts = {starts}\nseed = {seed}\n{config}".encode()
        run = RunOptions(C.sizeof(RunOptions), 0, cancel, text, None, None)
        check(lib.mpass_engine_new(C.byref(options), C.byref(engine)))
        check(lib.mpass_backend_register(engine, C.byref(table), None, None))
        check(lib.mpass_loss_open(engine, b"python", None, C.byref(loss)))
        check(lib.mpass_explore(loss, C.byref(run), C.byref(landscape)))
        check(lib.mpass_barcode_compute(landscape, C.byref(bars)))
        info = lib.mpass_landscape_get_info(landscape).contents
        minima = [lib.mpass_landscape_minimum(landscape, i).contents for i in range(info.n_minima)]
        theta = {minimum.cell: np.ctypeslib.as_array(minimum.theta, shape=(n,)).copy() for minimum in minima}
        found = lib.mpass_barcode_bars(bars, C.byref(count))[:count.value]
        result = Barcode(Bar(bar.birth, bar.death, bar.death_kind == DEATH_VERIFIED_SADDLE, theta[bar.birth_cell])
                         for bar in found)
        result.complete = info.ended == ENDED_COMPLETE
        return result
    finally:
        if main:
            signal.signal(signal.SIGINT, before)
        lib.mpass_barcode_free(bars)
        lib.mpass_landscape_free(landscape)
        lib.mpass_loss_free(loss)
        lib.mpass_engine_free(engine)
        lib.mpass_cancel_free(cancel)


def of_module(module, objective):
    """A torch module's loss as a function of all its parameters, and how many: `objective(module)` is a 0-dim tensor."""
    parameters = list(module.parameters())
    ends = np.cumsum([0] + [p.numel() for p in parameters])

    def f(x):
        for p, begin, end in zip(parameters, ends, ends[1:]):
            p.data.copy_(p.new_tensor(x[begin:end]).view_as(p))
            p.grad = None
        loss = objective(module)
        loss.backward()
        gradients = [np.zeros(p.numel()) if p.grad is None else numbers(p.grad).reshape(-1) for p in parameters]
        return loss, np.concatenate(gradients)

    return f, int(ends[-1])

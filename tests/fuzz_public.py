# SPDX-License-Identifier: Apache-2.0
"""Throws random arguments at every public function and constructor of a namespace.

``python -m tests.fuzz_public NAMESPACE EXAMPLES`` prints what broke the contract of errors: a call
may give a result or raise one of the documented exceptions, nothing else. A crash or a hang ends
the process, so it runs as a child of the test. Arguments are drawn by hypothesis: what a
parameter's name suggests, or anything at all.
"""

from __future__ import annotations

import contextlib
import faulthandler
import inspect
import io
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from docs import namespaces
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import gradsmith as gs

DOCUMENTED = (
    *(IndexError, MemoryError, RuntimeError, TypeError, ValueError, OSError, ImportError),
    BufferError,  # what the DLPack protocol asks for
)
HANG_SECONDS = 60

# Left out, as name or namespace: the reason.
LEFT_OUT = {
    "gradsmith.show_config": "prints",
    "gradsmith.autograd.record": "for the rules of ops, which are trusted",
    "gradsmith.autograd.record_many": "as record",
    "gradsmith.cudasim": "its errors end a launch, tests/test_cudasim.py has them",
    "gradsmith.data.datasets": "opens connections; tests/test_data_sets.py has bad arguments",
    "gradsmith.data.download": "opens connections",
    "gradsmith.models": "builds networks of any size; tests/test_models.py has bad arguments",
    "gradsmith.viz.playground": "serves until Ctrl-C",
}
METHODS = "gradsmith.Tensor"
SPACES = [*(each for each in namespaces.NAMESPACES if each not in LEFT_OUT), METHODS]

_SHAPES = [(), (0,), (1,), (4,), (3, 0), (3, 4), (4, 4), (2, 3, 4), (2, 4, 7), (2, 3, 5, 6)]
_DTYPES = [gs.float32, gs.float64, gs.bfloat16, gs.int64, gs.int32, gs.uint8, gs.backend.bool_]


@st.composite
def tensors(draw: Any, dtypes: list[Any] = _DTYPES) -> Any:
    """Return a tensor of any shape, stride and content."""
    shape, dtype = draw(st.sampled_from(_SHAPES)), draw(st.sampled_from(dtypes))
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    values = np.asarray(rng.normal(0, 2, shape))
    if values.size and draw(st.integers(0, 5)) == 0:
        values.flat[0] = draw(st.sampled_from([np.nan, np.inf, -np.inf, 1e38]))
    with np.errstate(all="ignore"):
        array = np.asarray(values.astype(dtype))
    layout = draw(st.integers(0, 3))
    if layout == 1:
        array = np.asfortranarray(array)
    elif layout == 2 and array.ndim:
        array = array[..., ::-1]
    floating = dtype in (gs.float32, gs.float64, gs.bfloat16)
    return gs.Tensor(array, requires_grad=floating and draw(st.booleans()))


_SMALL = st.integers(-3, 5)
_COUNTS = st.integers(0, 6)
_FLOATS = st.sampled_from([0.0, 0.1, 0.5, 1.0, 2.0, -1.0, 1e-5, 1e30, float("nan"), float("inf")])
_ODD = st.sampled_from(
    [
        *(None, True, False, "", "mean", "cuda", (), (1,), (2, 2), [1, -1], (2**62, 4), (1.5,), {}),
        *(1j, b"x", slice(None), Ellipsis, float, [[1, 2], [3]], (None,), "a b c", ["a", "b"]),
        *(2**40, 2**62, 2**63, -(2**63), 10**30, -70, 7, np.zeros(3, np.complex64)),
        *(np.array(["a"]), np.zeros((3, 4), np.float16), {"a": 1}, lambda *_: None),
    ]
)
_ANYTHING = st.one_of(_ODD, _SMALL, _FLOATS, tensors())

# Part of a parameter's name: what it most likely takes. The first that fits counts.
_SUGGESTIONS: list[tuple[tuple[str, ...], Any]] = [
    (("reduction",), st.sampled_from(["mean", "sum", "none", "x"])),
    (("mode", "padding_mode", "interpolation"), st.sampled_from(["constant", "linear", "x"])),
    (("index", "indices", "labels", "lengths", "repeats"), tensors([gs.int64, gs.int32])),
    (("mask", "condition"), tensors([gs.backend.bool_])),
    (("dims", "shape", "size", "sizes", "kernel_size", "stride", "padding", "dilation"),
     st.one_of(_SMALL, st.lists(_SMALL, max_size=4).map(tuple))),
    (("dim", "axis", "num_", "n_", "features", "channels", "steps", "groups", "k"), _COUNTS),
    (("keepdim", "bias", "training", "ceil_mode", "inplace", "affine"), st.booleans()),
    (("eps", "lr", "alpha", "beta", "p", "momentum", "gamma", "margin", "weight_decay"), _FLOATS),
    (("tensors", "parameters", "params", "inputs", "arrays"), st.lists(tensors(), max_size=3)),
    (("dtype",), st.sampled_from(_DTYPES)),
    (("device",), st.sampled_from(["cpu", "cuda", "tpu"])),
    (("function", "func", "callback", "fn"), st.just(lambda *given: given[0] if given else None)),
    (("text", "path", "name", "file"), st.text(max_size=8)),
]  # fmt: skip
_LIKELY = st.one_of(tensors(), tensors([gs.float32]), _SMALL, _FLOATS)


def _fits(name: str, part: str) -> bool:
    return name == part or (len(part) > 2 and part in name)


def values_for(name: str) -> Any:
    """Return the strategy for a parameter, from its name."""
    for parts, strategy in _SUGGESTIONS:
        if any(_fits(name, part) for part in parts):
            return st.one_of(strategy, strategy, strategy, _ANYTHING)
    return st.one_of(_LIKELY, _LIKELY, _LIKELY, _ANYTHING)


def members(namespace: str) -> dict[str, Callable[..., Any]]:
    """Return the public functions and classes of a namespace, or the methods of Tensor."""
    if namespace == METHODS:
        found = {
            name: value
            for name, value in inspect.getmembers(gs.Tensor, inspect.isfunction)
            if not name.startswith("_")
        }
    else:
        found = namespaces.members(namespace)
    return {
        name: value
        for name, value in found.items()
        if f"{namespace}.{name}" not in LEFT_OUT
        and not (inspect.isclass(value) and issubclass(value, BaseException))
    }


@st.composite
def calls(draw: Any, function: Callable[..., Any], method: bool) -> Any:
    """Return (args, kwargs) for a function, mostly of the kinds its parameters' names suggest."""
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    for place, each in enumerate(parameters):
        if method and place == 0:
            args.append(draw(tensors()))
        elif each.kind is each.VAR_POSITIONAL:
            args += draw(st.lists(st.one_of(_SMALL, _ANYTHING), max_size=3))
        elif each.kind is each.VAR_KEYWORD:
            continue
        elif each.default is not each.empty and draw(st.integers(0, 3)):
            continue  # options are mostly left out
        elif each.kind is each.POSITIONAL_ONLY or (each.default is each.empty and not kwargs):
            args.append(draw(values_for(each.name)))
        else:
            kwargs[each.name] = draw(values_for(each.name))
    return args, kwargs


def _use(function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> None:
    """Call a function, and differentiate what comes out."""
    result = function(*args, **kwargs)
    for each in result if isinstance(result, (list, tuple)) else [result]:
        if isinstance(each, gs.Tensor) and each.requires_grad and 0 < each.numel() < 1000:
            each.backward(gs.ones_like(each), retain_graph=True)


def complaint(label: str, function: Callable[..., Any], examples: int, method: bool) -> str | None:
    """Call a function with so many random argument lists; return what broke, or None."""
    last: list[Any] = []

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(calls(function, method))
    def check(call: tuple[list[Any], dict[str, Any]]) -> None:
        last[:] = call
        faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
        with contextlib.suppress(*DOCUMENTED), contextlib.redirect_stdout(io.StringIO()):
            _use(function, *call)

    try:
        check()
    except Exception as error:
        return f"{label}{_brief(last)} raised {type(error).__name__}: {error}"
    finally:
        faulthandler.cancel_dump_traceback_later()
    return None


def _brief(call: list[Any]) -> str:
    def one(value: Any) -> str:
        if isinstance(value, gs.Tensor):
            return f"{value.dtype}{list(value.shape)}"
        return repr(value)[:40]

    args, kwargs = call or ([], {})
    texts = [*(one(each) for each in args), *(f"{key}={one(each)}" for key, each in kwargs.items())]
    return f"({', '.join(texts)})"


def main(namespace: str, examples: int) -> int:
    """Check a namespace; print complaints, return how many."""
    faulthandler.enable()
    found = 0
    for name, function in members(namespace).items():
        text = complaint(f"{namespace}.{name}", function, examples, namespace == METHODS)
        if text is not None:
            found += 1
            print(text[:400], flush=True)
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:  # some functions write where they are told to
        os.chdir(folder)
        sys.exit(1 if main(sys.argv[1], int(sys.argv[2])) else 0)

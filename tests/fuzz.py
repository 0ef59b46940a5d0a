# SPDX-License-Identifier: Apache-2.0
"""Calls public functions with arguments gone wrong, at random but by a fixed seed.

``python -m tests.fuzz SEED COUNT`` prints what broke the contract of errors (a call may give a
result or one of the documented exceptions, with its own name in the message) and ends with 1 if
anything did. A crash or a hang ends the process, so it runs as a child of the test.
"""

from __future__ import annotations

import faulthandler
import random
import sys
import warnings
from typing import Any

import numpy as np

import gradsmith as gs
import gradsmith.nn.functional as F

DOCUMENTED = (IndexError, MemoryError, RuntimeError, TypeError, ValueError)
HANG_SECONDS = 20


def _floats(*shape: int) -> Any:
    return lambda rng: gs.Tensor(rng.standard_normal(shape).astype(np.float32), True)


def _probabilities(*shape: int) -> Any:
    return lambda rng: gs.Tensor(rng.uniform(0.05, 0.95, shape).astype(np.float32))


def _ints(high: int, *shape: int) -> Any:
    return lambda rng: gs.Tensor(rng.integers(0, high, shape))


def _bools(*shape: int) -> Any:
    return lambda rng: gs.Tensor(rng.random(shape) < 0.5)


_X, _Y, _V = _floats(3, 4), _floats(3, 4), _floats(4)
_IMAGE, _CUBE = _floats(2, 4, 7), _floats(2, 3, 4)
_REDUCTIONS = ("sum", "mean", "prod", "amax", "amin", "any", "all", "std", "var", "max", "norm")
_PAIRS = ("add", "sub", "mul", "div", "pow", "maximum", "eq", "logical_and", "where", "fmod")

# Name and arguments of calls that are right: what is callable makes a tensor.
CALLS: list[tuple[Any, str, tuple[Any, ...]]] = [
    *((gs, name, (_X, 1)) for name in _REDUCTIONS),
    *((gs, name, (_X, _V)) for name in _PAIRS if name != "where"),
    *((gs, name, (_X,)) for name in ("exp", "sqrt", "abs", "neg", "isnan", "round", "clone")),
    *((gs, name, (_X, 0)) for name in ("cumsum", "cumprod", "softmax", "logsumexp", "argmax")),
    *((gs, name, (_X, 1)) for name in ("sort", "unbind", "unsqueeze", "squeeze", "flip")),
    *((gs, name, (_X, _Y)) for name in ("fmax", "copysign", "logaddexp2", "nextafter", "xlogy")),
    *((gs, name, (_X,)) for name in ("frexp", "lgamma", "i0", "sinc", "diff", "gradient", "cov")),
    *((gs, name, (_X, 1)) for name in ("cummax", "logcumsumexp", "nansum", "mode", "kthvalue")),
    *((gs, name, (_ints(9, 3, 4), 3)) for name in ("gcd", "bitwise_and", "bitwise_left_shift")),
    (gs, "quantile", (_X, 0.5, 1)),
    (gs, "nanquantile", (_X, _probabilities(3))),
    (gs, "searchsorted", (_V, _X)),
    (gs, "histc", (_X, 5, -1.0, 1.0)),
    (gs, "histogram", (_X, 4)),
    (gs, "unique_consecutive", (_X, True, True, 1)),
    (gs, "trapezoid", (_X, _V)),
    (gs, "cdist", (_X, _Y, 1.0)),
    (gs, "renorm", (_X, 2, 0, 1.0)),
    (gs, "polygamma", (2, _X)),
    (gs, "where", (_bools(3, 4), _X, 0.0)),
    (gs, "clamp", (_X, -0.5, 0.5)),
    (gs, "matmul", (_X, _floats(4, 2))),
    (gs, "bmm", (_CUBE, _floats(2, 4, 5))),
    (gs, "einsum", ("ij,jk->ik", _X, _floats(4, 2))),
    (gs, "tensordot", (_X, _floats(4, 2), 1)),
    (gs, "cat", ([_X, _Y], 1)),
    (gs, "stack", ([_X, _Y], 0)),
    (gs, "split", (_X, [1, 3], 1)),
    (gs, "reshape", (_X, (2, 6))),
    (gs, "permute", (_CUBE, (2, 0, 1))),
    (gs, "movedim", (_CUBE, 0, 2)),
    (gs, "unflatten", (_X, 1, (2, 2))),
    (gs, "narrow", (_X, 1, 1, 2)),
    (gs, "roll", (_X, 1, 0)),
    (gs, "tile", (_X, (2, 1))),
    (gs, "repeat_interleave", (_X, 2, 1)),
    (gs, "diagonal", (_CUBE, 0, 0, 1)),
    (gs, "topk", (_X, 2, 1)),
    (gs, "quantile", (_X, 0.3, 1)),
    (gs, "gather", (_X, 1, _ints(4, 3, 2))),
    (gs, "scatter", (_X, 1, _ints(4, 3, 2), _floats(3, 2))),
    (gs, "scatter_add", (_X, 1, _ints(4, 3, 2), _floats(3, 2))),
    (gs, "index_select", (_X, 1, _ints(4, 5))),
    (gs, "index_add", (_X, 0, _ints(3, 2), _floats(2, 4))),
    (gs, "masked_fill", (_X, _bools(3, 4), 2.0)),
    (gs, "take", (_X, _ints(12, 5))),
    (gs, "bincount", (_ints(4, 6),)),
    (gs, "arange", (0, 10, 2)),
    (gs, "linspace", (0, 1, 5)),
    (gs, "full", ((2, 3), 1.5)),
    (gs, "eye", (3, 4)),
    (gs, "triu", (_X, 1)),
    (gs, "randint", (0, 5, (2, 3))),
    (gs, "multinomial", (_probabilities(2, 4), 2)),
    (gs.linalg, "solve", (_floats(3, 3), _floats(3, 2))),
    (gs.linalg, "det", (_floats(3, 3),)),
    (gs.linalg, "qr", (_floats(4, 3), "reduced")),
    (gs.linalg, "svd", (_floats(4, 3), False)),
    (gs.linalg, "eigh", (_floats(3, 3), "U")),
    (gs.linalg, "lstsq", (_floats(4, 3), _floats(4, 2), 0.1)),
    (gs.linalg, "pinv", (_X, 0.1)),
    (gs.linalg, "norm", (_CUBE, 2, (0, 1), True)),
    (gs, "matrix_power", (_floats(3, 3), 3)),
    (gs, "matrix_exp", (_floats(3, 3),)),
    (gs, "cross", (_floats(3, 2), _floats(3, 2), 0)),
    (gs, "kron", (_X, _V)),
    (gs, "addbmm", (_X, _floats(2, 3, 5), _floats(2, 5, 4))),
    (gs, "vander", (_V, 3, True)),
    (gs, "diag_embed", (_X, 1, 0, 2)),
    (gs, "diagonal_scatter", (_X, _floats(3), 1)),
    (gs, "as_strided", (_X, (2, 3), (1, 2), 1)),
    (gs, "combinations", (_V, 2, True)),
    (gs, "tensor_split", (_X, (1, 3), 1)),
    (gs, "hsplit", (_X, 2)),
    (gs, "block_diag", (_X, _V)),
    (gs, "index_put", (_X, (_ints(3, 2),), _floats(2, 4), True)),
    (gs, "put", (_X, _ints(12, 3), _floats(3), True)),
    (gs, "index_fill", (_X, 1, _ints(4, 2), 2.0)),
    (gs, "index_copy", (_X, 0, _ints(3, 2), _floats(2, 4))),
    (gs, "index_reduce", (_X, 0, _ints(3, 2), _floats(2, 4), "amax")),
    (gs, "scatter_reduce", (_X, 1, _ints(4, 3, 2), _floats(3, 2), "prod")),
    (gs, "masked_scatter", (_X, _bools(3, 4), _floats(12))),
    (gs, "select_scatter", (_X, _V, 0, 1)),
    (gs, "slice_scatter", (_X, _floats(2, 4), 0, 1, 3, 1)),
    (gs, "poisson", (_probabilities(3, 4),)),
    (F, "conv1d", (_IMAGE, _floats(6, 2, 3), _floats(6), 2, 1, 1, 2)),
    (F, "conv_transpose1d", (_IMAGE, _floats(4, 2, 3), None, 2, 1, 1, 1, 1)),
    (F, "max_pool1d", (_IMAGE, 2, 1, 1, 1, True)),
    (F, "avg_pool1d", (_IMAGE, 2, 1, 1, True, False)),
    (F, "adaptive_avg_pool1d", (_IMAGE, 3)),
    (F, "batch_norm", (_IMAGE, _floats(4), _probabilities(4), None, None, False)),
    (F, "layer_norm", (_X, (4,), _V, _V, 1e-5)),
    (F, "group_norm", (_IMAGE, 2)),
    (F, "local_response_norm", (_IMAGE, 3)),
    (F, "linear", (_X, _floats(5, 4), _floats(5))),
    (F, "dropout", (_X, 0.5, True)),
    (F, "pad", (_X, (1, 2), "reflect")),
    (F, "embedding", (_ints(4, 2, 3), _floats(4, 5), 1)),
    (F, "one_hot", (_ints(4, 3), 4)),
    (F, "cross_entropy", (_X, _ints(4, 3), _probabilities(4))),
    (F, "nll_loss", (_X, _ints(4, 3))),
    (F, "mse_loss", (_X, _Y)),
    (F, "binary_cross_entropy", (_probabilities(3), _probabilities(3))),
    (F, "huber_loss", (_X, _Y, "mean", 1.0)),
    (F, "scaled_dot_product_attention", (_CUBE, _floats(2, 5, 4), _floats(2, 5, 4))),
    (gs.Tensor, "add_", (lambda rng: gs.ones(3, 4), _V)),
    (gs.Tensor, "copy_", (lambda rng: gs.ones(3, 4), _V)),
    (gs.Tensor, "scatter_", (lambda rng: gs.ones(3, 4), 1, _ints(4, 3, 2), 2.0)),
    (gs.Tensor, "expand", (_floats(3, 1), 3, 4)),
    (gs.Tensor, "unfold", (_X, 1, 2, 1)),
    (gs.Tensor, "index_put_", (lambda rng: gs.ones(3, 4), (_ints(3, 2),), _floats(2, 4), True)),
    (gs.Tensor, "exponential_", (lambda rng: gs.ones(3, 4), 2.0)),
    (gs.Tensor, "geometric_", (lambda rng: gs.ones(3, 4), 0.5)),
    (gs.Tensor, "cauchy_", (lambda rng: gs.ones(3, 4), 1.0, 2.0)),
    (gs.Tensor, "log_normal_", (lambda rng: gs.ones(3, 4), 1.0, 2.0)),
    (gs.Tensor, "random_", (lambda rng: gs.ones(3, 4), 0, 9)),
    (gs.Tensor, "__getitem__", (_CUBE, (_ints(2, 3), slice(0, 2)))),
    (gs.Tensor, "__setitem__", (lambda rng: gs.ones(3, 4), _ints(3, 2), 0.0)),
]

_NUMBERS = [
    *(-1, 0, 1, 2, 3, 7, -70, 2**40, 2**62, 2**63 - 1, 2**63, -(2**63), 10**30),
    *(0.5, -1.5, 1e300, float("nan"), float("inf"), -float("inf")),
]
_OBJECTS = [
    *(None, True, False, "", "mean", "cuda", (), (1,), (2, 2), [1, -1], (2**62, 4), (1.5,), {}),
    *(1j, b"x", slice(None), Ellipsis, object(), range(3), float, [[1, 2], [3]], (None,)),
]
_SHAPES = [(), (0,), (1,), (4,), (3, 0), (3, 4), (4, 3), (2, 3, 4), (2, 4, 7), (1,) * 16]
_DTYPES = [*("float32", "float64", "bfloat16", "float16", "int64", "int32", "uint8", "bool")]
_ARRAYS = [
    np.zeros((3, 4), np.complex64),
    np.zeros(3, np.complex64),
    np.arange(4, dtype=">f4"),
    np.array(["a"]),
    np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f4")]),
    np.frombuffer(bytes(17), np.uint8)[1:].view(np.float32),
]


def _odd_tensor(choose: random.Random, rng: np.random.Generator) -> Any:
    """Return a tensor of any shape, dtype, stride and content."""
    shape = choose.choice(_SHAPES)
    values = np.asarray(rng.integers(-3, 6, shape).astype(np.float64))
    if values.size and choose.random() < 0.2:
        values.flat[0] = choose.choice([np.nan, np.inf, -np.inf, 1e38])
    dtype = gs.backend.as_dtype(choose.choice(_DTYPES))
    with np.errstate(all="ignore"):
        array = np.asarray(values.astype(dtype))
    layout = choose.randrange(4) if array.ndim else 0
    if layout == 1:
        array = np.asfortranarray(array)
    elif layout == 2:
        array = array[..., ::-1]
    elif layout == 3 and array.shape[0] > 0:
        array = np.broadcast_to(array[:1], array.shape)
    return gs.Tensor(array)


def _odd(choose: random.Random, rng: np.random.Generator) -> Any:
    kind = choose.randrange(10)
    if kind < 4:
        return choose.choice(_NUMBERS)
    if kind < 6:
        return choose.choice(_OBJECTS)
    return _odd_tensor(choose, rng) if kind < 9 else choose.choice(_ARRAYS)


def _built(value: Any, rng: np.random.Generator) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(_built(each, rng) for each in value)
    return value(rng) if callable(value) else value


def _differentiate(result: Any) -> None:
    for each in result if isinstance(result, (list, tuple)) else [result]:
        if isinstance(each, gs.Tensor) and each.requires_grad and each.numel() < 1000:
            each.backward(gs.ones_like(each), retain_graph=True)


def complaint(seed: int) -> str | None:
    """Make call number ``seed``; return what is wrong with how it ended, or None."""
    choose, rng = random.Random(seed), np.random.default_rng(seed)
    space, name, template = CALLS[seed % len(CALLS)]
    args = [_built(each, rng) for each in template]
    method = space is gs.Tensor
    for _ in range(choose.choice([0, 1, 1, 1, 2])):
        place = choose.randrange(len(args))
        args[place] = _odd(choose, rng) if place or not method else _odd_tensor(choose, rng)
    try:
        _differentiate(getattr(space, name)(*args))
    except DOCUMENTED as error:
        own = name.strip("_")
        named = own in str(error) or isinstance(error, RuntimeError)
        return None if named else f"{name} does not name itself: {type(error).__name__}: {error}"
    except Exception as error:
        return f"{name} raised {type(error).__name__}: {error}"
    return None


def main(seed: int, count: int) -> int:
    """Make ``count`` calls; print complaints with the number of the call, return how many."""
    faulthandler.enable()
    found = 0
    for number in range(seed, seed + count):
        faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
        text = complaint(number)
        if text is not None:
            found += 1
            print(f"{number}: {text[:300]}", flush=True)
    faulthandler.cancel_dump_traceback_later()
    return found


if __name__ == "__main__":
    warnings.simplefilter("error")
    sys.exit(1 if main(int(sys.argv[1]), int(sys.argv[2])) else 0)

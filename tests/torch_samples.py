# SPDX-License-Identifier: Apache-2.0
"""PyTorch's own sample inputs of every operation, run through both libraries.

PyTorch ships the table its test suite runs on (``op_db``: name, function, sample inputs, inputs to
refuse). Whatever has the same name here is called with the same arguments, and results,
dtypes and gradients are compared.
"""

from __future__ import annotations

import re
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import ml_dtypes
import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db

import gradsmith as gs

# float64 decides on values and gradients, the others on dtypes and promotion.
DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "int64": torch.int64,
    "uint8": torch.uint8,
    "bool": torch.bool,
}
_GS_DTYPES = {
    torch.float64: gs.float64,
    torch.float32: gs.float32,
    torch.bfloat16: gs.bfloat16,
    torch.float16: gs.float16,
    torch.int64: gs.int64,
    torch.int32: gs.int32,
    torch.uint8: gs.uint8,
    torch.bool: gs.backend.bool_,
}
# (relative, absolute) per dtype.
TOLERANCES = {
    "float64": (1e-7, 1e-7),
    "float32": (1e-4, 1e-4),
    "bfloat16": (4e-2, 4e-2),
    "float16": (5e-3, 5e-3),
}
REFUSALS = (ValueError, TypeError, IndexError, MemoryError, NotImplementedError, RuntimeError)


_MOST_DIMENSIONS = 64  # of NumPy's arrays


class NotComparable(Exception):  # noqa: N818
    """Raised for a sample that uses what gradsmith has not by design, as complex numbers."""


def ours(name: str) -> Callable[..., Any] | None:
    """Return the function of PyTorch's dotted name, or the method, or None."""
    found: Any = gs
    for part in name.split("."):
        found = getattr(found, part, None)
        if found is None:
            break
    if callable(found) and not isinstance(found, type):
        return found  # type: ignore[no-any-return]
    if "." not in name and callable(getattr(gs.Tensor, name, None)):
        return getattr(gs.Tensor, name)  # type: ignore[no-any-return]
    return None


def counterpart(op: Any) -> Callable[..., Any] | None:
    """Return what the table's entry calls, in gradsmith: the function, the method or the wrapper.

    Some entries wrap the function (``lambda x, dims: x.repeat(dims)``); the wrapper is taken as it
    is, with gradsmith where it says ``torch``.
    """
    function = ours(op.name)
    found: Any = torch
    for part in op.name.split("."):
        found = getattr(found, part, None)
    if function is None or op.op is found:
        return function
    if op.op is getattr(torch.Tensor, op.name, None):
        return getattr(gs.Tensor, op.name, function)
    wrapper = op.op
    names = {**wrapper.__globals__, "torch": gs, "wrapper_set_seed": _called}
    return types.FunctionType(
        wrapper.__code__, names, wrapper.__name__, wrapper.__defaults__, wrapper.__closure__
    )


def _called(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)


# Values depend on the generator, or on what memory held.
RANDOM = re.compile(
    "dropout|bernoulli|rand|normal|multinomial|empty|cauchy|exponential|geometric|uniform"
    "|fractional|rrelu|lowrank"
)
SHARED = {
    f"{op.name}{'.' + op.variant_test_name if op.variant_test_name else ''}": op
    for op in op_db
    if counterpart(op) is not None and op.name != "zero_"  # not documented as a function
}


def to_ours(value: Any) -> Any:
    """Return a value of a sample in gradsmith's terms (NotComparable where there are none)."""
    if isinstance(value, torch.Tensor):
        return _tensor(value)
    if isinstance(value, torch.dtype):
        if value not in _GS_DTYPES:
            raise NotComparable(str(value))
        return _GS_DTYPES[value]
    if isinstance(value, torch.device):
        return value.type
    foreign = (torch.layout, torch.memory_format, torch.Generator, torch.nn.Module, complex)
    if isinstance(value, foreign) or getattr(value, "__module__", "").startswith("torch"):
        raise NotComparable(str(value))
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        return type(value)(to_ours(each) for each in value)
    if isinstance(value, torch.Size):
        return tuple(value)
    if isinstance(value, dict):
        return {key: to_ours(each) for key, each in value.items()}
    return value


def _tensor(value: torch.Tensor) -> gs.Tensor:
    if value.dtype not in _GS_DTYPES or value.layout != torch.strided or value.is_meta:
        raise NotComparable(f"{value.dtype}, {value.layout}, {value.device}")
    if value.ndim > _MOST_DIMENSIONS:
        raise NotComparable(f"{value.ndim} dimensions")
    detached = value.detach()
    if value.dtype == torch.bfloat16:
        array = detached.float().numpy().astype(ml_dtypes.bfloat16)
    else:
        array = detached.numpy()
    return gs.Tensor(array.copy(order="K"), requires_grad=value.requires_grad)


def leaves(value: Any, kind: type) -> list[Any]:
    """Return the tensors of a nested result or argument, in order."""
    if isinstance(value, kind):
        return [value]
    if isinstance(value, dict):
        return [each for item in value.values() for each in leaves(item, kind)]
    if isinstance(value, (list, tuple)):
        return [each for item in value for each in leaves(item, kind)]
    return []


def as_array(tensor: Any) -> np.ndarray:
    """Return a tensor of either library as an array, bfloat16 widened."""
    detached = tensor.detach()
    if isinstance(tensor, torch.Tensor):
        return (detached.float() if tensor.dtype == torch.bfloat16 else detached).numpy(force=True)
    array: np.ndarray = detached.numpy()
    return array.astype(np.float32) if array.dtype == ml_dtypes.bfloat16 else array


def samples(op: Any, dtype: str, limit: int) -> Iterator[Any]:
    """Yield up to ``limit`` samples, spread over all there are."""
    gradients = dtype == "float64" and op.supports_autograd
    torch.manual_seed(0)  # the same samples whichever tests ran before
    found = list(op.sample_inputs("cpu", DTYPES[dtype], requires_grad=gradients))
    step = max(1, -(-len(found) // limit))
    yield from found[::step]


def complaint(op: Any, sample: Any, dtype: str, values: bool = True) -> str | None:
    """Return how the libraries differ on a sample, or None."""
    function = counterpart(op)
    assert function is not None
    return compared(op.name, function, op.op, sample, dtype, values)


def compared(
    name: str, mine: Any, theirs: Any, sample: Any, dtype: str, values: bool = True
) -> str | None:
    """Return how two functions differ on a sample, or None."""
    try:
        args = to_ours((sample.input, *sample.args))
        kwargs = to_ours(sample.kwargs)
    except NotComparable:
        return None
    values = values and not sample.kwargs.get("dropout_p")
    inputs = leaves((sample.input, sample.args, sample.kwargs), torch.Tensor)
    dtypes = [dtype, *(_name(each) for each in inputs), *(["float32"] if name in _ROUGH else [])]
    precision = max(dtypes, key=_looseness)
    label = f"{_brief(sample.input)}, args {_brief(sample.args)}, kwargs {_brief(sample.kwargs)}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = theirs(sample.input, *sample.args, **sample.kwargs)
        except (RuntimeError, ValueError, TypeError, IndexError):
            return None  # PyTorch refuses the sample itself
        if any(each.is_complex() for each in leaves(expected, torch.Tensor)):
            return None
        try:
            got = mine(*args, **kwargs)
        except Exception as error:
            return f"{label}: {type(error).__name__}: {str(error)[:150]}"
        defined = _DEFINED.get(name, lambda result: result)
        difference = _difference(defined(got), defined(expected), precision, values)
        if difference is None and dtype == "float64" and values:
            difference = _gradient_difference((args, kwargs), sample, got, expected, precision)
    return None if difference is None else f"{label}: {difference}"


# Right to 7 digits only in PyTorch, in float64 too.
_ROUGH = [f"special.bessel_{kind}" for kind in ("j0", "j1", "y0", "y1")]


def _name(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _looseness(dtype: str) -> float:
    return TOLERANCES.get(dtype, (0.0, 0.0))[0]


def _brief(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
    if isinstance(value, (list, tuple)):
        return "(" + ", ".join(_brief(each) for each in value) + ")"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_brief(each)}" for key, each in value.items()) + "}"
    return repr(value)[:40]


def _without_places(result: Any) -> Any:
    """Return the values of a (values, indices) pair; of indices alone only the shape is left."""
    if isinstance(result, tuple):
        return result[0]
    return result * 0 if str(result.dtype).endswith("int64") else result


def _without_signs(result: Any) -> Any:
    """Return U, S and V or Vh without signs and without the columns that are arbitrary."""
    u, s, v = result
    kept = s.shape[-1]
    return abs(u[..., :kept]), s, abs(v[..., :kept, :kept])


def _eigen_without_signs(result: Any) -> Any:
    return result[0], abs(result[1])


# Which of several equal elements comes first is left open, as is the sign of singular vectors.
_PLACES = ("sort", "topk", "argsort", "msort", "kthvalue", "mode", "median", "nanmedian")
_DEFINED: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(_PLACES, _without_places),
    **dict.fromkeys(("svd", "linalg.svd"), _without_signs),
    "linalg.eigh": _eigen_without_signs,
}


def _difference(got: Any, expected: Any, dtype: str, values: bool) -> str | None:
    if not leaves(expected, torch.Tensor):
        plain = got == expected or tuple(np.atleast_1d(got)) == tuple(np.atleast_1d(expected))
        return None if plain else f"got {got!r}, PyTorch {expected!r}"
    mine, theirs = leaves(got, gs.Tensor), leaves(expected, torch.Tensor)
    if len(mine) != len(theirs):
        return f"{len(mine)} results, PyTorch {len(theirs)}"
    for number, (a, b) in enumerate(zip(mine, theirs, strict=True)):
        if tuple(a.shape) != tuple(b.shape):
            return f"result {number} has shape {a.shape}, PyTorch {tuple(b.shape)}"
        if b.dtype in _GS_DTYPES and a.dtype != _GS_DTYPES[b.dtype]:
            return f"result {number} is {a.dtype}, PyTorch {b.dtype}"
        if values and not close(as_array(a), as_array(b), dtype):
            return f"result {number} differs: {_worst(as_array(a), as_array(b))}"
    return None


def close(got: np.ndarray, expected: np.ndarray, dtype: str) -> bool:
    """Return whether arrays agree within the tolerance of the dtype under test."""
    relative, absolute = TOLERANCES.get(dtype, TOLERANCES["float32"])
    if dtype in ("float32", "bfloat16", "float16") and expected.size and expected.dtype.kind == "f":
        # Rounding is relative to the largest terms of a sum.
        absolute *= max(
            1.0, float(np.max(np.abs(expected), where=np.isfinite(expected), initial=0))
        )
    return bool(np.allclose(got, expected, relative, absolute, equal_nan=True))


def _worst(got: np.ndarray, expected: np.ndarray) -> str:
    with np.errstate(all="ignore"):
        wide_got, wide_expected = got.astype(np.float64), expected.astype(np.float64)
        error = np.abs(wide_got - wide_expected)
        both = np.isnan(wide_got) & np.isnan(wide_expected)
        error = np.where(both, 0, np.where(np.isnan(error), np.inf, error))
    place = np.unravel_index(np.argmax(error), error.shape) if error.size else ()
    return f"{wide_got[place]!r} at {tuple(map(int, place))}, PyTorch {wide_expected[place]!r}"


def _gradient_difference(
    mine: Any, sample: Any, got: Any, expected: Any, precision: str
) -> str | None:
    """Compare the gradients of the sum of squares of the results."""
    inputs = leaves((sample.input, sample.args, sample.kwargs), torch.Tensor)
    wanted = [x for x in inputs if x.requires_grad]
    outputs = [y for y in leaves(expected, torch.Tensor) if y.requires_grad and y.numel()]
    if not wanted or not outputs:
        return None
    own_wanted = [x for x in leaves(mine, gs.Tensor) if x.requires_grad]
    own_outputs = [y for y in leaves(got, gs.Tensor) if y.requires_grad and y.numel()]
    if len(own_outputs) != len(outputs):
        return f"{len(own_outputs)} results carry gradients, PyTorch {len(outputs)}"
    try:
        theirs = torch.autograd.grad([(y * y).sum() for y in outputs], wanted, allow_unused=True)
    except NotImplementedError:
        return None
    try:
        ours_ = gs.autograd.grad(
            [(y * y).sum() for y in own_outputs], own_wanted, allow_unused=True
        )
    except Exception as error:
        return f"backward: {type(error).__name__}: {str(error)[:150]}"
    for number, (a, b) in enumerate(zip(ours_, theirs, strict=True)):
        zero_a = a is None or not np.any(as_array(a))
        zero_b = b is None or not np.any(as_array(b))
        if zero_a and zero_b:
            continue
        if a is None or b is None:
            return f"gradient {number} is {'missing' if a is None else 'there, not in PyTorch'}"
        if not close(as_array(a), as_array(b), precision):
            return f"gradient {number} differs: {_worst(as_array(a), as_array(b))}"
    return None


def complaints(op: Any) -> Iterator[str]:
    """Yield how the libraries differ on the samples of an entry, each beginning with the dtype."""
    for dtype, own in DTYPES.items():
        if own not in op.dtypes:
            continue
        limit = 40 if dtype in ("float64", "int64") else 12
        for sample in samples(op, dtype, limit):
            text = complaint(op, sample, dtype, values=not RANDOM.search(op.name))
            if text is not None:
                yield f"{dtype} {text}"
    if op.error_inputs_func is not None:
        for sample in op.error_inputs("cpu"):
            text = error_complaint(op, sample)
            if text is not None:
                yield f"error {text}"


def error_complaint(op: Any, sample: Any) -> str | None:
    """Return how a call went that PyTorch refuses, or None if it is refused here too."""
    function = counterpart(op)
    assert function is not None
    case = sample.sample_input
    try:
        args, kwargs = to_ours((case.input, *case.args)), to_ours(case.kwargs)
    except NotComparable:
        return None
    label = f"{_brief(case.input)}, args {_brief(case.args)}, kwargs {_brief(case.kwargs)}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            function(*args, **kwargs)
        except REFUSALS:
            return None
        except Exception as error:
            return f"{label}: {type(error).__name__}: {error}"
    return f"{label}: accepted; PyTorch: {sample.error_regex[:80]}"

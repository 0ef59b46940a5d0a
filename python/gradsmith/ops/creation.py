# SPDX-License-Identifier: Apache-2.0
"""Making tensors: from data, filled, and from ranges of numbers. Random ones are in `random`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradsmith.backend import (
    EXTENSIONS,
    FLOATING,
    Array,
    Device,
    DType,
    as_device,
    as_dtype,
    extension_of,
    get_default_dtype,
    int64,
    moved,
)
from gradsmith.ops.options import check_int, check_number, names_errors
from gradsmith.ops.shape import sizes
from gradsmith.tensor import Tensor, array_of, as_array, wrap

Place = Device | str | None


def _finished(array: Array, requires_grad: bool) -> Tensor:
    out = wrap(array)
    return out.requires_grad_() if requires_grad else out


@names_errors
def tensor(data: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor that holds a copy of the data.

    Args:
        data: number, nested lists, array or tensor. Python floats become the default dtype,
            integers int64; arrays keep their dtype.
        dtype: convert to this dtype.
        device: where to put it (default: arrays and tensors stay where they are, other data comes
            to the CPU).
        requires_grad: whether ops on it are recorded.

    Raises:
        TypeError: the data is no number, or the dtype is unknown.
        ValueError: nested lists are ragged, or the device is unknown.
        RuntimeError: the device cannot be used here.
    """
    array = as_array(data, None if dtype is None else as_dtype(dtype))
    if device is not None:
        there = moved(array, as_device(device))
        if there is not array:
            return _finished(there, requires_grad)
    return _finished(EXTENSIONS[type(array)].copy_of(array), requires_grad)


@names_errors
def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """Return the data as a tensor that shares its memory where dtype and device allow.

    A tensor of that dtype is returned itself, still on the tape.

    Raises:
        TypeError: the data is no number, or the dtype is unknown.
    """
    place = None if device is None else as_device(device)
    if isinstance(data, Tensor):
        return data.to(device=place, dtype=dtype)
    return wrap(as_array(data, None if dtype is None else as_dtype(dtype), place))


def from_numpy(ndarray: Array) -> Tensor:
    """Return a tensor that shares the memory of an array.

    Raises:
        TypeError: it is no array, or has a dtype gradsmith lacks.
    """
    if type(ndarray) in EXTENSIONS and type(ndarray) is not np.ndarray:
        raise TypeError("from_numpy: got an array on a device, expected a NumPy array on cpu")
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"from_numpy: got a {type(ndarray).__name__}, expected a NumPy array")
    as_dtype(ndarray.dtype)
    return wrap(ndarray)


# ---- filled --------------------------------------------------------------------------------------


# No address is longer, so no machine has more bytes.
_ADDRESS_BITS = 48


def _shape(op: str, size: tuple[Any, ...], dtype: DType) -> tuple[int, ...]:
    shape = sizes(op, size)
    if any(each < 0 for each in shape):
        raise ValueError(f"{op}: got shape {shape}, expected sizes >= 0")
    if math.prod(shape) * dtype.itemsize >= 2**_ADDRESS_BITS:
        raise MemoryError(f"{op}: a tensor of shape {shape} is larger than memory can be")
    return shape


def _dtype(dtype: Any) -> DType:
    return get_default_dtype() if dtype is None else as_dtype(dtype)


@names_errors
def zeros(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return zeros of a shape given as ints or as one tuple.

    Raises:
        ValueError: a size is negative.
        MemoryError: the tensor would not fit.
    """
    wanted = _dtype(dtype)
    array = extension_of(device).zeros(_shape("zeros", size, wanted), wanted)
    return _finished(array, requires_grad)


@names_errors
def empty(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor of arbitrary content (see `zeros`)."""
    wanted = _dtype(dtype)
    array = extension_of(device).empty(_shape("empty", size, wanted), wanted)
    return _finished(array, requires_grad)


@names_errors
def ones(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return ones (see `zeros`)."""
    return _filled("ones", size, 1, _dtype(dtype), device, requires_grad)


@names_errors
def full(
    size: Any,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return a tensor that holds ``fill_value`` everywhere; its type gives the default dtype.

    Raises:
        ValueError: a size is negative.
        MemoryError: the tensor would not fit.
    """
    if dtype is None:
        dtype = as_array(fill_value).dtype
    value = fill_value.item() if isinstance(fill_value, (Tensor, np.generic)) else fill_value
    return _filled("full", (size,), value, as_dtype(dtype), device, requires_grad)


def _filled(
    op: str, size: Any, value: Any, dtype: DType, device: Place, requires_grad: bool
) -> Tensor:
    array = extension_of(device).full(_shape(op, size, dtype), value, dtype)
    return _finished(array, requires_grad)


def _like(op: str, input: Tensor, dtype: Any, device: Any) -> tuple[Any, tuple[int, ...], DType]:
    array = array_of(op, input)
    wanted = array.dtype if dtype is None else as_dtype(dtype)
    extension = EXTENSIONS[type(array)] if device is None else extension_of(device)
    return extension, array.shape, wanted


@names_errors
def zeros_like(
    input: Tensor, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Return zeros of the shape and dtype of ``input``, on its device unless one is given."""
    extension, shape, wanted = _like("zeros_like", input, dtype, device)
    return _finished(extension.zeros(shape, wanted), requires_grad)


@names_errors
def ones_like(
    input: Tensor, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Return ones of the shape and dtype of ``input``, on its device unless one is given."""
    extension, shape, wanted = _like("ones_like", input, dtype, device)
    return _finished(extension.full(shape, 1, wanted), requires_grad)


@names_errors
def full_like(
    input: Tensor,
    fill_value: float,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return a tensor of the shape and dtype of ``input`` that holds ``fill_value``."""
    extension, shape, wanted = _like("full_like", input, dtype, device)
    return _finished(extension.full(shape, fill_value, wanted), requires_grad)


@names_errors
def empty_like(
    input: Tensor, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Return a tensor of the shape and dtype of ``input`` and of arbitrary content."""
    extension, shape, wanted = _like("empty_like", input, dtype, device)
    return _finished(extension.empty(shape, wanted), requires_grad)


# ---- ranges --------------------------------------------------------------------------------------


def _number(op: str, argument: str, value: Any) -> float:
    """Return a number, also one in a 0-d tensor or a NumPy scalar, as Python's int or float.

    Raises:
        TypeError: it is none.
        ValueError: it is an integer that does not fit in 64 bits.
    """
    if isinstance(value, np.generic) or (isinstance(value, Tensor) and value.ndim == 0):
        value = value.item()
    if isinstance(value, int):
        return check_int(op, argument, int(value))
    return check_number(op, argument, value)


def _check_room(op: str, count: int, dtype: DType) -> None:
    """Let our allocator refuse what NumPy would try to make and the system end the process for."""
    extension_of(None).empty(_shape(op, (count,), dtype), dtype)


@names_errors
def arange(
    start: float,
    end: float | None = None,
    step: float = 1,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return the numbers from ``start`` up to but without ``end``, ``step`` apart.

    Args:
        start: first number; with one argument, the end of a range from 0.
        end: where to stop.
        step: distance of neighbours, may be negative.
        dtype: int64 by default, the default floating dtype if an argument is a float.
        device: where to put it (default CPU).
        requires_grad: whether ops on it are recorded.

    Raises:
        ValueError: the step is 0 or leads away from the end.
        MemoryError: the tensor would not fit.
    """
    if end is None:
        start, end = 0, start
    start, end = _number("arange", "start", start), _number("arange", "end", end)
    step = _number("arange", "step", step)
    if step == 0 or not math.isfinite(end - start) or (end - start) / step < 0:
        raise ValueError(f"arange: no range goes from {start} to {end} in steps of {step}")
    floating = any(isinstance(each, float) for each in (start, end, step))
    wanted = (get_default_dtype() if floating else int64) if dtype is None else as_dtype(dtype)
    if floating and wanted == int64:  # whole numbers, as PyTorch's
        whole = int(start), int(end), int(step)
        return arange(*whole, device=device, requires_grad=requires_grad)
    count = math.ceil((end - start) / step)
    if wanted not in FLOATING:
        start, step, floating = int(start), int(step), False
    counting = np.dtype(np.float64 if floating else np.int64)
    _check_room("arange", count, counting)
    values = np.arange(count, dtype=counting)
    values *= step
    values += start
    return _finished(_cast(values, wanted, device), requires_grad)


def _spaced(op: str, start: float, end: float, steps: int, dtype: Any) -> tuple[Array, DType]:
    wanted = _dtype(dtype)
    if check_int(op, "steps", steps) < 0:
        raise ValueError(f"{op}: steps is {steps}, expected a number >= 0")
    _check_room(op, steps, np.dtype(np.float64))
    first, last = _number(op, "start", start), _number(op, "end", end)
    if wanted not in FLOATING:
        return _spaced_integers(int(first), int(last), steps), wanted
    with np.errstate(all="ignore"):  # infinite ends
        return np.linspace(first, last, steps), wanted


def _spaced_integers(first: int, last: int, steps: int) -> Array:
    """Return numbers counted from the nearer of two whole ends, so that cutting is symmetric."""
    step = (last - first) / max(steps - 1, 1)
    places = np.arange(steps)
    return np.where(places < max(steps // 2, 1), first + step * places, last - step * places[::-1])


@names_errors
def linspace(
    start: float,
    end: float,
    steps: int,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return ``steps`` evenly spaced numbers from ``start`` to ``end``, both included.

    Raises:
        TypeError: an argument is no number, or ``steps`` no integer.
        ValueError: ``steps`` is negative.
        MemoryError: the tensor would not fit.
    """
    values, wanted = _spaced("linspace", start, end, steps, dtype)
    return _finished(_cast(values, wanted, device), requires_grad)


def _cast(values: Array, dtype: DType, device: Place) -> Array:
    """Return numbers that NumPy made on the host with a dtype and on a device."""
    array: Array = extension_of(None).cast(values, dtype)
    return moved(array, as_device(device))


@names_errors
def logspace(
    start: float,
    end: float,
    steps: int,
    base: float = 10.0,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return ``base`` to the power of evenly spaced exponents (see `linspace`)."""
    exponents, wanted = _spaced("logspace", start, end, steps, dtype)
    with np.errstate(all="ignore"):
        values = np.power(_number("logspace", "base", base), exponents)
    return _finished(_cast(values, wanted, device), requires_grad)


@names_errors
def eye(
    n: int,
    m: int | None = None,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return the matrix (n, m) with ones on its diagonal; ``m`` is ``n`` by default.

    Raises:
        ValueError: a size is negative.
        MemoryError: the tensor would not fit.
    """
    wanted = _dtype(dtype)
    array = extension_of(None).zeros(_shape("eye", (n, n if m is None else m), wanted), wanted)
    np.fill_diagonal(array, 1)
    return _finished(moved(array, as_device(device)), requires_grad)


@names_errors
def tril_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = int64, device: Any = None
) -> Tensor:
    """Return rows and columns (2, K) of the elements on and below a diagonal."""
    return _places("tril_indices", row, col, offset, dtype, device)


@names_errors
def triu_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = int64, device: Any = None
) -> Tensor:
    """Return rows and columns (2, K) of the elements on and above a diagonal."""
    return _places("triu_indices", row, col, offset, dtype, device)


def _places(op: str, row: int, col: int, offset: int, dtype: Any, device: Place) -> Tensor:
    shape = _shape(op, (row, col), int64)
    check_int(op, "offset", offset)
    places = np.stack(getattr(np, op)(shape[0], offset, shape[1]))
    return wrap(_cast(places, as_dtype(dtype), device))

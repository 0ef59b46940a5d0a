# SPDX-License-Identifier: Apache-2.0
"""Reading, writing and adding by index: gather, scatter, index_select and their relatives.

Indexing with brackets is in `indexing_items`. Equal indices add up in their order, for any number
of threads; an index out of range raises IndexError before anything is written.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradsmith.autograd import Node, record
from gradsmith.autograd.mode import cast_together
from gradsmith.backend import (
    EXTENSIONS,
    FLOATING,
    Array,
    DType,
    bool_,
    compute_dtype,
    int64,
    like,
    on_host,
)
from gradsmith.ops.elementwise import lt, mul, where
from gradsmith.ops.options import check_number, names_errors
from gradsmith.ops.shape import axis_of, expand, reshape
from gradsmith.tensor import Tensor, array_of, constant_array_of, wrap


def index_tensor(op: str, index: Any, argument: str = "index") -> Tensor:
    """Return an integer tensor as int64.

    Raises:
        TypeError: it is no tensor, or holds no integers.
    """
    array = array_of(op, index, argument)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{op}: {argument} is {array.dtype}, expected int64")
    if array.dtype == int64:
        return index if isinstance(index, Tensor) else wrap(array)
    return wrap(EXTENSIONS[type(array)].cast(array, int64))


def number_of(op: str, value: Any, dtype: DType) -> float | int | bool:
    """Return a number as an element of ``dtype`` holds it.

    Raises:
        TypeError: it is no number.
        ValueError: an integer dtype is given a fraction, or a tensor requires a gradient.
    """
    if isinstance(value, Tensor):
        constant_array_of(op, value, "value")
    if isinstance(value, (np.generic, Tensor)) and value.ndim == 0:
        value = value.item()
    if not isinstance(value, (bool, int, float)):
        raise TypeError(f"{op}: value is a {type(value).__name__}, expected a number")
    if dtype in FLOATING:
        return float(value)
    if dtype == bool_:
        return bool(value)
    if not math.isfinite(value) or value != int(value):
        raise ValueError(f"{op}: value is {value}, expected an integer for a {dtype} tensor")
    return int(value)


def accumulated(x: Array, add: Callable[[Array, DType], None]) -> Array:
    """Return a copy of ``x`` after ``add(copy, dtype)``; in the dtype that it computes in."""
    extension = EXTENSIONS[type(x)]
    result: Array
    dtype = compute_dtype(x.dtype)
    if x.dtype == dtype:
        result = extension.copy_of(x)
        add(result, dtype)
        return result
    wide = extension.cast(x, dtype)
    add(wide, dtype)
    result = extension.cast(wide, x.dtype)
    return result


def zeros(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Return zeros with the dtype and on the device of a tensor."""
    return wrap(EXTENSIONS[type(like._array)].zeros(shape, like._array.dtype))


def check_same_dtype(op: str, input: Array, source: Array, argument: str) -> None:
    """Refuse what is written into a tensor of another dtype."""
    if source.dtype != input.dtype:
        raise TypeError(f"{op}: {argument} is {source.dtype}, expected {input.dtype} as the input")


# ---- single elements -----------------------------------------------------------------------------


def _gather_backward(node: Node, dy: Tensor) -> Any:
    shape, dim, index = node.saved
    return (scatter_add(zeros(shape, dy), dim, index, dy),)


@names_errors
def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """Return the elements at ``index`` along ``dim``: ``y[i][j] = x[index[i][j]][j]`` for dim 0.

    Args:
        input: tensor of any dtype.
        dim: dimension in which the index counts.
        index: integers; as many dimensions as the input, in the others than ``dim`` no larger.
        sparse_grad: has to be False: gradients are dense.

    Raises:
        IndexError: an index or ``dim`` is out of range.
        ValueError: the shape of the index does not fit, or ``sparse_grad`` is True.
    """
    if sparse_grad:
        raise ValueError("gather: sparse_grad is True, expected False: gradients are dense")
    array = array_of("gather", input)
    axis_of("gather", dim, array.ndim)
    ids = index_tensor("gather", index)
    if not ids._array.size:
        return zeros(ids.shape, input)
    result = EXTENSIONS[type(array)].gather(array, dim, ids._array)
    return record(_gather_backward, result, (input,), (array.shape, dim, ids))


def _scatter_backward(node: Node, dy: Tensor) -> Any:
    dim, index = node.saved
    dx = scatter(dy, dim, index, 0.0) if node.needs(0) else None
    return dx, gather(dy, dim, index) if node.needs(1) else None


@names_errors
def scatter(
    input: Tensor,
    dim: int,
    index: Tensor,
    src: Tensor | float | None = None,
    *,
    value: Any = None,
    reduce: str | None = None,
) -> Tensor:
    """Return a copy with ``src`` (a tensor or one number) written at ``index`` along ``dim``.

    Of equal indices the last write stays; the gradient of each writer is that of the place.

    Args:
        input: tensor of any dtype.
        dim: dimension in which the index counts.
        index: integers, as in `gather`.
        src: tensor at least as large as the index, of the input's dtype, or a number.
        value: a number, in place of ``src``.
        reduce: ``"add"`` or ``"multiply"`` combines with what is there (see `scatter_reduce`).

    Raises:
        IndexError: an index or ``dim`` is out of range; nothing is written then.
        TypeError, ValueError: dtype or shape of ``src`` or the index do not fit, or ``reduce`` is
            unknown.
    """
    array = array_of("scatter", input)
    axis_of("scatter", dim, array.ndim)
    ids = index_tensor("scatter", index)
    if not ids._array.size:
        return input.clone()
    values = scatter_source("scatter", array, ids, src, value)
    if reduce is not None:
        from gradsmith.ops.indexing_reduce import scatter_reduce

        if reduce not in ("add", "multiply"):
            raise ValueError(f"scatter: reduce is {reduce!r}, expected 'add' or 'multiply'")
        every = expand(values, ids.shape)
        return scatter_reduce(input, dim, ids, every, "sum" if reduce == "add" else "prod")
    result = EXTENSIONS[type(array)].copy_of(array)
    EXTENSIONS[type(array)].scatter(result, dim, ids._array, values._array)
    return record(_scatter_backward, result, (input, values), (dim, ids))


def scatter_source(op: str, input: Array, index: Tensor, src: Any, value: Any) -> Tensor:
    """Return what a scatter writes: the part of ``src`` the index covers, or a 0-d tensor."""
    if (src is None) == (value is None):
        raise TypeError(f"{op}: expected either src or value")
    given = value if src is None else src
    if not isinstance(given, Tensor) or src is None:
        number = number_of(op, given, input.dtype)
        return wrap(EXTENSIONS[type(input)].full((), number, input.dtype))
    check_same_dtype(op, input, given._array, "src")
    shape = index.shape
    if given.shape == shape:
        return given
    if given.ndim != len(shape) or any(a < b for a, b in zip(given.shape, shape, strict=True)):
        raise ValueError(
            f"{op}: src has shape {given.shape}, expected at least that of the index, {shape}"
        )
    from gradsmith.ops.indexing_items import getitem

    return getitem(given, tuple(slice(size) for size in shape))


def _scatter_add_backward(node: Node, dy: Tensor) -> Any:
    dim, index = node.saved
    return dy, gather(dy, dim, index) if node.needs(1) else None


@names_errors
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """Return a copy with ``src`` added at ``index`` along ``dim``; arguments as in `scatter`.

    Raises:
        IndexError: an index or ``dim`` is out of range.
        TypeError, ValueError: dtype or shape of ``src`` or the index do not fit.
    """
    input, src = cast_together(input, src)
    array = array_of("scatter_add", input)
    axis_of("scatter_add", dim, array.ndim)
    ids = index_tensor("scatter_add", index)
    array_of("scatter_add", src, "src")
    values = scatter_source("scatter_add", array, ids, src, None)
    extension = EXTENSIONS[type(array)]

    def add(target: Array, dtype: DType) -> None:
        extension.scatter_add(target, dim, ids._array, extension.cast(values._array, dtype))

    return record(_scatter_add_backward, accumulated(array, add), (input, values), (dim, ids))


@names_errors
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """Return `gather` after broadcasting input and indices in all dimensions but ``dim``.

    Without ``dim`` both are taken as flat. Negative indices count from the end.

    Raises:
        IndexError: an index or ``dim`` is out of range.
        ValueError: the shapes do not broadcast.
    """
    op = "take_along_dim"
    array = array_of(op, input)
    ids = index_tensor(op, indices, "indices")
    if dim is None:
        return take_along_dim(reshape(input, -1), reshape(ids, -1), 0)
    if array.ndim != ids.ndim:
        raise ValueError(
            f"{op}: indices have shape {ids.shape}, expected {array.ndim} dimensions as the input"
        )
    axis = axis_of(op, dim, array.ndim)
    sizes = list(zip(array.shape, ids.shape, strict=True))
    for d, (a, b) in enumerate(sizes):
        if d != axis and a != b and 1 not in (a, b):
            raise ValueError(
                f"{op}: input of shape {array.shape} and indices of shape {ids.shape} do not "
                f"broadcast in dimension {d}"
            )
    common = [b if a == 1 else a for a, b in sizes]
    x_shape = [a if d == axis else common[d] for d, (a, _) in enumerate(sizes)]
    id_shape = [b if d == axis else common[d] for d, (_, b) in enumerate(sizes)]
    counted = where(lt(ids, 0), ids + array.shape[axis], ids) if array.ndim else ids
    return gather(expand(input, x_shape), axis, expand(counted, id_shape))


# ---- whole slices --------------------------------------------------------------------------------


def _index_select_backward(node: Node, dy: Tensor) -> Any:
    shape, dim, index, wraps = node.saved
    return (_add_slices("index_select", zeros(shape, dy), dim, index, dy, 1, wraps),)


def _select(op: str, input: Tensor, dim: int, index: Tensor, wraps: bool) -> Tensor:
    array = array_of(op, input)
    axis_of(op, dim, array.ndim)
    ids = index_tensor(op, index)
    if ids.ndim > 1:
        raise ValueError(f"{op}: index has shape {ids.shape}, expected one dimension")
    flat = ids._array.reshape(-1)
    result = EXTENSIONS[type(array)].index_get(array, dim, [flat], wraps, op)
    if array.ndim == 0:
        result = result.reshape(())
    return record(_index_select_backward, result, (input,), (array.shape, dim, ids, wraps))


@names_errors
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """Return the slices of ``input`` at ``index`` (one dimension) along ``dim``.

    Raises:
        IndexError: an index or ``dim`` is out of range.
        ValueError: the index has more than one dimension.
    """
    return _select("index_select", input, dim, index, wraps=False)


@names_errors
def take(input: Tensor, index: Tensor) -> Tensor:
    """Return the elements of the flattened input at ``index``, in the shape of the index.

    Raises:
        IndexError: an index is out of range (negative ones count from the end).
    """
    ids = index_tensor("take", index)
    picked = _select("take", reshape(input, -1), 0, reshape(ids, -1), wraps=True)
    return reshape(picked, ids.shape)


def _index_add_backward(node: Node, dy: Tensor) -> Any:
    dim, index, alpha, wraps = node.saved
    dsource = None
    if node.needs(1):
        dsource = _select("index_add", dy, dim, index, wraps)
        dsource = dsource if alpha == 1 else mul(dsource, alpha)
    return dy, dsource


def _add_slices(
    op: str, input: Tensor, dim: int, index: Tensor, source: Tensor, alpha: float, wraps: bool
) -> Tensor:
    array = array_of(op, input)
    extension = EXTENSIONS[type(array)]

    def add(target: Array, dtype: DType) -> None:
        add_slices_into(op, target, dim, index, extension.cast(source._array, dtype), alpha, wraps)

    return record(
        _index_add_backward, accumulated(array, add), (input, source), (dim, index, alpha, wraps)
    )


def add_slices_into(
    op: str, target: Array, dim: int, index: Tensor, rows: Array, alpha: float, wraps: bool
) -> None:
    """Add ``alpha * rows`` to the slices of ``target`` at ``index`` along ``dim``."""
    if target.ndim == 0:
        target, rows = target.reshape(1), rows.reshape(-1)
    flat = index._array.reshape(-1)
    EXTENSIONS[type(target)].index_add(target, dim, [flat], rows, float(alpha), wraps, op)


@names_errors
def index_add(
    input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1
) -> Tensor:
    """Return a copy with ``alpha * source`` added, slice k of the source on slice index[k].

    Args:
        input: tensor of numbers.
        dim: dimension in which the index counts.
        index: integers, one dimension.
        source: the input's shape, but in ``dim`` the length of the index; the input's dtype.
        alpha: factor of the source.

    Raises:
        IndexError: an index or ``dim`` is out of range.
        TypeError, ValueError: dtype or shape of source or index do not fit.
    """
    ids = index_tensor("index_add", index)
    if ids.ndim > 1:
        raise ValueError(f"index_add: index has shape {ids.shape}, expected one dimension")
    array = array_of("index_add", input)
    axis_of("index_add", dim, array.ndim)
    check_number("index_add", "alpha", alpha)
    check_same_dtype("index_add", array, array_of("index_add", source, "source"), "source")
    if array.dtype not in FLOATING and alpha != 1:
        source, alpha = mul(source, alpha), 1
        check_same_dtype("index_add", array, source._array, "alpha * source")
    return _add_slices("index_add", input, dim, ids, source, alpha, wraps=False)


@names_errors
def unravel_index(indices: Tensor, shape: int | Sequence[int]) -> tuple[Tensor, ...]:
    """Return the coordinates, one tensor for each dimension, of places in a flattened tensor.

    Args:
        indices: integers of any shape.
        shape: that of the tensor.

    Raises:
        TypeError: the indices are no integers.
        ValueError: one lies outside of the tensor.

    >>> import gradsmith as gs
    >>> gs.unravel_index(gs.tensor([1, 5]), (2, 3))
    (tensor([0, 1]), tensor([1, 2]))
    """
    array = index_tensor("unravel_index", indices, "indices")._array
    size = (shape,) if isinstance(shape, int) else tuple(shape)
    places = np.unravel_index(on_host(array), size)
    return tuple(wrap(like(np.asarray(each), array)) for each in places)

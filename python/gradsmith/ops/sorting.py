# SPDX-License-Identifier: Apache-2.0
"""Elements in order, and elements of a rank: sort, topk, median, the k-th and the most frequent.

Order is stable, and NaN counts as larger than every number. Values carry gradients to where they
came from.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradsmith.autograd import Node, record
from gradsmith.backend import EXTENSIONS, Array, bfloat16, float32, int64, like, on_host
from gradsmith.ops.indexing import gather
from gradsmith.ops.options import check_flag, check_int, names_errors
from gradsmith.ops.reduce import ValuesAndIndices, shared_by_equals
from gradsmith.ops.shape import axis_of, flatten, squeeze
from gradsmith.tensor import Tensor, array_of, wrap


def comparable_on_host(array: Array) -> Array:
    """Return an array as NumPy reads and compares it: bfloat16, foreign to it, as float32."""
    if array.dtype == bfloat16:
        array = EXTENSIONS[type(array)].cast(array, float32)
    return on_host(array)


def first_index(input: Tensor) -> Tensor:
    """Return where the only element of a 0-d tensor is."""
    return wrap(EXTENSIONS[type(input._array)].zeros((), int64))


def _sort_backward(node: Node, dy: Tensor) -> Any:
    shape, axis, places = node.saved
    extension = EXTENSIONS[type(dy._array)]
    dx = extension.zeros(shape, dy._array.dtype)
    # No place is named twice, so that to write is to add.
    extension.scatter(dx, axis, places._array, dy._array)
    return (record(_spread_backward, dx, (dy,), (axis, places)),)


def _spread_backward(node: Node, dy: Tensor) -> Any:
    axis, places = node.saved
    return (gather(dy, axis, places),)


def _chosen(input: Tensor, axis: int, found: tuple[Array, Array]) -> ValuesAndIndices:
    """Return elements that a kernel chose along an axis, and their places there."""
    values, places = found
    indices = wrap(places)
    saved = (input._array.shape, axis, indices)
    return ValuesAndIndices(record(_sort_backward, values, (input,), saved), indices)


def _ranks(input: Tensor, axis: int, first: int, count: int, descending: bool) -> ValuesAndIndices:
    """Return the elements of ``count`` ranks along an axis from the rank ``first`` on."""
    array = input._array
    found = EXTENSIONS[type(array)].sort(array, axis, first, count, descending)
    return _chosen(input, axis, found)


def _without(axis: int, found: ValuesAndIndices, keepdim: bool) -> ValuesAndIndices:
    if keepdim:
        return found
    return ValuesAndIndices(squeeze(found.values, axis), squeeze(found.indices, axis))


@names_errors
def sort(
    input: Tensor, dim: int = -1, descending: bool = False, stable: bool = True
) -> ValuesAndIndices:
    """Return the elements in order along ``dim``, and where they were; always stable.

    Raises:
        IndexError: there is no such dimension.
    """
    array = array_of("sort", input)
    check_flag("sort", "descending", descending)
    axis = axis_of("sort", dim, array.ndim)
    if array.ndim == 0:
        return ValuesAndIndices(input, first_index(input))
    return _ranks(input, axis, 0, array.shape[axis], descending)


@names_errors
def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """Return the indices (int64) that put ``dim`` in order (see `sort`)."""
    array = array_of("argsort", input)
    check_flag("argsort", "descending", descending)
    axis = axis_of("argsort", dim, array.ndim)
    if array.ndim == 0:
        return first_index(input)
    places: Array = EXTENSIONS[type(array)].sort(array, axis, 0, array.shape[axis], descending)[1]
    return wrap(places)


@names_errors
def msort(input: Tensor) -> Tensor:
    """Return the tensor with its first dimension in order (see `sort`)."""
    return sort(input, 0).values


@names_errors
def topk(
    input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> ValuesAndIndices:
    """Return the ``k`` largest (or smallest) elements along ``dim``, in order, and their places.

    Raises:
        ValueError: ``k`` is negative or larger than the dimension.
        IndexError: there is no such dimension.
    """
    array = array_of("topk", input)
    check_flag("topk", "largest", largest)
    axis = axis_of("topk", dim, array.ndim)
    size = array.shape[axis] if array.ndim else 1
    if not 0 <= check_int("topk", "k", k) <= size:
        raise ValueError(f"topk: k is {k}, expected 0 to {size} for dim {dim}")
    if array.ndim == 0:
        return sort(input)
    return _ranks(input, axis, 0, k, descending=largest)


def _median(op: str, input: Tensor, dim: int | None, keepdim: bool, ignores_nan: bool) -> Any:
    array = array_of(op, input)
    if dim is None:
        flat = flatten(input.detach())
        return shared_by_equals(input, _median(op, flat, 0, False, ignores_nan).values)
    axis = axis_of(op, dim, array.ndim)
    if array.ndim == 0:
        return ValuesAndIndices(input, first_index(input))
    found = EXTENSIONS[type(array)].median(array, axis, ignores_nan)
    return _without(axis, _chosen(input, axis, found), keepdim)


@names_errors
def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """Return the median of all elements, or along ``dim`` with its index; the lower of two.

    NaN where there is one. Elements equal to the median of all share its gradient evenly.

    Raises:
        ValueError: there is no element.
        IndexError: there is no such dimension.
    """
    return _median("median", input, dim, keepdim, ignores_nan=False)


@names_errors
def nanmedian(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """Return the median of what is no NaN, of all or along ``dim`` with its index.

    The lower one of two; NaN where nothing else is.

    Raises:
        ValueError: there is no element.
        IndexError: there is no such dimension.
    """
    return _median("nanmedian", input, dim, keepdim, ignores_nan=True)


@names_errors
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> ValuesAndIndices:
    """Return the ``k``-th smallest element along ``dim``, counted from 1, and where it was.

    Raises:
        ValueError: ``k`` is not from 1 to the size of the dimension.
        IndexError: there is no such dimension.
    """
    array = array_of("kthvalue", input)
    axis = axis_of("kthvalue", dim, array.ndim)
    size = array.shape[axis] if array.ndim else 1
    if not 1 <= check_int("kthvalue", "k", k) <= size:
        raise ValueError(f"kthvalue: k is {k}, expected 1 to {size} for dim {dim}")
    if array.ndim == 0:
        return ValuesAndIndices(input, first_index(input))
    return _without(axis, _ranks(input, axis, k - 1, 1, descending=False), keepdim)


@names_errors
def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> ValuesAndIndices:
    """Return the most frequent element along ``dim`` and its last place; of several the smallest.

    A NaN equals no other.

    Raises:
        ValueError: there is no element.
        IndexError: there is no such dimension.
    """
    array = array_of("mode", input)
    axis = axis_of("mode", dim, array.ndim)
    if array.ndim == 0:
        return ValuesAndIndices(input, first_index(input))
    if array.shape[axis] == 0:
        raise ValueError(f"mode: dim {dim} of shape {array.shape} has no element")
    found = EXTENSIONS[type(array)].sort(array, axis, 0, array.shape[axis], False)
    ordered, order = (np.moveaxis(comparable_on_host(each), axis, -1) for each in found)
    places = np.arange(array.shape[axis])
    begins = np.ones(ordered.shape, bool)
    begins[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    run_length = places - np.maximum.accumulate(np.where(begins, places, 0), -1)
    longest = np.argmax(run_length, -1, keepdims=True)
    index = np.moveaxis(np.take_along_axis(order, longest, -1), -1, axis)
    indices = wrap(like(np.ascontiguousarray(index), array))
    return _without(axis, ValuesAndIndices(gather(input, axis, indices), indices), keepdim)

# SPDX-License-Identifier: Apache-2.0
"""Order and search: sort, topk, median, unique, bincount, nonzero.

NumPy (or CuPy on a GPU) finds the order, for sorting has no kernels of ours; values are then
gathered, so that gradients go to where they came from.
NaN counts as larger than every number.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradsmith.backend import (
    EXTENSIONS,
    FLOATING,
    Array,
    bfloat16,
    float32,
    int64,
    library_for,
    like,
    on_host,
)
from gradsmith.ops.elementwise import isnan, where
from gradsmith.ops.options import check_flag, check_int, names_errors
from gradsmith.ops.reduce import ValuesAndIndices, any, argmax, shared_by_equals
from gradsmith.ops.shape import axis_of, flatten, squeeze
from gradsmith.tensor import Tensor, array_of, wrap


def order_of(array: Array, axis: int, descending: bool) -> Array:
    """Return the stable order of the elements along an axis, NaN as the largest."""
    library, keys = library_for(comparable(array))
    if not descending:
        return _indices(library.argsort(keys, axis=axis, kind="stable"), array)
    # Reversed before and after, so that equal elements keep their order.
    order = library.argsort(library.flip(keys, axis), axis=axis, kind="stable")
    return _indices(array.shape[axis] - 1 - library.flip(order, axis), array)


def comparable(array: Array) -> Array:
    """Return keys in a dtype that NumPy and CuPy order: bfloat16 is foreign to them."""
    if array.dtype != bfloat16:
        return array
    keys: Array = EXTENSIONS[type(array)].cast(array, float32)
    return keys


def _indices(places: Any, array: Array) -> Array:
    """Return indices as the kernels of the array's device take them."""
    there = like(places, array)
    indices: Array = EXTENSIONS[type(there)].contiguous(there)
    return indices


def first_index(input: Tensor) -> Tensor:
    """Return where the only element of a 0-d tensor is."""
    return wrap(EXTENSIONS[type(input._array)].zeros((), int64))


def gathered(input: Tensor, axis: int, order: Array) -> ValuesAndIndices:
    """Return the elements at the places of ``order`` along an axis, and these places."""
    from gradsmith.ops.indexing import gather

    indices = wrap(EXTENSIONS[type(order)].contiguous(order))
    return ValuesAndIndices(gather(input, axis, indices), indices)


def chosen(input: Tensor, axis: int, index: Array, keepdim: bool) -> ValuesAndIndices:
    """Return one element along an axis, whose index kept the dimension, and where it was."""
    values, indices = gathered(input, axis, index)
    if keepdim:
        return ValuesAndIndices(values, indices)
    return ValuesAndIndices(squeeze(values, axis), squeeze(indices, axis))


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
    return gathered(input, axis, order_of(array, axis, descending))


@names_errors
def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """Return the indices (int64) that put ``dim`` in order (see `sort`)."""
    array = array_of("argsort", input)
    check_flag("argsort", "descending", descending)
    axis = axis_of("argsort", dim, array.ndim)
    if array.ndim == 0:
        return first_index(input)
    return wrap(order_of(array, axis, descending))


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
    order = order_of(array, axis, descending=largest)
    return gathered(input, axis, order[(*(slice(None),) * axis, slice(0, k))])


@names_errors
def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """Return the median of all elements, or along ``dim`` with its index; the lower of two.

    NaN where there is one. Elements equal to the median of all share its gradient evenly.

    Raises:
        ValueError: there is no element.
        IndexError: there is no such dimension.
    """
    array = array_of("median", input)
    if dim is None:
        return shared_by_equals(input, median(flatten(input.detach()), 0).values)
    axis = axis_of("median", dim, array.ndim)
    if array.ndim == 0:
        return ValuesAndIndices(input, first_index(input))
    size = array.shape[axis]
    if size == 0:
        raise ValueError(f"median: dim {dim} of shape {array.shape} has no element")
    lead = (slice(None),) * axis
    order = order_of(array, axis, descending=False)
    middle = (size - 1) // 2
    index = order[(*lead, slice(middle, middle + 1))]
    if array.dtype in FLOATING:
        missing = isnan(input)
        first_nan = argmax(missing, axis, keepdim=True)
        index = where(any(missing, axis, keepdim=True), first_nan, wrap(index))._array
    return chosen(input, axis, index, keepdim)


@names_errors
def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """Return the distinct elements in order, or the distinct slices of ``dim``.

    Args:
        input: any tensor.
        sorted: has no effect, they always are.
        return_inverse: also return for each element the place of its value (int64).
        return_counts: also return how often each value occurs (int64).
        dim: None for elements of the flattened tensor.

    Raises:
        IndexError: there is no such dimension.
    """
    array = array_of("unique", input)
    axis = None if dim is None else axis_of("unique", dim, array.ndim)
    keys = on_host(comparable(array))
    values, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True, axis=axis)
    shape = array.shape if axis is None else (array.shape[axis],)
    results = [values.astype(array.dtype)]
    if check_flag("unique", "return_inverse", return_inverse):
        results.append(inverse.reshape(shape).astype(int64))
    if check_flag("unique", "return_counts", return_counts):
        results.append(counts.astype(int64))
    tensors = tuple(wrap(like(result, array)) for result in results)
    return tensors[0] if len(tensors) == 1 else tensors


@names_errors
def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """Return how often each integer from 0 on occurs, or the sums of their weights.

    Raises:
        TypeError: the input holds no integers.
        ValueError: the input is not 1-d or holds negative numbers, or the weights differ in shape.
    """
    array = array_of("bincount", input)
    if array.dtype.kind not in "iu":
        raise TypeError(f"bincount: got {array.dtype}, expected an integer dtype")
    numbers = on_host(array)
    if array.ndim != 1 or (numbers < 0).any():
        raise ValueError(
            f"bincount: got shape {array.shape}, expected a 1-d tensor of numbers >= 0"
        )
    if check_int("bincount", "minlength", minlength) < 0:
        raise ValueError(f"bincount: minlength is {minlength}, expected a number >= 0")
    if weights is None:
        return wrap(like(np.bincount(numbers, minlength=minlength).astype(int64), array))
    given = array_of("bincount", weights, "weights")
    if given.shape != array.shape:
        raise ValueError(f"bincount: weights has shape {given.shape}, expected {array.shape}")
    counts = np.bincount(numbers, on_host(given).astype(np.float64), minlength)
    sums = counts.astype(given.dtype if given.dtype in FLOATING else np.float64)
    return wrap(like(sums, array))


@names_errors
def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """Return where the elements are not 0, in row-major order.

    Returns:
        Positions (K, ndim), int64; with ``as_tuple`` one (K,) tensor for each dimension.
    """
    array = array_of("nonzero", input)
    library, values = library_for(comparable(array))
    places = library.nonzero(library.atleast_1d(values))
    if as_tuple:
        return tuple(wrap(_indices(place, array)) for place in places)
    return wrap(_indices(library.stack(places, axis=1)[:, : array.ndim], array))


def argwhere(input: Tensor) -> Tensor:
    """Return where the elements are not 0, in row-major order: positions (K, ndim), int64."""
    return nonzero(input)  # type: ignore[no-any-return]

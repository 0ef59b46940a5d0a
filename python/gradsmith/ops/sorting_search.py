# SPDX-License-Identifier: Apache-2.0
"""Search in sorted numbers and in sets, distinct elements, where elements are not 0: off the tape.

Found by NumPy on the host; where elements are not 0, by CuPy on a GPU.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import gradsmith._cpu as _cpu
from gradsmith.backend import EXTENSIONS, Array, bool_, int32, int64, like, on_host
from gradsmith.ops.elementwise_compare import operands
from gradsmith.ops.indexing import take_along_dim
from gradsmith.ops.options import check_flag, names_errors
from gradsmith.ops.shape import axis_of
from gradsmith.ops.sorting import comparable_on_host
from gradsmith.tensor import Tensor, array_of, wrap

_MANY_VALUES = 512


def _side(op: str, right: bool, side: str | None) -> Any:
    if side is None:
        return "right" if check_flag(op, "right", right) else "left"
    if side not in ("left", "right"):
        raise ValueError(f"{op}: side is {side!r}, expected 'left' or 'right'")
    if right and side == "left":
        raise ValueError(f"{op}: side is 'left' and right is True, expected them to agree")
    return side


def _insertion_places(keys: Array, values: Array, side: Any) -> Array:
    """Return NumPy's answer, many values in their order: neighbours then take the same way."""
    if values.size < _MANY_VALUES:
        return np.searchsorted(keys, values, side)
    ordered, order = _cpu.sort(np.ascontiguousarray(values).reshape(-1), 0, 0, values.size, False)
    places = np.empty(values.size, int64)
    places[order] = np.searchsorted(keys, ordered, side)
    return places.reshape(values.shape)


@names_errors
def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """Return where each number has to be inserted to keep the last dimension in order.

    Args:
        sorted_sequence: ascending in its last dimension.
        input: a number, or a tensor: of any shape where the sequence has one dimension, else with
            the same leading dimensions.
        out_int32: return int32 instead of int64.
        right: behind equal elements rather than before them.
        side: ``"left"`` or ``"right"``, another way to say it.
        sorter: the order of an unsorted sequence (see `argsort`).

    Raises:
        ValueError: the shapes do not fit, or side contradicts right.
    """
    op = "searchsorted"
    array_of(op, sorted_sequence, "sorted_sequence")
    sequence, wanted = operands(op, sorted_sequence, input)
    where = _side(op, right, side)
    if sequence.ndim == 0:
        raise ValueError(f"{op}: sorted_sequence has no dimension, expected at least one")
    if sorter is not None:
        if array_of(op, sorter, "sorter").shape != sequence.shape:
            raise ValueError(f"{op}: sorter has shape {sorter.shape}, expected {sequence.shape}")
        sequence = take_along_dim(sequence, sorter, -1)
    keys, values = comparable_on_host(sequence._array), comparable_on_host(wanted._array)
    if keys.ndim == 1:
        places = _insertion_places(keys, values, where)
    else:
        if wanted.shape[:-1] != sequence.shape[:-1] or wanted.ndim != sequence.ndim:
            raise ValueError(
                f"{op}: input has shape {wanted.shape}, expected {sequence.shape[:-1]} and one "
                "more dimension as sorted_sequence"
            )
        places = np.empty(values.shape, int64)
        for row in np.ndindex(keys.shape[:-1]):
            places[row] = np.searchsorted(keys[row], values[row], where)
    dtype = int32 if check_flag(op, "out_int32", out_int32) else int64
    return wrap(like(np.asarray(places).astype(dtype), wanted._array))


@names_errors
def bucketize(
    input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False
) -> Tensor:
    """Return for each number the bucket between sorted boundaries that it falls into.

    Bucket i has ``boundaries[i - 1] < x <= boundaries[i]``, or with ``right`` the first of them.

    Raises:
        ValueError: the boundaries have not one dimension.
    """
    if array_of("bucketize", boundaries, "boundaries").ndim != 1:
        raise ValueError(
            f"bucketize: boundaries has shape {boundaries.shape}, expected one dimension"
        )
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


@names_errors
def isin(
    elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False
) -> Tensor:
    """Return where elements are among the test elements; one of the two may be a number.

    Args:
        elements: what to look for.
        test_elements: where to look.
        assume_unique: has no effect, repetitions are allowed.
        invert: return where they are not.
    """
    check_flag("isin", "assume_unique", assume_unique)
    some, among = operands("isin", elements, test_elements)
    found = np.isin(
        comparable_on_host(some._array),
        comparable_on_host(among._array),
        invert=check_flag("isin", "invert", invert),
    )
    return wrap(like(found, some._array))


@names_errors
def unique_consecutive(
    input: Tensor,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """Return the first of each run of equal elements, or of equal slices of ``dim``.

    Args:
        input: any tensor.
        return_inverse: also return for each element the number of its run (int64).
        return_counts: also return the lengths of the runs (int64).
        dim: None for elements of the flattened tensor.

    Raises:
        IndexError: there is no such dimension.
    """
    op = "unique_consecutive"
    array = array_of(op, input)
    keys = comparable_on_host(array)
    axis = 0 if dim is None else axis_of(op, dim, array.ndim)
    slices = keys.reshape(-1) if dim is None else np.moveaxis(np.atleast_1d(keys), axis, 0)
    flat = slices.reshape(slices.shape[0], math.prod(slices.shape[1:]))
    begins = np.ones(flat.shape[0], bool)
    begins[1:] = (flat[1:] != flat[:-1]).any(1)
    starts = np.flatnonzero(begins)
    kept = np.moveaxis(slices[starts], 0, axis).astype(array.dtype)
    results = [kept.reshape(array.shape) if array.ndim == 0 and dim is not None else kept]
    if check_flag(op, "return_inverse", return_inverse):
        runs = np.cumsum(begins) - 1
        results.append((runs.reshape(array.shape) if dim is None else runs).astype(int64))
    if check_flag(op, "return_counts", return_counts):
        results.append(np.diff(np.append(starts, flat.shape[0])).astype(int64))
    return _on_device_of(array, results)


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
    wants_inverse = check_flag("unique", "return_inverse", return_inverse)
    if dim is None:
        values, inverse, counts = _distinct(array, wants_inverse)
    else:
        axis = axis_of("unique", dim, array.ndim)
        keys = comparable_on_host(array)
        values, inverse, counts = np.unique(keys, False, True, True, axis)
        inverse = inverse.reshape(-1)
    results = [values.astype(array.dtype)]
    if wants_inverse:
        results.append(inverse)
    if check_flag("unique", "return_counts", return_counts):
        results.append(counts.astype(int64))
    return _on_device_of(array, results)


def _distinct(array: Array, wants_inverse: bool) -> tuple[Array, Array, Array]:
    """Return the distinct elements, for each element which of them it is, and their counts."""
    extension = EXTENSIONS[type(array)]
    flat = extension.contiguous(array).reshape(-1)
    found, order = extension.sort(flat, 0, 0, flat.size, False)
    ordered = comparable_on_host(found)
    begins = np.ones(ordered.shape, bool)
    both_are_nan = (ordered[1:] != ordered[1:]) & (ordered[:-1] != ordered[:-1])
    begins[1:] = (ordered[1:] != ordered[:-1]) & ~both_are_nan
    starts = np.flatnonzero(begins)
    inverse = np.empty(array.shape, int64)
    if wants_inverse:
        inverse.reshape(-1)[on_host(order)] = np.cumsum(begins) - 1
    return ordered[starts], inverse, np.diff(np.append(starts, ordered.size))


def _on_device_of(array: Array, results: list[Array]) -> Any:
    """Return one result as a tensor on the device of an array, or several as a tuple."""
    tensors = tuple(wrap(like(result, array)) for result in results)
    return tensors[0] if len(tensors) == 1 else tensors


@names_errors
def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """Return where the elements are not 0, in row-major order.

    Returns:
        Positions (K, ndim), int64; with ``as_tuple`` one (K,) tensor for each dimension.
    """
    array = array_of("nonzero", input)
    mask = array if array.dtype == bool_ else EXTENSIONS[type(array)].ne(array, 0)
    places = EXTENSIONS[type(mask)].true_places(mask.reshape(mask.shape or 1))
    if as_tuple:
        return tuple(wrap(place) for place in places)
    return wrap(places[: array.ndim].T)


def argwhere(input: Tensor) -> Tensor:
    """Return where the elements are not 0, in row-major order: positions (K, ndim), int64."""
    return nonzero(input)  # type: ignore[no-any-return]

# SPDX-License-Identifier: Apache-2.0
"""Search in sorted numbers and in sets, runs of equal elements, histograms: off the tape.

Found by NumPy on the host, as in `reduce_order`.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from gradsmith.backend import FLOATING, Array, int32, int64, like, on_host
from gradsmith.ops.elementwise_compare import operands
from gradsmith.ops.indexing import take_along_dim
from gradsmith.ops.options import check_flag, check_int, check_number, names_errors
from gradsmith.ops.reduce_order import comparable
from gradsmith.ops.shape import axis_of
from gradsmith.tensor import Tensor, array_of, wrap


def _host(input: Tensor) -> Array:
    return on_host(comparable(input._array))


def _side(op: str, right: bool, side: str | None) -> Any:
    if side is None:
        return "right" if check_flag(op, "right", right) else "left"
    if side not in ("left", "right"):
        raise ValueError(f"{op}: side is {side!r}, expected 'left' or 'right'")
    if right and side == "left":
        raise ValueError(f"{op}: side is 'left' and right is True, expected them to agree")
    return side


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
    keys, values = _host(sequence), _host(wanted)
    if keys.ndim == 1:
        places = np.searchsorted(keys, values, where)
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
    found = np.isin(_host(some), _host(among), invert=check_flag("isin", "invert", invert))
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
    keys = _host(input)
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
    tensors = tuple(wrap(like(result, array)) for result in results)
    return tensors[0] if len(tensors) == 1 else tensors


# ---- histograms ----------------------------------------------------------------------------------


def _numbers(op: str, input: Tensor) -> Array:
    if array_of(op, input).dtype not in FLOATING:
        raise TypeError(f"{op}: got {input.dtype}, expected a floating dtype")
    return _host(input).reshape(-1)


def _limits(op: str, values: Array, low: float, high: float) -> tuple[float, float]:
    """Return the range of the bins: that of the data where both are equal."""
    if low > high:
        raise ValueError(f"{op}: min is {low} and max {high}, expected min <= max")
    if low == high and values.size:
        low, high = float(values.min()), float(values.max())
    return (low - 1, high + 1) if low == high else (low, high)


def _bins(op: str, bins: Any) -> int:
    if check_int(op, "bins", bins) < 1:
        raise ValueError(f"{op}: bins is {bins}, expected a number >= 1")
    return int(bins)


@names_errors
def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """Return how many elements fall into each of ``bins`` equal parts of [min, max].

    Args:
        input: floating tensor; what lies outside is not counted.
        bins: how many parts.
        min: start of the range; where it equals ``max``, the range is that of the data.
        max: end of the range, which belongs to the last part.

    Raises:
        TypeError: the dtype is not floating.
        ValueError: the options are no range, or the data holds NaN or infinity and gives it.
    """
    values = _numbers("histc", input)
    limits = _limits(
        "histc", values, check_number("histc", "min", min), check_number("histc", "max", max)
    )
    counts, _ = np.histogram(values, _bins("histc", bins), limits)
    return wrap(like(counts.astype(input.dtype), input._array))


class Histogram(NamedTuple):
    """Counts (or densities) of bins, and the edges of the bins."""

    hist: Tensor
    bin_edges: Tensor


@names_errors
def histogram(
    input: Tensor,
    bins: int | Tensor,
    *,
    range: tuple[float, float] | None = None,
    weight: Tensor | None = None,
    density: bool = False,
) -> Histogram:
    """Return counts of the elements in bins, and the edges of the bins.

    Args:
        input: floating tensor.
        bins: how many equal bins, or a 1-d tensor of ascending edges.
        range: lowest and highest edge (by default those of the data).
        weight: counts for each element, in the input's shape.
        density: divide by the total and the widths, so that the integral is 1.

    Raises:
        TypeError: the dtype is not floating.
        ValueError: the options do not fit.
    """
    op = "histogram"
    values = _numbers(op, input)
    if weight is not None and array_of(op, weight, "weight").shape != input.shape:
        raise ValueError(f"{op}: weight has shape {weight.shape}, expected {input.shape}")
    limits = None
    edges: Any
    if isinstance(bins, Tensor):
        edges = _host(bins)
        if edges.ndim != 1 or edges.size < 2 or range is not None:
            raise ValueError(f"{op}: bins has shape {edges.shape}, expected edges and no range")
    else:
        edges = _bins(op, bins)
        limits = range
    hist, edges = np.histogram(
        values,
        edges,
        limits,
        density=check_flag(op, "density", density),
        weights=None if weight is None else _host(weight).reshape(-1),
    )
    dtype = input.dtype
    return Histogram(*(wrap(like(each.astype(dtype), input._array)) for each in (hist, edges)))

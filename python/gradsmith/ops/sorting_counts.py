# SPDX-License-Identifier: Apache-2.0
"""How often integers occur, and numbers in bins: counted by NumPy on the host, off the tape."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from gradsmith.backend import FLOATING, Array, int64, like, on_host
from gradsmith.ops.options import check_flag, check_int, check_number, names_errors
from gradsmith.ops.sorting import comparable_on_host
from gradsmith.tensor import Tensor, array_of, wrap


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
    if array.ndim != 1 or (numbers.size and numbers.min() < 0):
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


# ---- histograms ----------------------------------------------------------------------------------


def _numbers(op: str, input: Tensor) -> Array:
    if array_of(op, input).dtype not in FLOATING:
        raise TypeError(f"{op}: got {input.dtype}, expected a floating dtype")
    return comparable_on_host(input._array).reshape(-1)


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
    number = values.dtype.type
    low, high = _limits(
        "histc", values, check_number("histc", "min", min), check_number("histc", "max", max)
    )
    if not math.isfinite(high - low):
        raise ValueError(f"histc: the range is {low} to {high}, expected finite numbers")
    count, low, high = _bins("histc", bins), number(low), number(high)
    inside = (values >= low) & (values <= high)
    shares = (values if inside.all() else values[inside]) - low
    shares *= number(count)
    shares /= high - low
    places = shares.astype(int64)
    np.minimum(places, count - 1, out=places)
    counts = np.bincount(places, minlength=count)
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
        edges = comparable_on_host(bins._array)
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
        weights=None if weight is None else comparable_on_host(weight._array).reshape(-1),
    )
    dtype = input.dtype
    return Histogram(*(wrap(like(each.astype(dtype), input._array)) for each in (hist, edges)))

# SPDX-License-Identifier: Apache-2.0
"""Fractional max pooling: windows at random, nearly even distances (Graham 2014)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from gradsmith.backend import Array, compute_dtype, like, on_host
from gradsmith.ops.elementwise import add, eq, logical_and, maximum, ne, where
from gradsmith.ops.indexing import gather
from gradsmith.ops.options import check_flag, check_number, check_sizes, names_errors
from gradsmith.ops.random import rand
from gradsmith.ops.shape import reshape
from gradsmith.tensor import Tensor, array_of, wrap

Size = int | Sequence[int]


def _starts(samples: Array, size: int, count: int, kernel: int) -> Array:
    """Return where the windows of each plane start: PyTorch's pseudo-random sequence."""
    if count == 1:
        return np.full((*samples.shape, 1), size - kernel)
    alpha = samples.dtype.type(size - kernel) / samples.dtype.type(count - 1)
    shifted: Array = (np.arange(count, dtype=samples.dtype) + samples[..., None]) * alpha
    starts: Array = shifted.astype(np.int64) - (samples[..., None] * alpha).astype(np.int64)
    starts[..., -1] = size - kernel
    if starts.size and not 0 <= starts.min() <= starts.max() <= size - kernel:
        raise ValueError("_random_samples holds numbers far outside [0, 1)")
    return starts


def _pooled_size(
    op: str, plane: tuple[int, ...], kernel: tuple[int, ...], size: Any, ratio: Any
) -> tuple[int, ...]:
    if (size is None) == (ratio is None):
        raise ValueError(f"{op}: expected either output_size or output_ratio")
    n = len(plane)
    if size is None:
        ratios = tuple(ratio) if isinstance(ratio, (tuple, list)) else (ratio,) * n
        if len(ratios) != n or any(
            not 0 < check_number(op, "output_ratio", each) < 1 for each in ratios
        ):
            raise ValueError(f"{op}: output_ratio is {ratio}, expected numbers between 0 and 1")
        size = [int(whole * each) for whole, each in zip(plane, ratios, strict=True)]
    sizes = check_sizes(op, "output_size", size, n)
    if any(count + k - 1 > whole for count, k, whole in zip(sizes, kernel, plane, strict=True)):
        raise ValueError(
            f"{op}: output_size {sizes} with kernel_size {kernel} does not fit into a plane of "
            f"{plane}"
        )
    return sizes


def _pooled(
    op: str,
    n: int,
    input: Tensor,
    kernel_size: Size,
    output_size: Size | None,
    output_ratio: float | Sequence[float] | None,
    return_indices: bool,
    given: Tensor | None,
) -> Any:
    """Return the maxima over windows in n dimensions, and their places if asked for."""
    array = array_of(op, input)
    check_flag(op, "return_indices", return_indices)
    if array.ndim not in (n + 1, n + 2):
        raise ValueError(
            f"{op}: input has shape {array.shape}, expected {n + 1} or {n + 2} dimensions"
        )
    plane, lead = array.shape[-n:], ((1,) * (n + 2 - array.ndim) + array.shape)[:2]
    kernel = check_sizes(op, "kernel_size", kernel_size, n)
    size = _pooled_size(op, plane, kernel, output_size, output_ratio)
    samples = _samples(op, (*lead, n), input, given)
    corners: Any = np.zeros(lead + (1,) * n, dtype=np.int64)
    for axis, sample in enumerate(_in_order_of_axes(samples, n)):
        starts = _starts(sample, plane[axis], size[axis], kernel[axis])
        shape = [1] * n
        shape[axis] = size[axis]
        corners = corners * plane[axis] + starts.reshape(*lead, *shape)
    first = wrap(like(corners.reshape(*lead, math.prod(size)), array))
    planes = reshape(input, (*lead, math.prod(plane)))
    winners = _winners(planes.detach(), first, _steps(plane, kernel))
    shape_out = (*array.shape[:-n], *size)
    result = reshape(gather(planes, 2, winners), shape_out)
    return (result, reshape(winners, shape_out)) if return_indices else result


def _steps(plane: tuple[int, ...], kernel: tuple[int, ...]) -> list[int]:
    """Return how far the cells of a window are from its first one in the flat plane."""
    strides = [math.prod(plane[axis + 1 :]) for axis in range(len(plane))]
    cells = product(*(range(count) for count in kernel))
    return [
        sum(place * stride for place, stride in zip(cell, strides, strict=True)) for cell in cells
    ]


def _winners(planes: Tensor, first: Tensor, steps: list[int]) -> Tensor:
    """Return where the first maximum of each window is, or its first NaN: cell by cell."""
    winners, best = first, gather(planes, 2, first)
    for step in steps[1:]:
        place = add(first, step)
        higher = maximum(best, gather(planes, 2, place))
        winners = where(logical_and(ne(higher, best), eq(best, best)), place, winners)
        best = higher
    return winners


def _in_order_of_axes(samples: Array, n: int) -> list[Array]:
    """Return the samples of each dimension: of a plane the width comes first, as in PyTorch."""
    parts = [samples[..., axis] for axis in range(n)]
    return parts[::-1] if n == 2 else parts


@names_errors
def fractional_max_pool2d(
    input: Tensor,
    kernel_size: Size,
    output_size: Size | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """Return the maxima over windows that lie at random, at distances of nearly H / H_out.

    Args:
        input: (N, C, H, W) or (C, H, W).
        kernel_size: size of the window, one int or one per dimension.
        output_size: H_out and W_out; or
        output_ratio: their share of H and W, between 0 and 1.
        return_indices: also return the flat index (int64) of each maximum in its plane.
        _random_samples: (N, C, 2) in [0, 1), drawn from the default generator if None; the first
            of a pair is for the width.

    Raises:
        ValueError: not one of size and ratio is given, or the windows do not fit.
        TypeError: an option is no number.
    """
    return _pooled(
        *("fractional_max_pool2d", 2, input, kernel_size, output_size, output_ratio),
        *(return_indices, _random_samples),
    )


@names_errors
def fractional_max_pool3d(
    input: Tensor,
    kernel_size: Size,
    output_size: Size | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """Return the maxima over windows of volumes that lie at random (see `fractional_max_pool2d`).

    Args:
        input: (N, C, D, H, W) or (C, D, H, W).
        kernel_size: size of the window, one int or one per dimension.
        output_size: D_out, H_out and W_out; or
        output_ratio: their share of D, H and W, between 0 and 1.
        return_indices: also return the flat index (int64) of each maximum in its volume.
        _random_samples: (N, C, 3) in [0, 1), drawn from the default generator if None.

    Raises:
        ValueError: not one of size and ratio is given, or the windows do not fit.
        TypeError: an option is no number.
    """
    return _pooled(
        *("fractional_max_pool3d", 3, input, kernel_size, output_size, output_ratio),
        *(return_indices, _random_samples),
    )


def _samples(op: str, shape: tuple[int, ...], input: Tensor, given: Tensor | None) -> Array:
    dtype = compute_dtype(input.dtype)
    if given is None:
        return on_host(rand(shape, dtype=dtype)._array)
    samples = on_host(array_of(op, given, "_random_samples")).astype(dtype)
    if samples.shape != shape:
        raise ValueError(f"{op}: _random_samples has shape {samples.shape}, expected {shape}")
    if not np.isfinite(samples).all():
        raise ValueError(f"{op}: _random_samples holds NaN or infinity, expected numbers in [0, 1)")
    return samples

# SPDX-License-Identifier: Apache-2.0
"""Fractional max pooling: windows at random, nearly even distances (Graham 2014)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradsmith.backend import Array, bfloat16, float32, like, on_host
from gradsmith.ops.indexing import gather
from gradsmith.ops.options import check_flag, check_number, check_sizes, names_errors
from gradsmith.ops.random import rand
from gradsmith.ops.reduce import argmax
from gradsmith.ops.shape import reshape, squeeze
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
    if size is None:
        ratios = tuple(ratio) if isinstance(ratio, (tuple, list)) else (ratio, ratio)
        if len(ratios) != 2 or any(
            not 0 < check_number(op, "output_ratio", each) < 1 for each in ratios
        ):
            raise ValueError(f"{op}: output_ratio is {ratio}, expected numbers between 0 and 1")
        size = [int(n * each) for n, each in zip(plane, ratios, strict=True)]
    sizes = check_sizes(op, "output_size", size, 2)
    if any(n + k - 1 > whole for n, k, whole in zip(sizes, kernel, plane, strict=True)):
        raise ValueError(
            f"{op}: output_size {sizes} with kernel_size {kernel} does not fit into a plane of "
            f"{plane}"
        )
    return sizes


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
    op = "fractional_max_pool2d"
    array = array_of(op, input)
    check_flag(op, "return_indices", return_indices)
    if array.ndim not in (3, 4):
        raise ValueError(f"{op}: input has shape {array.shape}, expected 3 or 4 dimensions")
    plane, lead = array.shape[-2:], ((1,) * (4 - array.ndim) + array.shape)[:2]
    kernel = check_sizes(op, "kernel_size", kernel_size, 2)
    size = _pooled_size(op, plane, kernel, output_size, output_ratio)
    samples = _samples(op, lead, input, _random_samples)
    rows = _starts(samples[..., 1], plane[0], size[0], kernel[0])[..., None] + np.arange(kernel[0])
    columns = _starts(samples[..., 0], plane[1], size[1], kernel[1])[..., None]
    columns = columns + np.arange(kernel[1])
    places = rows[:, :, :, None, :, None] * plane[1] + columns[:, :, None, :, None, :]
    cells = (*lead, math.prod(size), math.prod(kernel))
    windows = wrap(like(places.reshape(cells), array))
    planes = reshape(input, (*lead, math.prod(plane)))
    seen = gather(planes.detach(), 2, reshape(windows, (*lead, cells[2] * cells[3])))
    best = argmax(reshape(seen, cells), -1, keepdim=True)
    winners = squeeze(gather(windows, -1, best), -1)
    shape = (*array.shape[:-2], *size)
    result = reshape(gather(planes, 2, winners), shape)
    return (result, reshape(winners, shape)) if return_indices else result


def _samples(op: str, lead: tuple[int, ...], input: Tensor, given: Tensor | None) -> Array:
    dtype = float32 if input.dtype == bfloat16 else input.dtype
    if given is None:
        return on_host(rand((*lead, 2), dtype=dtype)._array)
    samples = on_host(array_of(op, given, "_random_samples")).astype(dtype)
    if samples.shape != (*lead, 2):
        raise ValueError(f"{op}: _random_samples has shape {samples.shape}, expected {(*lead, 2)}")
    if not np.isfinite(samples).all():
        raise ValueError(f"{op}: _random_samples holds NaN or infinity, expected numbers in [0, 1)")
    return samples

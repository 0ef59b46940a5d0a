# SPDX-License-Identifier: Apache-2.0
"""Pooling built from maximum and average: p-norms, minima, and trainable subsampling."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from gradsmith.ops.elementwise import add, eq, mul, neg, pow, where
from gradsmith.ops.options import check_number, check_sizes, names_errors
from gradsmith.ops.pool import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)
from gradsmith.ops.shape import reshape
from gradsmith.tensor import Tensor, array_of

Size = int | Sequence[int]

# ---- p-norms -------------------------------------------------------------------------------------


def _lp_pool(
    average: Callable[..., Tensor],
    ndim: int,
    input: Tensor,
    norm_type: float,
    kernel_size: Size,
    stride: Size | None,
    ceil_mode: bool,
) -> Tensor:
    op = f"lp_pool{ndim}d"
    array_of(op, input)
    if not 0 < check_number(op, "norm_type", norm_type) < math.inf:
        raise ValueError(f"{op}: norm_type is {norm_type}, expected a finite number > 0")
    window = check_sizes(op, "kernel_size", kernel_size, ndim)
    total = mul(average(pow(input, norm_type), window, stride, 0, ceil_mode), math.prod(window))
    nothing = eq(total, 0)
    return where(nothing, 0.0, pow(where(nothing, 1.0, total), 1 / norm_type))


@names_errors
def lp_pool1d(
    input: Tensor,
    norm_type: float,
    kernel_size: Size,
    stride: Size | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """Return ``(sum x^p)^(1/p)`` over windows of (N, C, L) or (C, L); see `lp_pool2d`."""
    return _lp_pool(avg_pool1d, 1, input, norm_type, kernel_size, stride, ceil_mode)


@names_errors
def lp_pool2d(
    input: Tensor,
    norm_type: float,
    kernel_size: Size,
    stride: Size | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """Return ``(sum x^p)^(1/p)`` over each window, without magnitudes, as PyTorch.

    So p = 1 is sum pooling; odd p give NaN where the sum is negative. Where the sum is 0 the
    gradient is 0.

    Args:
        input: (N, C, H, W) or (C, H, W).
        norm_type: the exponent p.
        kernel_size: size of the window, one int or one per dimension.
        stride: step of the window (default: its size).
        ceil_mode: also pool windows that stick out behind; their sums are scaled up to a whole one.

    Raises:
        ValueError: p is not positive, or the window is larger than the input.
        TypeError: the dtype is not floating, or an option is no number.
    """
    return _lp_pool(avg_pool2d, 2, input, norm_type, kernel_size, stride, ceil_mode)


@names_errors
def lp_pool3d(
    input: Tensor,
    norm_type: float,
    kernel_size: Size,
    stride: Size | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """Return ``(sum x^p)^(1/p)`` over windows of (N, C, D, H, W); see `lp_pool2d`."""
    return _lp_pool(avg_pool3d, 3, input, norm_type, kernel_size, stride, ceil_mode)


# ---- minimum -------------------------------------------------------------------------------------


def _min_pool(maximum: Callable[..., Any], input: Tensor, *options: Any) -> Any:
    result = maximum(neg(input), *options)
    return (neg(result[0]), result[1]) if isinstance(result, tuple) else neg(result)


@names_errors
def min_pool1d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return the minima over windows of (N, C, L) or (C, L); see `max_pool2d`."""
    options = (kernel_size, stride, padding, dilation, ceil_mode, return_indices)
    return _min_pool(max_pool1d, input, *options)


@names_errors
def min_pool2d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return the minimum of each window, ``-max_pool2d(-x)`` with its arguments and errors."""
    options = (kernel_size, stride, padding, dilation, ceil_mode, return_indices)
    return _min_pool(max_pool2d, input, *options)


@names_errors
def min_pool3d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return the minima over windows of (N, C, D, H, W) or (C, D, H, W); see `max_pool2d`."""
    options = (kernel_size, stride, padding, dilation, ceil_mode, return_indices)
    return _min_pool(max_pool3d, input, *options)


# ---- trainable subsampling -----------------------------------------------------------------------


@names_errors
def subsampling2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    kernel_size: Size = 2,
    stride: Size | None = None,
) -> Tensor:
    """Return ``weight[c] * (sum over the window) + bias[c]`` (LeCun 1998, layers S2 and S4).

    Args:
        input: (N, C, H, W) or (C, H, W).
        weight: (C), a coefficient for each map.
        bias: (C).
        kernel_size: size of the window, one int or one per dimension.
        stride: step of the window (default: its size).

    Raises:
        ValueError: the shapes do not match, or the window is larger than the input.
    """
    op = "subsampling2d"
    shape = array_of(op, input).shape
    sums = avg_pool2d(input, kernel_size, stride, divisor_override=1)
    for name, given in (("weight", weight), ("bias", bias)):
        if array_of(op, given, name).shape != shape[-3:-2]:
            raise ValueError(f"{op}: {name} has shape {given.shape}, expected {shape[-3:-2]}")
    return add(mul(sums, reshape(weight, (-1, 1, 1))), reshape(bias, (-1, 1, 1)))

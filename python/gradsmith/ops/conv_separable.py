# SPDX-License-Identifier: Apache-2.0
"""Filters that are products of a column and a row: two short passes in place of a long one."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gradsmith.ops.conv import conv2d
from gradsmith.ops.creation import tensor
from gradsmith.ops.options import check_int, check_sizes, names_errors
from gradsmith.ops.shape import expand, reshape
from gradsmith.ops.shape_copy import pad
from gradsmith.tensor import Tensor, array_of

Size = int | Sequence[int]


@names_errors
def separable_kernel_conv2d(
    input: Tensor,
    column: Tensor,
    row: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
) -> Tensor:
    """Convolve each channel with the outer product of its column and its row.

    Equals the depthwise `conv2d` with weight ``column[c][i] * row[c][j]`` up to rounding, and takes
    kh + kw multiplications per element instead of kh kw.

    Args:
        input: (N, C, H, W) or (C, H, W).
        column: (C, kh).
        row: (C, kw).
        bias: (C), added to every position.
        stride: step of the filter, one int or one per dimension.
        padding: zeros on both sides.
        dilation: distance between the elements that the filter meets.

    Returns:
        (N, C, H_out, W_out) or (C, H_out, W_out), as `conv2d`.

    Raises:
        ValueError: the shapes do not match, or an option is out of its range.
    """
    op = "separable_kernel_conv2d"
    shape = array_of(op, input).shape
    columns, rows = array_of(op, column, "column").shape, array_of(op, row, "row").shape
    if len(shape) not in (3, 4) or not len(columns) == len(rows) == 2:
        raise ValueError(
            f"{op}: input has shape {shape}, column {columns} and row {rows}, expected "
            "(N, C, H, W), (C, kh) and (C, kw)"
        )
    (s0, s1), (d0, d1) = (
        check_sizes(op, name, value, 2)
        for name, value in (("stride", stride), ("dilation", dilation))
    )
    p0, p1 = check_sizes(op, "padding", padding, 2, 0)
    channels = shape[-3]
    upright = reshape(column, (columns[0], 1, columns[1], 1))
    level = reshape(row, (rows[0], 1, 1, rows[1]))
    tall = conv2d(input, upright, None, (s0, 1), (p0, 0), (d0, 1), channels)
    return conv2d(tall, level, bias, (1, s1), (0, p1), (1, d1), channels)


@names_errors
def binomial_blur2d(
    input: Tensor, order: int = 2, stride: Size = 1, padding_mode: str = "reflect"
) -> Tensor:
    """Blur each channel with the binomial filter of an order, then keep every ``stride``-th.

    Order 2 is [1 2 1] / 4 in each direction, as in StyleGAN (Karras 2019) and before subsampling
    (Zhang 2019). The filter adds up to 1; the size is H / stride, rounded up.

    Args:
        input: (N, C, H, W) or (C, H, W).
        order: the filter has order + 1 elements per direction.
        stride: step of the filter, one int or one per dimension.
        padding_mode: mode of `pad` at the borders (``"constant"`` for zeros).

    Raises:
        ValueError: the order is negative, or the padding does not suit the shape.
    """
    op = "binomial_blur2d"
    array = array_of(op, input)
    if check_int(op, "order", order) < 0:
        raise ValueError(f"{op}: order is {order}, expected an int >= 0")
    if array.ndim not in (3, 4):
        raise ValueError(f"{op}: input has shape {array.shape}, expected 3 or 4 dimensions")
    taps = [math.comb(order, k) / 2.0**order for k in range(order + 1)]
    line = tensor(taps, dtype=array.dtype, device=input.device)
    lines = expand(line, (array.shape[-3], order + 1))
    before, after = order // 2, order - order // 2
    padded = pad(input, (before, after, before, after), padding_mode)
    return separable_kernel_conv2d(padded, lines, lines, None, stride)

# SPDX-License-Identifier: Apache-2.0
"""Windows of an image as columns (im2col), and the columns added back up (col2im).

Both go by one list of positions in the padded plane: unfolding reads there, folding adds there, so
each is the other's transpose and derivative.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gradsmith.backend import Array, like
from gradsmith.ops.indexing import index_add, index_select, zeros
from gradsmith.ops.options import check_sizes, names_errors
from gradsmith.ops.shape import reshape
from gradsmith.ops.shape_copy import pad
from gradsmith.tensor import Tensor, array_of, wrap

Size = int | Sequence[int]


class _Windows(NamedTuple):
    kernel: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: tuple[int, ...]
    stride: tuple[int, ...]


def _windows(op: str, kernel: Size, dilation: Size, padding: Size, stride: Size) -> _Windows:
    return _Windows(
        check_sizes(op, "kernel_size", kernel, 2),
        check_sizes(op, "dilation", dilation, 2),
        check_sizes(op, "padding", padding, 2, 0),
        check_sizes(op, "stride", stride, 2),
    )


def _counts(op: str, size: Sequence[int], windows: _Windows) -> tuple[int, int]:
    """Return how many windows lie below and beside each other."""
    counts = []
    for n, kernel, dilation, padding, stride in zip(size, *windows, strict=True):
        extent = dilation * (kernel - 1) + 1
        if n + 2 * padding < extent:
            raise ValueError(
                f"{op}: kernel_size {windows.kernel} with dilation {windows.dilation} is larger "
                f"than the plane {tuple(size)} with padding {windows.padding}"
            )
        counts.append((n + 2 * padding - extent) // stride + 1)
    return counts[0], counts[1]


def _positions(counts: tuple[int, int], windows: _Windows, padded_width: int) -> Array:
    """Return the flat positions (kh kw L) of the windows' elements in the padded plane."""
    rows, columns = (
        np.arange(kernel)[:, None] * dilation + np.arange(count) * stride
        for kernel, dilation, _, stride, count in zip(*windows, counts, strict=True)
    )
    return (rows[:, None, :, None] * padded_width + columns[None, :, None, :]).reshape(-1)


@names_errors
def unfold(
    input: Tensor, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1
) -> Tensor:
    """Return the windows of each image as columns.

    Args:
        input: (N, C, H, W) or (C, H, W).
        kernel_size: size of the window, one int or one per dimension.
        dilation: distance between the elements of a window.
        padding: zeros on both sides.
        stride: step of the window.

    Returns:
        (N, C kh kw, L) or (C kh kw, L) for L windows; channels count slowest in a column.

    Raises:
        ValueError: the window is larger than the padded image, or an option is out of its range.
        TypeError: an option is no int.

    Example:
        >>> import gradsmith as gs
        >>> unfold(gs.arange(6.0).reshape(1, 2, 3), 2).tolist()
        [[0.0, 1.0], [1.0, 2.0], [3.0, 4.0], [4.0, 5.0]]
    """
    shape = array_of("unfold", input).shape
    windows = _windows("unfold", kernel_size, dilation, padding, stride)
    if len(shape) not in (3, 4):
        raise ValueError(f"unfold: input has shape {shape}, expected 3 or 4 dimensions")
    counts = _counts("unfold", shape[-2:], windows)
    (above, beside), lead = windows.padding, shape[:-2]
    if above or beside:
        input = pad(input, (beside, beside, above, above))
    height, width = input.shape[-2:]
    positions = wrap(like(_positions(counts, windows, width), input._array))
    picked = index_select(reshape(input, (*lead, height * width)), -1, positions)
    rows = lead[-1] * math.prod(windows.kernel)
    return reshape(picked, (*lead[:-1], rows, math.prod(counts)))


@names_errors
def fold(
    input: Tensor,
    output_size: Size,
    kernel_size: Size,
    dilation: Size = 1,
    padding: Size = 0,
    stride: Size = 1,
) -> Tensor:
    """Return images in which each column has been added to the place of its window.

    Args:
        input: (N, C kh kw, L) or (C kh kw, L), as from `unfold`.
        output_size: height and width of the images.
        kernel_size: size of the window, one int or one per dimension.
        dilation: distance between the elements of a window.
        padding: zeros that were added on both sides.
        stride: step of the window.

    Returns:
        (N, C, H, W) or (C, H, W).

    Raises:
        ValueError: the shape does not fit the windows of such images.
        TypeError: an option is no int.
    """
    shape = array_of("fold", input).shape
    windows = _windows("fold", kernel_size, dilation, padding, stride)
    size = check_sizes("fold", "output_size", output_size, 2)
    if len(shape) not in (2, 3):
        raise ValueError(f"fold: input has shape {shape}, expected 2 or 3 dimensions")
    counts = _counts("fold", size, windows)
    elements = math.prod(windows.kernel)
    if shape[-2] % elements or shape[-1] != math.prod(counts):
        raise ValueError(
            f"fold: input has shape {shape}, expected a multiple of {elements} rows and "
            f"{math.prod(counts)} columns for output_size {size}"
        )
    above, beside = windows.padding
    height, width = size[0] + 2 * above, size[1] + 2 * beside
    lead = (*shape[:-2], shape[-2] // elements)
    positions = wrap(like(_positions(counts, windows, width), input._array))
    source = reshape(input, (*lead, elements * shape[-1]))
    plane = index_add(zeros((*lead, height * width), input), len(lead), positions, source)
    plane = reshape(plane, (*lead, height, width))
    return pad(plane, (-beside, -beside, -above, -above)) if above or beside else plane

# SPDX-License-Identifier: Apache-2.0
"""Max unpooling: maxima back at the places that max pooling took them from, zeros elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gradsmith.autograd import Node, record
from gradsmith.backend import EXTENSIONS
from gradsmith.ops.indexing import gather, index_tensor, zeros
from gradsmith.ops.options import check_sizes, names_errors
from gradsmith.ops.shape import reshape
from gradsmith.tensor import Tensor, array_of

Size = int | Sequence[int]


def _output_size(
    op: str,
    pooled: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    wanted: Sequence[int] | None,
) -> tuple[int, ...]:
    """Return the size before pooling: the usual one, or the one wanted if it is possible."""
    windows = zip(pooled, kernel, stride, padding, strict=True)
    usual = tuple((n - 1) * s - 2 * p + k for n, k, s, p in windows)
    if wanted is None:
        sizes = usual
    else:
        count = len(pooled)
        if len(wanted) not in (count, count + 1, count + 2):
            raise ValueError(f"{op}: output_size is {tuple(wanted)}, expected {count} sizes")
        sizes = check_sizes(op, "output_size", tuple(wanted)[-count:], count, 0)
        if any(abs(a - b) >= s for a, b, s in zip(sizes, usual, stride, strict=True)):
            raise ValueError(
                f"{op}: output_size is {sizes}, expected less than the stride {stride} away from "
                f"{usual}"
            )
    if min(sizes) < 1:
        raise ValueError(f"{op}: the output would have the sizes {sizes}")
    return sizes


def _max_unpool_backward(node: Node, dy: Tensor) -> Any:
    (places,) = node.saved
    return (gather(dy, -1, places),)


def _written(values: Tensor, places: Tensor, count: int) -> Tensor:
    """Return ``count`` zeros in each row with the values at their places: `scatter` of no copy."""
    planes = zeros((*values.shape[:-1], count), values)._array
    if values._array.size:
        EXTENSIONS[type(planes)].scatter(planes, -1, places._array, values._array)
    return record(_max_unpool_backward, planes, (values,), (places,))


def _max_unpool(
    ndim: int,
    input: Tensor,
    indices: Tensor,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    output_size: Sequence[int] | None,
) -> Tensor:
    op = f"max_unpool{ndim}d"
    shape, ids = array_of(op, input).shape, index_tensor(op, indices, "indices")
    if len(shape) not in (ndim + 1, ndim + 2) or ids.shape != shape:
        raise ValueError(
            f"{op}: input has shape {shape} and indices {ids.shape}, expected the same of "
            f"{ndim + 1} or {ndim + 2} dimensions"
        )
    kernel = check_sizes(op, "kernel_size", kernel_size, ndim)
    steps = kernel if stride is None else check_sizes(op, "stride", stride, ndim)
    margins = check_sizes(op, "padding", padding, ndim, 0)
    size = _output_size(op, shape[-ndim:], kernel, steps, margins, output_size)
    lead, count = shape[:-ndim], math.prod(shape[-ndim:])
    values, places = (reshape(each, (*lead, count)) for each in (input, ids))
    return reshape(_written(values, places, math.prod(size)), (*lead, *size))


@names_errors
def max_unpool1d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Put the maxima of (N, C, L) or (C, L) back; see `max_unpool2d`."""
    return _max_unpool(1, input, indices, kernel_size, stride, padding, output_size)


@names_errors
def max_unpool2d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Return zeros with the maxima at their indices; the last of equal indices stays.

    Args:
        input: (N, C, H, W) or (C, H, W), as from `max_pool2d`.
        indices: flat positions in the planes of the output, as `max_pool2d` returns them.
        kernel_size: size of the pooling window, one int or one per dimension.
        stride: its step (default: its size).
        padding: its padding.
        output_size: size of the output, less than the stride away from the default
            (H - 1) stride - 2 padding + kernel_size; sizes before the last two are ignored.

    Raises:
        ValueError: the shapes differ, or the output cannot have that size.
        IndexError: an index lies outside the output.
    """
    return _max_unpool(2, input, indices, kernel_size, stride, padding, output_size)


@names_errors
def max_unpool3d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Put the maxima of (N, C, D, H, W) or (C, D, H, W) back; see `max_unpool2d`."""
    return _max_unpool(3, input, indices, kernel_size, stride, padding, output_size)

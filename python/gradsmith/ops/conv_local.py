# SPDX-License-Identifier: Apache-2.0
"""Convolutions whose weights are shared less: per position, in tiles, by a table or a mask."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gradsmith.backend import like, on_host
from gradsmith.ops.conv import conv2d
from gradsmith.ops.conv_fold import unfold
from gradsmith.ops.elementwise import add, where
from gradsmith.ops.gemm import matmul
from gradsmith.ops.indexing import index_add, zeros
from gradsmith.ops.indexing_items import getitem
from gradsmith.ops.indexing_mask import check_mask
from gradsmith.ops.joining import stack
from gradsmith.ops.options import check_sizes, names_errors
from gradsmith.ops.shape import permute, reshape, squeeze, transpose, unsqueeze
from gradsmith.ops.shape_copy import pad
from gradsmith.tensor import Tensor, array_of, wrap

Size = int | Sequence[int]


# ---- unshared weights ----------------------------------------------------------------------------


@names_errors
def locally_connected2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Size = 1
) -> Tensor:
    """Apply to each window a filter bank of its own: `conv2d` with unshared weights.

    Args:
        input: (N, C, H, W) or (C, H, W).
        weight: (H_out, W_out, O, C, kh, kw), the filters of each position.
        bias: (O, H_out, W_out).
        stride: step of the window, one int or one per dimension.

    Returns:
        (N, O, H_out, W_out) or (O, H_out, W_out).

    Raises:
        ValueError: the shapes do not match.
    """
    op = "locally_connected2d"
    shape, filters = array_of(op, input).shape, array_of(op, weight, "weight").shape
    steps = check_sizes(op, "stride", stride, 2)
    if len(shape) not in (3, 4) or len(filters) != 6 or shape[-3] != filters[3]:
        raise ValueError(
            f"{op}: input has shape {shape} and weight {filters}, expected (N, C, H, W) and "
            "(H_out, W_out, O, C, kh, kw)"
        )
    rows, columns, out_channels, channels, *kernel = filters
    found = tuple((n - k) // s + 1 for n, k, s in zip(shape[-2:], kernel, steps, strict=True))
    if found != (rows, columns):
        raise ValueError(
            f"{op}: an input of shape {shape} has {found} windows, expected {(rows, columns)} as "
            f"the weight of shape {filters}"
        )
    batch = input if len(shape) == 4 else unsqueeze(input, 0)
    windows = permute(unfold(batch, kernel, stride=steps), 2, 0, 1)
    banks = reshape(weight, (rows * columns, out_channels, channels * math.prod(kernel)))
    products = permute(matmul(windows, transpose(banks, 1, 2)), 1, 2, 0)
    result = reshape(products, (batch.shape[0], out_channels, rows, columns))
    if bias is not None:
        _check_shape(op, "bias", bias, (out_channels, rows, columns))
        result = add(result, bias)
    return result if len(shape) == 4 else squeeze(result, 0)


@names_errors
def locally_connected1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Size = 1
) -> Tensor:
    """Apply to each window of (N, C, L) or (C, L) a filter bank of its own.

    Args:
        input: (N, C, L) or (C, L).
        weight: (L_out, O, C, k), the filters of each position.
        bias: (O, L_out).
        stride: step of the window.

    Raises:
        ValueError: the shapes do not match.
    """
    op = "locally_connected1d"
    shape, filters = array_of(op, input).shape, array_of(op, weight, "weight").shape
    if len(shape) not in (2, 3) or len(filters) != 4:
        raise ValueError(
            f"{op}: input has shape {shape} and weight {filters}, expected (N, C, L) and "
            "(L_out, O, C, k)"
        )
    steps = (1, *check_sizes(op, "stride", stride, 1))
    banks = unsqueeze(unsqueeze(weight, 0), -2)
    offsets = None if bias is None else unsqueeze(bias, -2)
    return squeeze(locally_connected2d(unsqueeze(input, -2), banks, offsets, steps), -2)


def _check_shape(op: str, argument: str, x: Tensor, expected: tuple[int, ...]) -> None:
    shape = array_of(op, x, argument).shape
    if shape != expected:
        raise ValueError(f"{op}: {argument} has shape {shape}, expected {expected}")


# ---- tiles ---------------------------------------------------------------------------------------


def _tiling(
    op: str, size: int, kernel: int, stride: int, padding: int, tiles: int
) -> tuple[int, int, tuple[int, int]]:
    """Return how many positions a dimension has, how often each tile occurs, and what to pad.

    Behind, that is as much that every tile occurs equally often.
    """
    if size + 2 * padding < kernel:
        raise ValueError(
            f"{op}: a kernel of {kernel} is larger than the padded input of {size + 2 * padding}"
        )
    count = (size + 2 * padding - kernel) // stride + 1
    blocks = -(-count // tiles)
    needed = (blocks * tiles - 1) * stride + kernel
    return count, blocks, (padding, needed - size - padding)


@names_errors
def tiled_conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
) -> Tensor:
    """Convolve with filter banks that repeat every few positions (Le et al. 2010).

    Position (i, j) of the output uses bank (i mod th, j mod tw). One bank is `conv2d`; as many as
    positions share nothing.

    Args:
        input: (N, C, H, W) or (C, H, W).
        weight: (th, tw, O, C, kh, kw), the tiles of filters.
        bias: (O), added to every position.
        stride: step of the window, one int or one per dimension.
        padding: zeros on both sides.

    Returns:
        What `conv2d` returns for one bank, in shape.

    Raises:
        ValueError: the shapes do not match, or an option is out of its range.
    """
    op = "tiled_conv2d"
    shape, filters = array_of(op, input).shape, array_of(op, weight, "weight").shape
    steps, margins = check_sizes(op, "stride", stride, 2), check_sizes(op, "padding", padding, 2, 0)
    if len(shape) not in (3, 4) or len(filters) != 6 or 0 in filters[:2]:
        raise ValueError(
            f"{op}: input has shape {shape} and weight {filters}, expected (N, C, H, W) and "
            "(th, tw, O, C, kh, kw)"
        )
    tiles, kernel = filters[:2], filters[-2:]
    sizes = zip(shape[-2:], kernel, steps, margins, tiles, strict=True)
    counts, blocks, amounts = zip(*(_tiling(op, *each) for each in sizes), strict=True)
    padded = pad(input, (*amounts[1], *amounts[0]))
    jumps = (steps[0] * tiles[0], steps[1] * tiles[1])
    parts = [
        conv2d(
            getitem(padded, (..., slice(i * steps[0], None), slice(j * steps[1], None))),
            *(getitem(weight, (i, j)), bias, jumps),
        )
        for i in range(tiles[0])
        for j in range(tiles[1])
    ]
    lead = parts[0].shape[:-2]
    apart = reshape(stack(parts, -1), (*lead, *blocks, *tiles))
    n = len(lead)
    woven = permute(apart, (*range(n), n, n + 2, n + 1, n + 3))
    whole = reshape(woven, (*lead, blocks[0] * tiles[0], blocks[1] * tiles[1]))
    return getitem(whole, (..., slice(counts[0]), slice(counts[1])))


# ---- connections left out ------------------------------------------------------------------------


@names_errors
def table_conv2d(
    input: Tensor,
    weight: Tensor,
    table: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
) -> Tensor:
    """Convolve only the pairs of maps that a table names (LeCun 1998, layer C3).

    Args:
        input: (N, C, H, W) or (C, H, W).
        weight: (K, kh, kw), a filter for each of the K connections, in the order of the table.
        table: bool (O, C), whether input map c feeds output map o.
        bias: (O), added to every position.
        stride: step of the filter, one int or one per dimension.
        padding: zeros on both sides.

    Returns:
        (N, O, H_out, W_out) or (O, H_out, W_out), as `conv2d`.

    Raises:
        TypeError: the table is not bool.
        ValueError: the shapes do not match.
    """
    op = "table_conv2d"
    filters = array_of(op, weight, "weight").shape
    connected = check_mask(op, table)
    if connected.ndim != 2 or len(filters) != 3:
        raise ValueError(
            f"{op}: table has shape {connected.shape} and weight {filters}, expected (O, C) and "
            "(K, kh, kw)"
        )
    places = np.flatnonzero(on_host(connected))
    if places.size != filters[0]:
        raise ValueError(
            f"{op}: weight has {filters[0]} filters, expected {places.size} as the table names"
        )
    rows = zeros((connected.size, *filters[1:]), weight)
    full = index_add(rows, 0, wrap(like(places, weight._array)), weight)
    return conv2d(input, reshape(full, (*connected.shape, *filters[1:])), bias, stride, padding)


@names_errors
def masked_conv2d(
    input: Tensor,
    weight: Tensor,
    mask: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Return `conv2d` with the weight set to 0 where the bool ``mask``, of its shape, is False.

    Raises:
        TypeError: the mask is not bool.
        ValueError: the shapes do not match, or an option is out of its range.
    """
    check_mask("masked_conv2d", mask)
    _check_shape("masked_conv2d", "mask", mask, array_of("masked_conv2d", weight, "weight").shape)
    kept = where(mask, weight, 0.0)
    return conv2d(input, kept, bias, stride, padding, dilation, groups)

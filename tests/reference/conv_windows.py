# SPDX-License-Identifier: Apache-2.0
"""Convolutions and their relatives, window by window: columns, unshared weights, tiles, tables.

x (N, C, H, W); kernel, dilation, padding and stride hold one integer per spatial axis.
"""

from collections.abc import Iterator

import numpy as np

from . import Array, Mask

Pair = tuple[int, int]
ONE: Pair = (1, 1)
ZERO: Pair = (0, 0)


def windows(
    x: Array, kernel: Pair, dilation: Pair = ONE, padding: Pair = ZERO, stride: Pair = ONE
) -> Iterator[tuple[int, int, Array]]:
    """Yield row, column and window (N, C, kh, kw)."""
    x = np.pad(x, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2))
    extents = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    rows = range(0, x.shape[2] - extents[0] + 1, stride[0])
    columns = range(0, x.shape[3] - extents[1] + 1, stride[1])
    for i, top in enumerate(rows):
        for j, left in enumerate(columns):
            across = slice(left, left + extents[1], dilation[1])
            yield i, j, x[:, :, top : top + extents[0] : dilation[0], across]


def _filled(values: dict[Pair, Array]) -> Array:
    """Return (N, O, H, W) of values (N, O) by position."""
    rows, columns = (1 + max(place[axis] for place in values) for axis in (0, 1))
    y = np.zeros((*values[0, 0].shape, rows, columns))
    for (i, j), value in values.items():
        y[:, :, i, j] = value
    return y


def unfold(x: Array, kernel: Pair, dilation: Pair, padding: Pair, stride: Pair) -> Array:
    found = windows(x, kernel, dilation, padding, stride)
    return np.stack([window.reshape(len(x), -1) for _, _, window in found], axis=-1)


def fold(
    columns: Array, size: Pair, kernel: Pair, dilation: Pair, padding: Pair, stride: Pair
) -> Array:
    channels = columns.shape[1] // (kernel[0] * kernel[1])
    padded = [n + 2 * p for n, p in zip(size, padding, strict=True)]
    plane = np.zeros((len(columns), channels, *padded))
    flat_places = np.arange(plane[0, 0].size).reshape(1, 1, *padded)
    places = windows(flat_places, kernel, dilation, ZERO, stride)
    for number, (_, _, place) in enumerate(places):
        column = columns[:, :, number].reshape(len(columns), channels, -1)
        for element, flat in enumerate(place.ravel().astype(int)):
            plane[:, :, flat // padded[1], flat % padded[1]] += column[:, :, element]
    return plane[:, :, padding[0] : padding[0] + size[0], padding[1] : padding[1] + size[1]]


def locally_connected(x: Array, weight: Array, bias: Array, stride: Pair) -> Array:
    """weight (H_out, W_out, O, C, kh, kw), bias (O, H_out, W_out)."""
    kernel = (weight.shape[-2], weight.shape[-1])
    found = windows(x, kernel, stride=stride)
    return bias + _filled(
        {(i, j): np.einsum("ncab,ocab->no", window, weight[i, j]) for i, j, window in found}
    )


def tiled(x: Array, weight: Array, bias: Array, stride: Pair, padding: Pair) -> Array:
    """weight (th, tw, O, C, kh, kw): position (i, j) uses tile (i mod th, j mod tw)."""
    kernel, (rows, columns) = (weight.shape[-2], weight.shape[-1]), weight.shape[:2]
    found = windows(x, kernel, padding=padding, stride=stride)
    return bias[:, None, None] + _filled(
        {
            (i, j): np.einsum("ncab,ocab->no", window, weight[i % rows, j % columns])
            for i, j, window in found
        }
    )


def by_table(x: Array, weight: Array, table: Mask, bias: Array) -> Array:
    """weight (K, kh, kw), a filter for each True of the table (O, C) in C order."""
    y = {}
    pairs = list(zip(*np.nonzero(table), strict=True))
    for i, j, window in windows(x, (weight.shape[1], weight.shape[2])):
        value = np.tile(bias, (len(x), 1))
        for (o, c), kernel in zip(pairs, weight, strict=True):
            value[:, o] += (window[:, c] * kernel).sum((1, 2))
        y[i, j] = value
    return _filled(y)


def separable(
    x: Array, column: Array, row: Array, bias: Array, stride: Pair, padding: Pair, dilation: Pair
) -> Array:
    """column (C, kh), row (C, kw): depthwise with their outer products."""
    found = windows(x, (column.shape[1], row.shape[1]), dilation, padding, stride)
    return bias[:, None, None] + _filled(
        {(i, j): np.einsum("ncab,ca,cb->nc", window, column, row) for i, j, window in found}
    )

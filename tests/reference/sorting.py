# SPDX-License-Identifier: Apache-2.0
"""Definitions of stable order, NaN as the largest, and of elements of a rank; places are int64."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]
Ids = np.ndarray[Any, np.dtype[np.int64]]


def argsort(x: Array, axis: int, descending: bool = False) -> Ids:
    if not descending:
        return np.argsort(x, axis, kind="stable")
    # Reversed before and after, so that equal elements keep their order.
    order = np.argsort(np.flip(x, axis), axis, kind="stable")
    return np.flip(x.shape[axis] - 1 - order, axis)


def sort(x: Array, axis: int, descending: bool = False) -> tuple[Array, Ids]:
    order = argsort(x, axis, descending)
    return np.take_along_axis(x, order, axis), order


def topk(x: Array, k: int, axis: int, largest: bool = True) -> tuple[Array, Ids]:
    order = np.take(argsort(x, axis, largest), range(k), axis)
    return np.take_along_axis(x, order, axis), order


def kthvalue(x: Array, k: int, axis: int) -> tuple[Array, Ids]:
    values, order = sort(x, axis)
    return np.take(values, k - 1, axis), np.take(order, k - 1, axis)


def median(x: Array, axis: int, ignores_nan: bool = False) -> tuple[Array, Ids]:
    """The lower of two; the first NaN of a row that has one, or none but NaN."""
    values, order = sort(x, axis)
    numbers = np.sum(x == x, axis, keepdims=True)
    rank = np.maximum(numbers - 1, 0) // 2
    if not ignores_nan:
        rank = np.where(numbers < x.shape[axis], numbers, rank)
    found = np.take_along_axis(values, rank, axis), np.take_along_axis(order, rank, axis)
    return found[0].squeeze(axis), found[1].squeeze(axis)


def mode(x: Array, axis: int) -> tuple[Array, Ids]:
    """The most frequent element, of several the smallest, and its last place."""

    def of_row(row: Array) -> Array:
        values, counts = np.unique(row, return_counts=True)
        value = values[np.argmax(counts)]
        return np.array([value, np.flatnonzero(row == value)[-1]])

    pairs = np.moveaxis(np.apply_along_axis(of_row, axis, x), axis, 0)
    return pairs[0], pairs[1].astype(np.int64)


def spread(dy: Array, x: Array, axis: int, order: Ids) -> Array:
    """The gradient of elements that were read at places along an axis."""
    dx = np.zeros(x.shape)
    np.put_along_axis(dx, order, dy, axis)
    return dx

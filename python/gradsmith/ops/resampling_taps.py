# SPDX-License-Identifier: Apache-2.0
"""The weighted taps of an interpolation along one dimension, as a sparse matrix.

Made once per combination of sizes and options, for making them takes longer than resizing a small
image does.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from gradsmith.backend import Array, like

# The free coefficient of the cubic kernel (Keys 1981): PyTorch's, and its other for antialias.
CUBIC, SMOOTH_CUBIC = -0.75, -0.5
_KEPT = 64  # tables


class Taps:
    """A sparse matrix: output t is the sum over start[t] <= k < start[t + 1] of
    weight[k] times element index[k] of ``size``.
    """

    def __init__(self, size: int, start: Array, index: Array, weight: Array) -> None:
        """Hold the tables, int64 and float64."""
        self.size, self.start, self.index, self.weight = size, start, index, weight
        self._on_host = (len(start) - 1, start, index, weight)

    @cached_property
    def transposed(self) -> Taps:
        """The matrix that takes gradients back."""
        outputs = np.repeat(np.arange(len(self.start) - 1), np.diff(self.start))
        order = np.argsort(self.index, kind="stable")
        start = _starts(np.bincount(self.index, minlength=self.size))
        return Taps(len(self.start) - 1, start, outputs[order], self.weight[order])

    def arrays(self, array: Array) -> tuple[Any, ...]:
        """Return the number of outputs and the tables on the device of ``array``."""
        if type(array) is np.ndarray:
            return self._on_host
        count, *tables = self._on_host
        return (count, *(like(table, array) for table in tables))


def _starts(counts: Array) -> Array:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])


def _coordinates(size: int, out: int, factor: float | None, align_corners: bool) -> Array:
    """Return where in the input the elements of the output lie."""
    positions = np.arange(out)
    if align_corners:
        return positions * ((size - 1) / (out - 1) if out > 1 else 0.0)
    return (positions + 0.5) * (size / out if factor is None else 1 / factor) - 0.5


def _near(x: Any, a: float) -> Any:
    """Return the cubic kernel within 1 of its centre."""
    return ((a + 2) * x - (a + 3)) * x * x + 1


def _far(x: Any, a: float) -> Any:
    """Return the cubic kernel between 1 and 2 from its centre."""
    return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a


def cubic_weights(t: Any) -> list[Any]:
    """Return the weights of the neighbours at -1, 0, 1, 2 for the point t in [0, 1]."""
    inner = [_near(each, CUBIC) for each in (t, 1 - t)]
    return [_far(t + 1, CUBIC), *inner, _far(2 - t, CUBIC)]


def _near_taps(coordinates: Array, size: int, cubic: bool) -> tuple[Array, Array]:
    """Return the positions and weights, (out, taps), of the neighbours of each coordinate."""
    if not cubic:
        coordinates = coordinates.clip(0, None)
    first = np.floor(coordinates).astype(np.int64)
    t = coordinates - first
    if cubic:
        positions = (first[:, None] + np.arange(-1, 3)).clip(0, size - 1)
        return positions, np.stack(cubic_weights(t), 1)
    t = np.where(first >= size - 1, 0.0, t)
    positions = np.minimum(first[:, None] + np.arange(2), size - 1)
    return positions, np.stack([1 - t, t], 1)


def _smooth_taps(
    size: int, out: int, factor: float | None, align_corners: bool, cubic: bool
) -> tuple[Array, Array, Array]:
    """Return the taps of a kernel as wide as a pixel of the output, and which of them count."""
    if align_corners:
        scale = (size - 1) / (out - 1) if out > 1 else 0.0
    else:
        scale = size / out if factor is None else 1 / factor
    width = max(scale, 1.0)
    support = width * (2 if cubic else 1)
    centres = scale * (np.arange(out) + 0.5)
    first = np.floor(centres - support + 0.5).clip(0, None).astype(np.int64)
    behind = np.floor(centres + support + 0.5).clip(None, size).astype(np.int64)
    positions = first[:, None] + np.arange((behind - first).max())
    distance = np.abs(positions + 0.5 - centres[:, None]) / width
    if cubic:
        inner, outer = _near(distance, SMOOTH_CUBIC), _far(distance, SMOOTH_CUBIC)
        weights = np.where(distance < 1, inner, np.where(distance < 2, outer, 0.0))
    else:
        weights = (1 - distance).clip(0, None)
    weights = np.where(positions < behind[:, None], weights, 0.0)
    weights /= weights.sum(1, keepdims=True)
    return positions, weights, positions < behind[:, None]


@lru_cache(_KEPT)
def resize_taps(
    size: int, out: int, factor: float | None, align_corners: bool, cubic: bool, antialias: bool
) -> Taps | None:
    """Return the taps from ``size`` elements to ``out``, None where each stays what it is."""
    coordinates = _coordinates(size, out, factor, align_corners)
    if out == size and (coordinates == np.arange(size)).all():
        return None
    if not antialias:
        positions, weights = _near_taps(coordinates, size, cubic)
        start = np.arange(out + 1) * positions.shape[1]
        return Taps(size, start, positions.reshape(-1), weights.reshape(-1))
    positions, weights, counts = _smooth_taps(size, out, factor, align_corners, cubic)
    return Taps(size, _starts(counts.sum(1)), positions[counts], weights[counts])


@lru_cache(_KEPT)
def nearest_taps(size: int, out: int, factor: float | None, exact: bool) -> Taps | None:
    """Return the one tap of each of ``out`` elements, None where each stays what it is.

    Args:
        size: elements of the input.
        out: elements of the result.
        factor: the scale, if that decides the coordinates instead of the sizes.
        exact: whether the element is that whose area holds the point, instead of the one before.
    """
    # Rounded in float32, and once as by a fused multiply-add, as PyTorch does.
    half = np.float32(0.5 if exact else 0.0)
    scale = np.float64(np.float32(size / out if factor is None else 1 / factor))
    centres = ((np.arange(out) + half) * scale - half).astype(np.float32)
    source = np.floor(centres.clip(0, None) + half)
    nearest = np.minimum(source.astype(np.int64), size - 1)
    if out == size and (nearest == np.arange(size)).all():
        return None
    return Taps(size, np.arange(out + 1), nearest, np.ones(out))

# SPDX-License-Identifier: Apache-2.0
"""Edges. Derivatives have signs, so results are floats: float32 for bytes."""

from __future__ import annotations

import numpy as np

from gradsmith.backend import Array
from gradsmith.images.borders import check_mode
from gradsmith.images.colour import to_grey
from gradsmith.images.filters import convolved, gaussian_kernel, separable
from gradsmith.images.pixels import as_floats, check_image
from gradsmith.ops.options import check_number

_SMOOTH = np.array([1.0, 2.0, 1.0])
_SLOPE = np.array([1.0, 0.0, -1.0])
_LAPLACE = np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])


def sobel(image: Array, axis: int | None = None, *, mode: str = "reflect") -> Array:
    """Return derivatives by Sobel's kernels [1, 2, 1] x [1, 0, -1], white being 1.

    Args:
        image: of shape (H, W) or (H, W, C).
        axis: 0, downwards; 1, to the right; None, the length of both together.
        mode: how the image goes on beyond its border, as in `numpy.pad`.

    Returns:
        Floats of the image's shape; a step from black to white gives 4.

    Raises:
        ValueError: an unknown axis or mode.
    """
    floats = as_floats(check_image("sobel", image))
    check_mode("sobel", mode)
    if axis not in (None, 0, 1):
        raise ValueError(f"sobel: axis is {axis!r}, expected 0, 1 or None")
    kernels = {0: (_SLOPE, _SMOOTH), 1: (_SMOOTH, _SLOPE)}
    if axis is not None:
        return separable(floats, *kernels[axis], mode)
    return np.hypot(*(separable(floats, *pair, mode) for pair in kernels.values()))


def laplacian(image: Array, *, mode: str = "reflect") -> Array:
    """Return the sum of the 4 neighbours less 4 times the pixel, white being 1.

    Raises:
        ValueError: an unknown mode.
    """
    floats = as_floats(check_image("laplacian", image))
    check_mode("laplacian", mode)
    return convolved(floats, _LAPLACE, mode)


def canny(image: Array, low: float = 0.1, high: float = 0.2, sigma: float = 1.0) -> Array:
    """Return where the edges of an image run, one pixel wide: bool (H, W).

    Canny, "A computational approach to edge detection", 1986: slopes of the blurred grey image that
    are the largest across the edge; of these, chains that reach ``high`` somewhere and stay above
    ``low``.

    Args:
        image: of shape (H, W) or (H, W, C).
        low: slope in units of white per pixel.
        high: the same.
        sigma: of the Gaussian blur.

    Raises:
        ValueError: not 0 <= low <= high, or sigma is negative.
    """
    op = "canny"
    check_image(op, image)
    if not 0 <= check_number(op, "low", low) <= check_number(op, "high", high):
        raise ValueError(f"{op}: low is {low} and high {high}, expected 0 <= low <= high")
    weights = gaussian_kernel(op, sigma)
    grey = separable(as_floats(to_grey(image)), weights, weights, "edge")
    down = separable(grey, _SLOPE, _SMOOTH, "edge") / 8
    right = separable(grey, _SMOOTH, _SLOPE, "edge") / 8
    slope = np.hypot(down, right)
    ridge = _is_ridge(slope, down, right)
    return _connected(ridge & (slope >= max(low, np.finfo(slope.dtype).tiny)), slope >= high)


def _is_ridge(slope: Array, down: Array, right: Array) -> Array:
    """Whether a slope is the largest across the edge, between neighbours weighted by direction."""
    wide = np.pad(slope, 1)

    def moved(rows: Array, columns: Array) -> Array:
        i, j = np.indices(slope.shape)
        neighbours: Array = wide[i + 1 + rows, j + 1 + columns]
        return neighbours

    steep = np.abs(down) > np.abs(right)
    row, column = np.sign(down).astype(np.int64), np.sign(right).astype(np.int64)
    longer = np.maximum(np.abs(down), np.abs(right))
    share = np.minimum(np.abs(down), np.abs(right)) / np.where(longer == 0, 1, longer)
    straight = (np.where(steep, row, 0), np.where(steep, 0, column))
    # Rounding makes two equal neighbours differ; of a plateau one side counts.
    tolerance = 16 * np.finfo(slope.dtype).eps
    ahead = (1 - share) * moved(*straight) + share * moved(row, column)
    behind = (1 - share) * moved(-straight[0], -straight[1]) + share * moved(-row, -column)
    result: Array = (slope >= ahead - tolerance) & (slope > behind + tolerance)
    return result


def _connected(candidates: Array, seeds: Array) -> Array:
    """Return the candidates that a chain of them connects with a seed, over 8 neighbours."""
    height, width = candidates.shape
    found = candidates & seeds
    frontier = np.argwhere(found)
    while len(frontier):
        around = (frontier[:, None] + _NEIGHBOURS).reshape(-1, 2)
        inside = ((around >= 0) & (around < (height, width))).all(axis=1)
        rows, columns = around[inside].T
        new = candidates[rows, columns] & ~found[rows, columns]
        frontier = np.unique(np.stack([rows[new], columns[new]], axis=1), axis=0)
        found[frontier[:, 0], frontier[:, 1]] = True
    return found


_NEIGHBOURS = np.array([(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j])

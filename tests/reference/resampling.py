# SPDX-License-Identifier: Apache-2.0
"""Images of other sizes and images sampled at points, as sums over all pixels.

Each weight is a function of the distance between a pixel's centre and the point: a hat for linear
interpolation, the piecewise cubic of Keys 1981 with a = -3/4 for the cubic one.
"""

import math
from collections.abc import Callable, Iterator
from itertools import product

import numpy as np

from . import Array


def hat(distance: float) -> float:
    return max(0.0, 1 - abs(distance))


def cubic(distance: float, a: float = -0.75) -> float:
    d = abs(distance)
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * (d**3 - 5 * d**2 + 8 * d - 4) if d < 2 else 0.0


def _matrix(size: int, out: int, scale: float, align_corners: bool, kernel: str) -> Array:
    """Return the (out, size) weights of one dimension; pixels outside are those of the border."""
    weights = np.zeros((out, size))
    for t in range(out):
        if align_corners:
            point = t * (size - 1) / (out - 1) if out > 1 else 0.0
        else:
            point = (t + 0.5) * scale - 0.5
        for pixel in range(math.floor(point) - 3, math.floor(point) + 5):
            weight = hat(point - pixel) if kernel == "linear" else cubic(point - pixel)
            weights[t, min(max(pixel, 0), size - 1)] += weight
    return weights


def _along(x: Array, axis: int, matrix: Array) -> Array:
    return np.moveaxis(np.moveaxis(x, axis, -1) @ matrix.T, -1, axis)


def interpolate(
    x: Array, size: tuple[int, ...], align_corners: bool = False, kernel: str = "linear"
) -> Array:
    """x (N, C, *spatial), with the scales that the sizes have."""
    for axis, out in enumerate(size, start=2):
        n = x.shape[axis]
        x = _along(x, axis, _matrix(n, out, n / out, align_corners, kernel))
    return x


def interpolate_backward(
    dy: Array, x: Array, align_corners: bool = False, kernel: str = "linear"
) -> Array:
    for axis, n in enumerate(x.shape[2:], start=2):
        out = dy.shape[axis]
        dy = _along(dy, axis, _matrix(n, out, n / out, align_corners, kernel).T)
    return dy


def antialiased(x: Array, size: tuple[int, ...], is_cubic: bool) -> Array:
    """The kernels stretched to the output's pixels where these are larger, a = -1/2, normalised."""
    for axis, out in enumerate(size, start=2):
        n = x.shape[axis]
        scale = n / out
        width = max(scale, 1.0)
        weights = np.zeros((out, n))
        for t, pixel in product(range(out), range(n)):
            distance = (pixel + 0.5 - scale * (t + 0.5)) / width
            weights[t, pixel] = cubic(distance, -0.5) if is_cubic else hat(distance)
        weights /= weights.sum(1, keepdims=True)
        x = _along(x, axis, weights)
    return x


def nearest(x: Array, size: tuple[int, ...], exact: bool = False) -> Array:
    """Pixel floor(t n / out), or floor((t + 1/2) n / out), in whole numbers."""
    for axis, out in enumerate(size, start=2):
        n = x.shape[axis]
        x = np.take(x, [(2 * t + exact) * n // (2 * out) for t in range(out)], axis)
    return x


def nearest_backward(dy: Array, x: Array, exact: bool = False) -> Array:
    for axis, n in enumerate(x.shape[2:], start=2):
        out = dy.shape[axis]
        picked = np.eye(n)[[(2 * t + exact) * n // (2 * out) for t in range(out)]]
        dy = _along(dy, axis, picked.T)
    return dy


def _reflected(point: float, low: float, high: float) -> float:
    while not low <= point <= high:
        point = 2 * low - point if point < low else 2 * high - point
    return point


def _inside(point: float, n: int, padding: str, align_corners: bool) -> float:
    if padding == "zeros":
        return point
    if padding == "reflection":
        low, high = (0.0, n - 1.0) if align_corners else (-0.5, n - 0.5)
        point = _reflected(point, low, high)
    return min(max(point, 0.0), n - 1.0)


def grid_sample(x: Array, grid: Array, mode: str, padding: str, align_corners: bool) -> Array:
    """x (N, C, *spatial), grid (N, *out, d) with the last spatial axis first."""
    y = np.zeros((*x.shape[:2], *grid.shape[1:-1]))
    for n, place, pixels, weight in _corners(x.shape[2:], grid, mode, padding, align_corners):
        y[(n, slice(None), *place)] += x[(n, slice(None), *pixels)] * weight
    return y


def grid_sample_backward(
    dy: Array, x: Array, grid: Array, mode: str, padding: str, align_corners: bool
) -> tuple[Array, Array]:
    """The gradient of the grid by differences over five points, exact for what is cubic."""
    options = (mode, padding, align_corners)
    dx, dgrid = np.zeros(x.shape), np.zeros(grid.shape)
    for n, place, pixels, weight in _corners(x.shape[2:], grid, *options):
        dx[(n, slice(None), *pixels)] += dy[(n, slice(None), *place)] * weight
    for d, n in enumerate(x.shape[:1:-1]):
        step = 3 / 16 / n  # at most a tenth of a pixel, so that no kink is near
        for times, factor in ((1, 8), (-1, -8), (2, -1), (-2, 1)):
            moved = grid.copy()
            moved[..., d] += times * step
            values = (dy * grid_sample(x, moved, *options)).sum(1)
            dgrid[..., d] += factor * values / (12 * step)
    return dx, dgrid


def _corners(
    sizes: tuple[int, ...], grid: Array, mode: str, padding: str, align_corners: bool
) -> Iterator[tuple[int, tuple[int, ...], tuple[int, ...], float]]:
    """Yield (sample, point, pixel, weight) for the pixels inside that a point reads."""
    for n, place in product(range(len(grid)), np.ndindex(*grid.shape[1:-1])):
        axes = []
        for size, raw in zip(sizes, grid[n][place][::-1], strict=True):
            point = (raw + 1) / 2 * (size - 1) if align_corners else ((raw + 1) * size - 1) / 2
            axes.append(_weights(point, size, mode, padding, align_corners))
        for taps in product(*axes):
            pixels = tuple(int(pixel) for pixel, _ in taps)
            if all(0 <= p < size for p, size in zip(pixels, sizes, strict=True)):
                yield n, place, pixels, math.prod(weight for _, weight in taps)


def _weights(
    point: float, size: int, mode: str, padding: str, align_corners: bool
) -> list[tuple[float, float]]:
    kernel: Callable[[float], float] = cubic if mode == "bicubic" else hat
    if mode == "bicubic":  # the taps are moved inside, not the point
        taps = range(math.floor(point) - 1, math.floor(point) + 3)
        return [(_inside(p, size, padding, align_corners), kernel(point - p)) for p in taps]
    point = _inside(point, size, padding, align_corners)
    if mode == "nearest":
        return [(np.rint(point), 1.0)]
    return [(p, kernel(point - p)) for p in (math.floor(point), math.floor(point) + 1)]

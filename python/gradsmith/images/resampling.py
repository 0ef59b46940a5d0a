# SPDX-License-Identifier: Apache-2.0
"""Images of another size, with the filters and the numbers of Pillow."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gradsmith.backend import Array
from gradsmith.images.pixels import as_floats, check_image, in_dtype_of
from gradsmith.ops.options import check_flag, check_int

Kernel = Callable[[Array], Array]


def box(x: Array) -> Array:
    """Return 1 in (-0.5, 0.5]."""
    return np.where((x > -0.5) & (x <= 0.5), 1.0, 0.0)


def triangle(x: Array) -> Array:
    """Return 1 - |x| where that is positive: linear interpolation."""
    return np.asarray(np.maximum(1 - np.abs(x), 0))


def cubic(x: Array) -> Array:
    """Return Keys's kernel with a = -0.5 ("Cubic convolution interpolation", 1981)."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def lanczos(x: Array) -> Array:
    """Return sinc(x) sinc(x / 3) for |x| < 3."""
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)


# Kernel, and how far it reaches.
KERNELS: dict[str, tuple[Kernel, float]] = {
    "box": (box, 0.5),
    "bilinear": (triangle, 1.0),
    "bicubic": (cubic, 2.0),
    "lanczos": (lanczos, 3.0),
}
METHODS = ("nearest", *KERNELS)


def _taps(old: int, new: int, method: str, antialias: bool) -> tuple[Array, Array]:
    """Return the old pixels that make up each new one, (new, K), and their shares."""
    kernel, reach = KERNELS[method]
    scale = old / new
    stretch = max(scale, 1.0) if antialias else 1.0
    centre = ((np.arange(new) + 0.5) * scale)[:, None]
    # Pillow takes whole pixels whose middle lies within the reach.
    first = np.floor(centre - reach * stretch + 0.5).clip(0)
    last = np.floor(centre + reach * stretch + 0.5).clip(None, old)
    pixels = first + np.arange(int((last - first).max()))
    weights = np.where(pixels < last, kernel((pixels + 0.5 - centre) / stretch), 0)
    shares = weights / weights.sum(axis=1, keepdims=True)
    return pixels.clip(None, old - 1).astype(np.int64), shares


def _resized(floats: Array, axis: int, size: int, method: str, antialias: bool) -> Array:
    pixels, shares = _taps(floats.shape[axis], size, method, antialias)
    shape = [1] * floats.ndim
    shape[axis] = size
    result: Array = np.zeros(1, dtype=floats.dtype)
    for pixel, share in zip(pixels.T, shares.T.astype(floats.dtype), strict=True):
        result = result + floats.take(pixel, axis) * share.reshape(shape)
    return result


def resize(
    image: Array,
    size: int | tuple[int, int],
    method: str = "bilinear",
    *,
    antialias: bool = True,
) -> Array:
    """Return the image in another size.

    Args:
        image: of shape (H, W) or (H, W, C).
        size: (height, width), or an int for the shorter side, which keeps the proportions.
        method: ``"nearest"``, ``"box"`` (means of areas), ``"bilinear"``, ``"bicubic"`` or
            ``"lanczos"``.
        antialias: stretch the filter where the image shrinks, as Pillow does.

    Returns:
        Array of shape (height, width) or (height, width, C).

    Raises:
        ValueError: an unknown method or a size below 1.
    """
    check_image("resize", image)
    check_flag("resize", "antialias", antialias)
    if method not in METHODS:
        raise ValueError(f"resize: method is {method!r}, expected one of {METHODS}")
    old = image.shape[:2]
    if isinstance(size, (int, np.integer)):
        shorter = check_int("resize", "size", size)
        new = tuple(max(1, int(side * shorter / min(old))) if shorter > 0 else 0 for side in old)
    else:
        new = tuple(check_int("resize", "size", side) for side in size)
    if len(new) != 2 or min(new) < 1:
        raise ValueError(f"resize: size is {size}, expected (height, width), each at least 1")
    if method == "nearest":
        rows, columns = (
            np.floor((np.arange(n) + 0.5) * (o / n)).astype(np.int64)
            for o, n in zip(old, new, strict=True)
        )
        picked: Array = image[rows[:, None], columns[None]]
        return picked
    floats = as_floats(image)
    for axis in (1, 0):  # as Pillow: rows first
        if old[axis] != new[axis]:
            floats = _resized(floats, axis, new[axis], method, antialias)
    return in_dtype_of(floats, image)

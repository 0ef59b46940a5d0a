# SPDX-License-Identifier: Apache-2.0
"""Image pyramids: Burt and Adelson, "The Laplacian pyramid as a compact image code", 1983."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from gradsmith.backend import Array
from gradsmith.images.filters import separable
from gradsmith.images.pixels import as_floats, check_image, in_dtype_of
from gradsmith.ops.options import check_int

_BINOMIAL = np.array([1.0, 4, 6, 4, 1]) / 16


def _reduced(floats: Array) -> Array:
    """Return every second pixel of the blurred image."""
    smaller: Array = separable(floats, _BINOMIAL, _BINOMIAL, "reflect")[::2, ::2]
    return np.ascontiguousarray(smaller)


def _expanded(floats: Array, shape: tuple[int, ...]) -> Array:
    """Return the image at twice its size, cut off to ``shape``."""
    spread = np.zeros(shape, dtype=floats.dtype)
    spread[::2, ::2] = floats
    share = np.zeros(shape[:2], dtype=floats.dtype)
    share[::2, ::2] = 1
    # Divided by the weight of the pixels there are, which is 1/4 but at the borders.
    weight = separable(share, _BINOMIAL, _BINOMIAL, "reflect")
    wide = separable(spread, _BINOMIAL, _BINOMIAL, "reflect")
    result: Array = wide / (weight if floats.ndim == 2 else weight[..., None])
    return result


def _float_levels(op: str, image: Array, levels: int) -> list[Array]:
    check_image(op, image)
    if check_int(op, "levels", levels) < 1:
        raise ValueError(f"{op}: levels is {levels}, expected at least 1")
    if min(image.shape[:2]) < 2 ** (levels - 1):
        raise ValueError(f"{op}: an image of {image.shape} has fewer than {levels} levels")
    found = [np.array(as_floats(image))]
    for _ in range(levels - 1):
        found.append(_reduced(found[-1]))
    return found


def gaussian_pyramid(image: Array, levels: int) -> list[Array]:
    """Return the image and ``levels`` - 1 smaller ones, each blurred and half as large.

    Raises:
        ValueError: the image is too small for so many levels.
    """
    return [in_dtype_of(each, image) for each in _float_levels("gaussian_pyramid", image, levels)]


def laplacian_pyramid(image: Array, levels: int) -> list[Array]:
    """Return what each level of the Gaussian pyramid has more than the next, and the last level.

    The levels have signs, so they are floats: float32 for bytes.

    Raises:
        ValueError: the image is too small for so many levels.
    """
    found = _float_levels("laplacian_pyramid", image, levels)
    details = [larger - _expanded(smaller, larger.shape) for larger, smaller in pairwise(found)]
    return [*details, found[-1]]


def collapse_pyramid(pyramid: Sequence[Array]) -> Array:
    """Return the float image of a Laplacian pyramid: each level plus the expanded next.

    Raises:
        ValueError: there is no level, one is no image, or is not half as large as the one before.
    """
    if not pyramid:
        raise ValueError("collapse_pyramid: pyramid is empty, expected at least one level")
    levels = [np.asarray(each) for each in pyramid]
    if any(each.ndim not in (2, 3) for each in levels):
        shapes = [each.shape for each in levels]
        raise ValueError(f"collapse_pyramid: the levels have shapes {shapes}, expected images")
    image = levels[-1]
    for detail in reversed(levels[:-1]):
        expected = (-(-detail.shape[0] // 2), -(-detail.shape[1] // 2), *detail.shape[2:])
        if image.shape != expected:
            raise ValueError(
                f"collapse_pyramid: a level of {detail.shape} is followed by one of {image.shape}, "
                f"expected {expected}"
            )
        image = detail + _expanded(image, detail.shape)
    return image

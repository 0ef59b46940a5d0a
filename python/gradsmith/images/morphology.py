# SPDX-License-Identifier: Apache-2.0
"""Morphology in grey levels: the smallest or largest pixel under a footprint.

Masks may be bool. Beyond the border there is nothing, which changes no result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradsmith.backend import Array
from gradsmith.images.filters import odd_size
from gradsmith.images.pixels import check_image

Footprint = int | Any


def _footprint(op: str, footprint: Footprint) -> Array:
    if isinstance(footprint, (int, np.integer)):
        side = odd_size(op, footprint)
        return np.ones((side, side), dtype=bool)
    shape: Array = np.asarray(footprint) != 0
    if shape.ndim != 2 or shape.shape[0] % 2 == 0 or shape.shape[1] % 2 == 0 or not shape.any():
        raise ValueError(
            f"{op}: footprint has shape {shape.shape}, expected (odd, odd) with a pixel in it"
        )
    return shape


def _extreme(
    image: Array, shape: Array, pick: Callable[[Array, Array], Array], beyond: Any
) -> Array:
    """Return the pick of the pixels at the places of the footprint, around each pixel."""
    height, width = image.shape[:2]
    down, across = shape.shape[0] // 2, shape.shape[1] // 2
    widths = ((down, down), (across, across), *[(0, 0)] * (image.ndim - 2))
    wide = np.pad(image, widths, constant_values=beyond)
    result = np.full_like(image, beyond)
    for row, column in np.argwhere(shape):
        result = pick(result, wide[row : row + height, column : column + width])
    return result


def _check(op: str, image: Array) -> None:
    is_mask = isinstance(image, np.ndarray) and image.dtype == np.bool_
    check_image(op, image.view(np.uint8) if is_mask else image)


def erode(image: Array, footprint: Footprint = 3) -> Array:
    """Return the smallest of the pixels under the footprint around each pixel.

    Args:
        image: of shape (H, W) or (H, W, C), or a bool mask.
        footprint: the side of a square, odd; or an array (odd, odd) that is not 0 where it covers.

    Raises:
        ValueError: the footprint is even or empty.
    """
    _check("erode", image)
    shape = _footprint("erode", footprint)
    return _extreme(image, shape, np.minimum, _highest(image))


def dilate(image: Array, footprint: Footprint = 3) -> Array:
    """Return the largest of the pixels under the footprint, turned by 180 degrees, around each.

    Arguments and errors are those of `erode`.
    """
    _check("dilate", image)
    shape = _footprint("dilate", footprint)[::-1, ::-1]
    return _extreme(image, shape, np.maximum, _lowest(image))


def _highest(image: Array) -> Any:
    return np.inf if image.dtype.kind == "f" else True if image.dtype.kind == "b" else 255


def _lowest(image: Array) -> Any:
    return -np.inf if image.dtype.kind == "f" else 0


def opening(image: Array, footprint: Footprint = 3) -> Array:
    """Return the image eroded, then dilated: bright spots that the footprint covers vanish."""
    return dilate(erode(image, footprint), footprint)


def closing(image: Array, footprint: Footprint = 3) -> Array:
    """Return the image dilated, then eroded: dark spots that the footprint covers vanish."""
    return erode(dilate(image, footprint), footprint)

# SPDX-License-Identifier: Apache-2.0
"""Whole pixels moved: crops and mirror images."""

from __future__ import annotations

from gradsmith.backend import Array
from gradsmith.images.pixels import check_image
from gradsmith.ops.options import check_int


def crop(image: Array, top: int, left: int, height: int, width: int) -> Array:
    """Return a copy of the pixels from row ``top`` and column ``left`` on.

    Raises:
        ValueError: the part is empty or reaches over the image.
    """
    check_image("crop", image)
    for name, start, size, length in (
        ("top and height", top, height, image.shape[0]),
        ("left and width", left, width, image.shape[1]),
    ):
        if check_int("crop", name, start) < 0 or check_int("crop", name, size) < 1:
            raise ValueError(f"crop: {name} are {start} and {size}, expected >= 0 and >= 1")
        if start + size > length:
            raise ValueError(f"crop: {name} are {start} and {size}, the image has {length} pixels")
    return image[top : top + height, left : left + width].copy()


def flip(image: Array, direction: str = "horizontal") -> Array:
    """Return the mirror image: left and right exchanged, or with ``"vertical"`` top and bottom.

    Raises:
        ValueError: an unknown direction.
    """
    check_image("flip", image)
    if direction not in ("horizontal", "vertical"):
        raise ValueError(f"flip: direction is {direction!r}, expected 'horizontal' or 'vertical'")
    mirrored: Array = (image[:, ::-1] if direction == "horizontal" else image[::-1]).copy()
    return mirrored

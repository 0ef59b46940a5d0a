# SPDX-License-Identifier: Apache-2.0
"""Image transforms on arrays of shape (..., H, W)."""

from __future__ import annotations

import numpy as np

from gradsmith.backend import Array
from gradsmith.data.keyed_random import sample_generator


def _axis_weights(size: int, new_size: int) -> tuple[Array, Array, Array]:
    """Return the two neighbours of each new pixel's centre and the weight of the second."""
    centre = (np.arange(new_size) + 0.5) * (size / new_size) - 0.5
    centre = np.clip(centre, 0, size - 1)
    low = np.floor(centre).astype(np.int64)
    return low, np.minimum(low + 1, size - 1), (centre - low).astype(np.float32)


def resize_bilinear(images: Array, size: tuple[int, int]) -> Array:
    """Return images (..., H, W) resized to ``size`` by linear interpolation, float32.

    Pixel centres lie at half-integers and the border pixels continue outwards, as in
    ``interpolate(mode="bilinear", align_corners=False)``.

    Raises:
        ValueError: a size is below 1 or the images have none.
    """
    if images.ndim < 2 or min(*size, *images.shape[-2:]) < 1:
        raise ValueError(f"resize_bilinear: got images of shape {images.shape} and size {size}")
    images = images.astype(np.float32)
    top, bottom, down = _axis_weights(images.shape[-2], size[0])
    left, right, across = _axis_weights(images.shape[-1], size[1])
    rows = images[..., top, :] * (1 - down)[:, None] + images[..., bottom, :] * down[:, None]
    resized: Array = rows[..., left] * (1 - across) + rows[..., right] * across
    return resized


def shift(image: Array, down: int, right: int) -> Array:
    """Return an image (..., H, W) moved by whole pixels; zeros come in at the border."""
    height, width = image.shape[-2:]
    moved = np.zeros_like(image)
    moved[..., max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = image[
        ..., max(-down, 0) : height + min(-down, 0), max(-right, 0) : width + min(-right, 0)
    ]
    return moved


class RandomShift:
    """Moves an image by up to ``pixels`` in each direction, anew for each sample and epoch."""

    def __init__(self, pixels: int) -> None:
        """Keep the largest shift; ValueError if it is negative."""
        if pixels < 0:
            raise ValueError(f"RandomShift: pixels is {pixels}, expected >= 0")
        self.pixels = pixels

    def __call__(self, image: Array) -> Array:
        """Return the image (..., H, W) moved."""
        down, right = sample_generator().integers(-self.pixels, self.pixels + 1, size=2)
        return shift(image, int(down), int(right))

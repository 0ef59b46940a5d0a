# SPDX-License-Identifier: Apache-2.0
"""What an image is, and the way from its dtype to float32 and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradsmith.backend import Array

PIXEL_DTYPES = (np.uint8, np.float32, np.float64)


def check_image(op: str, image: Any, channels: int | None = None) -> Array:
    """Return the image, after checking that it is one.

    Raises:
        TypeError: it is no array of uint8, float32 or float64.
        ValueError: it is not (H, W) or (H, W, C) with pixels, or has other ``channels``.
    """
    if not isinstance(image, np.ndarray):
        raise TypeError(f"{op}: image is a {type(image).__name__}, expected a NumPy array")
    if image.dtype not in PIXEL_DTYPES:
        raise TypeError(f"{op}: image is {image.dtype}, expected uint8, float32 or float64")
    if image.ndim not in (2, 3) or image.size == 0:
        raise ValueError(f"{op}: image has shape {image.shape}, expected (H, W) or (H, W, C)")
    if channels is not None and image.shape[2:] != (channels,):
        raise ValueError(f"{op}: image has shape {image.shape}, expected (H, W, {channels})")
    return image


def as_floats(image: Array) -> Array:
    """Return an image as floats with white at 1; float images as they are."""
    return image.astype(np.float32) / np.float32(255) if image.dtype == np.uint8 else image


def as_bytes(image: Array) -> Array:
    """Return an image as uint8, rounded and clipped."""
    if image.dtype == np.uint8:
        return image
    return (image * 255).round().clip(0, 255).astype(np.uint8)


def in_dtype_of(floats: Array, image: Array) -> Array:
    """Return floats with white at 1 in the dtype of ``image``."""
    return as_bytes(floats) if image.dtype == np.uint8 else floats.astype(image.dtype, copy=False)

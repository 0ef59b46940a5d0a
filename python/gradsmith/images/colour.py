# SPDX-License-Identifier: Apache-2.0
"""Colours: grey, hue and saturation, brightness and contrast."""

from __future__ import annotations

import numpy as np

from gradsmith.backend import Array
from gradsmith.images.pixels import as_bytes, as_floats, check_image, in_dtype_of
from gradsmith.ops.options import check_number

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as Pillow


def _grey(floats: Array) -> Array:
    grey: Array = floats[..., :3] @ _LUMA.astype(floats.dtype)
    return grey


def to_grey(image: Array) -> Array:
    """Return the image in grey, (H, W): 0.299 R + 0.587 G + 0.114 B; transparency is left out.

    Raises:
        ValueError: the image has another number of channels than 1, 3 or 4.
    """
    check_image("to_grey", image)
    if image.ndim == 2:
        return image.copy()
    if image.shape[2] == 1:
        return image[..., 0].copy()
    if image.shape[2] not in (3, 4):
        raise ValueError(f"to_grey: image has {image.shape[2]} channels, expected 1, 3 or 4")
    return in_dtype_of(_grey(as_floats(image)), image)


def to_rgb(image: Array) -> Array:
    """Return the image with three channels, (H, W, 3); transparency is left out.

    Raises:
        ValueError: the image has another number of channels than 1, 3 or 4.
    """
    check_image("to_rgb", image)
    planes = image[..., None] if image.ndim == 2 else image
    if planes.shape[2] not in (1, 3, 4):
        raise ValueError(f"to_rgb: image has {planes.shape[2]} channels, expected 1, 3 or 4")
    return np.repeat(planes, 3, axis=2) if planes.shape[2] == 1 else planes[..., :3].copy()


def rgb_to_hsv(image: Array) -> Array:
    """Return hue, saturation and value of an RGB image, each from 0 to white.

    Hue 0 is red, a third green, two thirds blue; that of grey is 0.

    Raises:
        ValueError: the image is not (H, W, 3).
    """
    rgb = as_floats(check_image("rgb_to_hsv", image, 3))
    red, green, blue = (rgb[..., channel] for channel in range(3))
    value = rgb.max(axis=2)
    spread = value - rgb.min(axis=2)
    step = np.where(spread == 0, 1, spread)
    sixths = np.where(
        value == red,
        (green - blue) / step,
        np.where(value == green, 2 + (blue - red) / step, 4 + (red - green) / step),
    )
    hue = np.where(spread == 0, 0, sixths / 6 % 1)
    saturation = spread / np.where(value == 0, 1, value)
    return in_dtype_of(np.stack([hue, saturation, value], axis=2).astype(rgb.dtype), image)


def hsv_to_rgb(image: Array) -> Array:
    """Return the RGB image of hue, saturation and value, the inverse of `rgb_to_hsv`.

    Raises:
        ValueError: the image is not (H, W, 3).
    """
    hsv = as_floats(check_image("hsv_to_rgb", image, 3))
    hue, saturation, value = (hsv[..., channel : channel + 1] for channel in range(3))
    # Each channel falls from the value by saturation, as far as hue is away from it.
    place = (np.array([5, 3, 1], dtype=hsv.dtype) + hue * 6) % 6
    away = np.minimum(place, 4 - place).clip(0, 1)
    return in_dtype_of(value - value * saturation * away, image)


def equalize_histogram(image: Array) -> Array:
    """Return the image with levels spread so that each of them is about equally frequent.

    Level v of a channel becomes (cdf(v) - cdf_min) / (1 - cdf_min), with the cumulative histogram
    of 256 levels. Floats are clipped to [0, 1] first.
    """
    levels = as_bytes(check_image("equalize_histogram", image))
    planes = levels.reshape(levels.shape[0] * levels.shape[1], -1)
    spread = np.empty(planes.shape, dtype=np.float64)
    for channel, pixels in enumerate(planes.T):
        cumulative = np.bincount(pixels, minlength=256).cumsum()
        least = cumulative[pixels.min()]
        if least == len(pixels):  # a single level stays as it is
            spread[:, channel] = pixels / 255
        else:
            spread[:, channel] = (cumulative[pixels] - least) / (len(pixels) - least)
    return in_dtype_of(spread.reshape(image.shape), image)


def _blend(op: str, image: Array, other: Array, factor: float) -> Array:
    """Return other + factor (image - other) of float images, clipped, in the image's dtype."""
    if not check_number(op, "factor", factor) >= 0:
        raise ValueError(f"{op}: factor is {factor}, expected >= 0")
    floats = as_floats(image)
    mixed = factor * floats + (1 - factor) * other
    return in_dtype_of(mixed.clip(0, 1).astype(floats.dtype, copy=False), image)


def adjust_brightness(image: Array, factor: float) -> Array:
    """Return the image times ``factor``, clipped: 0 is black, 1 the image itself.

    Raises:
        ValueError: the factor is negative.
    """
    check_image("adjust_brightness", image)
    return _blend("adjust_brightness", image, np.zeros(1), factor)


def adjust_contrast(image: Array, factor: float) -> Array:
    """Return the image's distance from its mean grey times ``factor``, clipped.

    0 is a grey plane, 1 the image itself.

    Raises:
        ValueError: the factor is negative.
    """
    floats = as_floats(check_image("adjust_contrast", image))
    has_colour = image.ndim == 3 and image.shape[2] >= 3
    mean = (_grey(floats) if has_colour else floats).mean(keepdims=True)
    return _blend("adjust_contrast", image, mean.reshape(1), factor)


def adjust_saturation(image: Array, factor: float) -> Array:
    """Return an RGB image's distance from its grey times ``factor``, clipped.

    0 is grey, 1 the image itself.

    Raises:
        ValueError: the image is not (H, W, 3), or the factor is negative.
    """
    floats = as_floats(check_image("adjust_saturation", image, 3))
    return _blend("adjust_saturation", image, _grey(floats)[..., None], factor)


def adjust_hue(image: Array, shift: float) -> Array:
    """Return an RGB image with its hue moved by ``shift`` turns around the circle of colours.

    Raises:
        ValueError: the image is not (H, W, 3), or the shift is not in [-0.5, 0.5].
    """
    check_image("adjust_hue", image, 3)
    if not -0.5 <= check_number("adjust_hue", "shift", shift) <= 0.5:
        raise ValueError(f"adjust_hue: shift is {shift}, expected -0.5 <= it <= 0.5")
    hsv = rgb_to_hsv(as_floats(image))
    hsv[..., 0] = (hsv[..., 0] + shift) % 1
    return in_dtype_of(hsv_to_rgb(hsv), image)

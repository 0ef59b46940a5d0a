# SPDX-License-Identifier: Apache-2.0
"""Filters that blur and sharpen. Channels are filtered one by one, unless said otherwise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradsmith.backend import Array
from gradsmith.images.borders import check_mode, padded
from gradsmith.images.pixels import as_floats, check_image, in_dtype_of
from gradsmith.ops.conv import conv2d
from gradsmith.ops.options import check_int, check_number
from gradsmith.tensor import wrap

_ROWS_AT_ONCE = 1 << 22  # elements of the windows that a median sorts at a time


def odd_size(op: str, size: Any) -> int:
    """Return a filter's size; ValueError unless it is odd and positive."""
    if check_int(op, "size", size) < 1 or size % 2 == 0:
        raise ValueError(f"{op}: size is {size}, expected an odd int of at least 1")
    return int(size)


def convolved(floats: Array, kernel: Array, mode: str, fill: float = 0.0) -> Array:
    """Return the convolution of every channel of a float image with a kernel (rows, columns)."""
    height, width = kernel.shape
    wide = padded(floats, height // 2, width // 2, mode, fill)
    planes = wide[None] if wide.ndim == 2 else wide.transpose(2, 0, 1)
    flipped = kernel[None, None, ::-1, ::-1].astype(floats.dtype)
    images = wrap(np.ascontiguousarray(planes[:, None]))
    result = conv2d(images, wrap(np.ascontiguousarray(flipped)))._array[:, 0]
    return np.ascontiguousarray(result[0] if floats.ndim == 2 else result.transpose(1, 2, 0))


def separable(floats: Array, down: Array, across: Array, mode: str) -> Array:
    """Return the convolution with a column, then with a row."""
    return convolved(convolved(floats, down[:, None], mode), across[None], mode)


def convolve(image: Array, kernel: Any, *, mode: str = "reflect", fill: float = 0.0) -> Array:
    """Return the convolution of each channel with a kernel: out(p) = sum_q kernel(q) image(p - q).

    Args:
        image: of shape (H, W) or (H, W, C).
        kernel: of shape (odd, odd); its middle is q = 0.
        mode: how the image goes on beyond its border, as in `numpy.pad`.
        fill: the level beyond it, where mode is ``"constant"``.

    Raises:
        ValueError: the kernel has another shape, or an unknown mode.
    """
    check_image("convolve", image)
    check_mode("convolve", mode)
    weights = np.asarray(kernel, dtype=np.float64)
    if weights.ndim != 2 or weights.shape[0] % 2 == 0 or weights.shape[1] % 2 == 0:
        raise ValueError(f"convolve: kernel has shape {weights.shape}, expected (odd, odd)")
    level = fill / 255 if image.dtype == np.uint8 else fill
    return in_dtype_of(convolved(as_floats(image), weights, mode, level), image)


def gaussian_kernel(op: str, sigma: float, size: int | None = None) -> Array:
    """Return a Gaussian on ``size`` pixels that adds up to 1; None: 4 sigma to each side."""
    if not 0 <= check_number(op, "sigma", sigma) < math.inf:
        raise ValueError(f"{op}: sigma is {sigma}, expected >= 0")
    radius = int(4 * sigma + 0.5) if size is None else odd_size(op, size) // 2
    if sigma == 0:
        return np.asarray(np.arange(-radius, radius + 1) == 0, dtype=np.float64)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    share: Array = weights / weights.sum()
    return share


def gaussian_blur(
    image: Array,
    sigma: float | Sequence[float],
    size: int | Sequence[int] | None = None,
    *,
    mode: str = "reflect",
) -> Array:
    """Return the image blurred with a Gaussian.

    Args:
        image: of shape (H, W) or (H, W, C).
        sigma: standard deviation in pixels, or (down, across).
        size: pixels of the kernel, odd, or (down, across); None: 4 sigma to each side.
        mode: how the image goes on beyond its border, as in `numpy.pad`.

    Raises:
        ValueError: sigma is negative, or the size even.
    """
    op = "gaussian_blur"
    check_image(op, image)
    check_mode(op, mode)
    both = (sigma, sigma) if isinstance(sigma, (int, float)) else tuple(sigma)
    if len(both) != 2:
        raise ValueError(f"{op}: sigma is {sigma}, expected a number or (down, across)")
    sizes = tuple(size) if isinstance(size, (list, tuple)) else (size, size)
    if len(sizes) != 2:
        raise ValueError(f"{op}: size is {size}, expected an int or (down, across)")
    down, across = (gaussian_kernel(op, *each) for each in zip(both, sizes, strict=True))
    return in_dtype_of(separable(as_floats(image), down, across, mode), image)


def median_filter(image: Array, size: int = 3, *, mode: str = "reflect") -> Array:
    """Return the median of the ``size`` by ``size`` pixels around each pixel.

    Raises:
        ValueError: the size is even, or an unknown mode.
    """
    check_image("median_filter", image)
    check_mode("median_filter", mode)
    radius = odd_size("median_filter", size) // 2
    wide = padded(image, radius, radius, mode)
    windows = np.lib.stride_tricks.sliding_window_view(wide, (size, size), axis=(0, 1))
    result = np.empty_like(image)
    rows = max(1, _ROWS_AT_ONCE // math.prod(windows.shape[1:]))
    for start in range(0, len(image), rows):
        part = windows[start : start + rows]
        flat = part.reshape(*part.shape[:-2], size * size)
        middle = size * size // 2
        result[start : start + rows] = np.partition(flat, middle, axis=-1)[..., middle]
    return result


def bilateral_filter(
    image: Array,
    sigma_color: float = 0.1,
    sigma_space: float = 2.0,
    size: int | None = None,
    *,
    mode: str = "reflect",
) -> Array:
    """Return means of the pixels around each pixel that are near to it in place and in colour.

    Tomasi and Manduchi, "Bilateral filtering for gray and color images", 1998: weights are
    exp(-|place|^2 / 2 sigma_space^2 - |colour|^2 / 2 sigma_color^2), over all channels together.

    Args:
        image: of shape (H, W) or (H, W, C).
        sigma_color: in units of white.
        sigma_space: in pixels.
        size: pixels of the window, odd; None: 2 sigma_space to each side.
        mode: how the image goes on beyond its border, as in `numpy.pad`.

    Raises:
        ValueError: a sigma is not positive, or the size even.
    """
    op = "bilateral_filter"
    check_image(op, image)
    check_mode(op, mode)
    for name, sigma in (("sigma_color", sigma_color), ("sigma_space", sigma_space)):
        if not check_number(op, name, sigma) > 0:
            raise ValueError(f"{op}: {name} is {sigma}, expected a positive number")
    radius = math.ceil(2 * sigma_space) if size is None else odd_size(op, size) // 2
    floats = as_floats(image)
    height, width = image.shape[:2]
    # Channels first, so that sums over them run along whole rows.
    channels_last = padded(floats.reshape(height, width, -1), radius, radius, mode)
    wide = np.ascontiguousarray(channels_last.transpose(2, 0, 1))
    planes = wide[:, radius : radius + height, radius : radius + width]
    total = np.zeros_like(planes)
    weights = np.zeros((height, width), dtype=planes.dtype)
    for down in range(2 * radius + 1):
        for across in range(2 * radius + 1):
            near = wide[:, down : down + height, across : across + width]
            colour = ((near - planes) ** 2).sum(axis=0) / sigma_color**2
            place = ((down - radius) ** 2 + (across - radius) ** 2) / sigma_space**2
            weight = np.exp(-0.5 * (colour + place)).astype(planes.dtype, copy=False)
            total += weight * near
            weights += weight
    return in_dtype_of((total / weights).transpose(1, 2, 0).reshape(image.shape), image)


def sharpen(image: Array, amount: float = 1.0) -> Array:
    """Return the image less ``amount`` times its Laplacian, the sum over 4 neighbours.

    The kernel is [[0, -a, 0], [-a, 1 + 4a, -a], [0, -a, 0]].
    """
    check_image("sharpen", image)
    a = check_number("sharpen", "amount", amount)
    kernel = np.array([[0, -a, 0], [-a, 1 + 4 * a, -a], [0, -a, 0]])
    return in_dtype_of(convolved(as_floats(image), kernel, "reflect"), image)


def unsharp_mask(
    image: Array, sigma: float = 1.0, amount: float = 1.0, threshold: float = 0.0
) -> Array:
    """Return the image plus ``amount`` times its difference from a blurred one.

    Args:
        image: of shape (H, W) or (H, W, C).
        sigma: of the Gaussian.
        amount: of sharpening.
        threshold: smaller differences, in units of white, stay as they are.

    Raises:
        ValueError: sigma is negative.
    """
    op = "unsharp_mask"
    floats = as_floats(check_image(op, image))
    check_number(op, "amount", amount)
    check_number(op, "threshold", threshold)
    weights = gaussian_kernel(op, sigma)
    difference = floats - separable(floats, weights, weights, "reflect")
    difference[np.abs(difference) < threshold] = 0
    return in_dtype_of(floats + amount * difference, image)

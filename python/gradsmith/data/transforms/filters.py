# SPDX-License-Identifier: Apache-2.0
"""Blurred, sharpened and noisy images, and their edges. Channels are treated one by one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gradsmith import images
from gradsmith.backend import Array
from gradsmith.data.keyed_random import sample_generator
from gradsmith.data.transforms.base import Transform
from gradsmith.data.transforms.options import drawn, interval, size_pair
from gradsmith.ops.options import check_flag, check_number


def _finite(op: str, name: str, value: Any) -> float:
    if not math.isfinite(check_number(op, name, value)):
        raise ValueError(f"{op}: {name} is {value}, expected a finite number")
    return float(value)


class GaussianBlur(Transform):
    """Blurs an image with a Gaussian of random width, see `images.gaussian_blur`.

    Args:
        kernel_size: pixels of the kernel, odd: an int, or (width, height).
        sigma: its standard deviation in pixels, or the range of it.

    Raises:
        ValueError: an even size, or a sigma that may become 0 or negative.
    """

    def __init__(
        self, kernel_size: int | Sequence[int], sigma: float | Sequence[float] = (0.1, 2.0)
    ) -> None:
        """Check the options."""
        op = "GaussianBlur"
        self.kernel_size = size_pair(op, "kernel_size", kernel_size)
        if self.kernel_size[0] % 2 == 0 or self.kernel_size[1] % 2 == 0:
            raise ValueError(f"{op}: kernel_size is {kernel_size}, expected odd numbers")
        limits = sigma if isinstance(sigma, (list, tuple)) else (sigma, sigma)
        self.sigma = interval(op, "sigma", limits, 0.0)
        if self.sigma[0] == 0:
            raise ValueError(f"{op}: sigma is {sigma}, expected positive numbers")

    def _changed(self, pixels: Array) -> Array:
        return images.gaussian_blur(pixels, drawn(self.sigma), self.kernel_size[::-1])


class GaussianNoise(Transform):
    """Adds normal noise, see `images.add_gaussian_noise`.

    Args:
        mean: of the noise, in units of white.
        sigma: its standard deviation.
        clip: cut floats to [0, 1].

    Raises:
        ValueError: sigma is negative.
    """

    def __init__(self, mean: float = 0.0, sigma: float = 0.1, clip: bool = True) -> None:
        """Check the options."""
        op = "GaussianNoise"
        self.mean = _finite(op, "mean", mean)
        self.sigma = _finite(op, "sigma", sigma)
        if self.sigma < 0:
            raise ValueError(f"{op}: sigma is {sigma}, expected >= 0")
        self.clip = check_flag(op, "clip", clip)

    def _changed(self, pixels: Array) -> Array:
        seed = sample_generator()
        return images.add_gaussian_noise(
            pixels, self.sigma, mean=self.mean, clip=self.clip, seed=seed
        )


class Sharpen(Transform):
    """Takes ``amount`` times its Laplacian from an image, see `images.sharpen`."""

    def __init__(self, amount: float = 1.0) -> None:
        """Check the amount."""
        self.amount = _finite("Sharpen", "amount", amount)

    def _changed(self, pixels: Array) -> Array:
        return images.sharpen(pixels, self.amount)


class Sobel(Transform):
    """Returns slopes by Sobel's kernels, float32 for bytes, see `images.sobel`.

    Args:
        axis: 0, downwards; 1, to the right; None, the length of both together.

    Raises:
        ValueError: another axis.
    """

    def __init__(self, axis: int | None = None) -> None:
        """Check the axis."""
        if axis is not None and (isinstance(axis, bool) or axis not in (0, 1)):
            raise ValueError(f"Sobel: axis is {axis!r}, expected 0, 1 or None")
        self.axis = axis

    def _changed(self, pixels: Array) -> Array:
        return images.sobel(pixels, self.axis)


class Laplacian(Transform):
    """Returns the sum of the 4 neighbours less 4 times the pixel, see `images.laplacian`.

    Bytes give float32.
    """

    def _changed(self, pixels: Array) -> Array:
        return images.laplacian(pixels)

# SPDX-License-Identifier: Apache-2.0
"""Metrics of the likeness of two images, averaged over images."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradsmith.backend import Array, on_host
from gradsmith.metrics.base import MeanMetric, check_same_shape
from gradsmith.ops.conv import conv2d
from gradsmith.ops.loss_checks import check_positive
from gradsmith.ops.options import check_int
from gradsmith.tensor import wrap


class _ImageMetric(MeanMetric):
    """Has the option ``data_range``; subclasses compare float64 images (N, C, H, W)."""

    def __init__(self, data_range: float, name: str) -> None:
        self.data_range = check_positive(type(self).__name__, "data_range", data_range)
        super().__init__(name)

    def of_each(self, output: Array, target: Array) -> Array:
        """Return the metric of each image (N)."""
        raise NotImplementedError(f"{type(self).__name__} does not define of_each")

    def sum_and_count(self, output: Array, target: Array) -> tuple[float, int]:
        """Return the sum over the images and their number."""
        check_same_shape(self.name, output, target)
        if output.ndim != 4 or 0 in output.shape[1:]:
            raise ValueError(
                f"{self.name}: output has shape {output.shape}, expected images (N, C, H, W)"
            )
        values = self.of_each(output.astype(np.float64), target.astype(np.float64))
        return float(values.sum()), len(values)


class PSNR(_ImageMetric):
    """The peak signal-to-noise ratio in dB, ``10 log10(data_range**2 / mean squared error)``.

    The mean over images (N, C, H, W); infinite if one is met exactly.
    """

    def __init__(self, data_range: float = 1.0, name: str = "psnr") -> None:
        """Start empty; ``data_range`` is the distance of black and white, 255 for bytes."""
        super().__init__(data_range, name)

    def of_each(self, output: Array, target: Array) -> Array:
        """Return the ratio of each image (N)."""
        errors = np.square(output - target).mean((1, 2, 3))
        with np.errstate(divide="ignore"):
            return np.asarray(20 * np.log10(self.data_range) - 10 * np.log10(errors))


class SSIM(_ImageMetric):
    """Structural similarity (Wang et al. 2004), the mean over images (N, C, H, W), at most 1.

    Means, variances and covariances are taken in Gaussian windows, wherever one fits into the
    image, for each channel by itself.
    """

    def __init__(
        self,
        data_range: float = 1.0,
        window_size: int = 11,
        sigma: float = 1.5,
        k1: float = 0.01,
        k2: float = 0.03,
        name: str = "ssim",
    ) -> None:
        """Start empty.

        Args:
            data_range: the distance of black and white, 255 for bytes.
            window_size: height and width of the window.
            sigma: its standard deviation.
            k1: keeps the comparison of means stable, as a share of the range.
            k2: keeps that of variances stable.
            name: what logs show.

        Raises:
            ValueError: an option is not positive.
        """
        if check_int("SSIM", "window_size", window_size) < 1:
            raise ValueError(f"SSIM: window_size is {window_size}, expected at least 1")
        self.sigma = check_positive("SSIM", "sigma", sigma)
        self.window_size = window_size
        self.k1 = check_positive("SSIM", "k1", k1)
        self.k2 = check_positive("SSIM", "k2", k2)
        super().__init__(data_range, name)

    def _smoothed(self, images: Array) -> Array:
        """Return the weighted means in all windows of images (M, 1, H, W)."""
        offsets = np.arange(self.window_size) - (self.window_size - 1) / 2
        window = np.exp(-np.square(offsets / self.sigma) / 2)
        window /= window.sum()
        column, row = window.reshape(1, 1, -1, 1), window.reshape(1, 1, 1, -1)
        return on_host(conv2d(conv2d(wrap(images), wrap(column)), wrap(row))._array)

    def of_each(self, output: Array, target: Array) -> Array:
        """Return the similarity of each image (N)."""
        if min(output.shape[2:]) < self.window_size:
            raise ValueError(
                f"{self.name}: images have shape {output.shape}, expected at least "
                f"{self.window_size} x {self.window_size} pixels, as the window"
            )
        x, y = (each.reshape(-1, 1, *each.shape[2:]) for each in (output, target))
        mean_x, mean_y = self._smoothed(x), self._smoothed(y)
        variance_x = self._smoothed(x * x) - mean_x**2
        variance_y = self._smoothed(y * y) - mean_y**2
        covariance = self._smoothed(x * y) - mean_x * mean_y
        c1, c2 = (self.k1 * self.data_range) ** 2, (self.k2 * self.data_range) ** 2
        likeness = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
        scale = (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
        values = (likeness / scale).reshape(*output.shape[:2], *mean_x.shape[2:])
        return np.asarray(values.mean((1, 2, 3)))


def psnr(output: Any, target: Any, data_range: float = 1.0) -> float:
    """Return the peak signal-to-noise ratio of images (see `PSNR`)."""
    return float(PSNR(data_range)(output, target))


def ssim(output: Any, target: Any, data_range: float = 1.0, **options: Any) -> float:
    """Return the structural similarity of images (see `SSIM`)."""
    return float(SSIM(data_range, **options)(output, target))

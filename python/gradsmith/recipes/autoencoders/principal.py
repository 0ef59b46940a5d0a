# SPDX-License-Identifier: Apache-2.0
"""Principal components, which an auto-encoder with as many values in its code has to beat."""

from __future__ import annotations

from typing import NamedTuple

from gradsmith import metrics
from gradsmith.ops.linalg_factor import svd
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor


class Plane(NamedTuple):
    """The plane that lies nearest to some images: their mean, and directions (values, pixels)."""

    mean: Tensor
    directions: Tensor

    def encode(self, images: Tensor) -> Tensor:
        """Return where images (N, ...) lie on the plane (N, values)."""
        return (images.flatten(1) - self.mean) @ self.directions.T

    def decode(self, codes: Tensor, like: Tensor) -> Tensor:
        """Return the images, in [0, 1] and of the shape of ``like``, of places on the plane."""
        images = (codes @ self.directions + self.mean).clamp(0, 1)
        return images.view_as(like)


def principal_plane(images: Tensor, values: int) -> Plane:
    """Return the plane of the first principal components of images (N, ...)."""
    flat = images.flatten(1)
    mean = flat.mean(0)
    return Plane(mean, svd(flat - mean, full_matrices=False)[2][:values])


def tell_plane(run: Run, training: Tensor, testing: Tensor, values: int) -> float:
    """Tell the PSNR of test scans restored from that many principal components, and return it."""
    plane = principal_plane(training, values)
    quality = metrics.psnr(plane.decode(plane.encode(testing), testing), testing)
    run.figure(f"PSNR of {values} principal components, dB", quality)
    return float(quality)

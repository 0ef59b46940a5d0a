# SPDX-License-Identifier: Apache-2.0
"""The scanned digits that come with the package, as the recipes take them."""

from __future__ import annotations

import numpy as np

from gradsmith.data import datasets, transforms
from gradsmith.ops.creation import from_numpy
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor

SCANNED = 8


def scanned_digits(run: Run, split: str, size: int = SCANNED) -> tuple[Tensor, Tensor]:
    """Return images (N, 1, size, size) in [0, 1] on the run's device, and their digits (N).

    Sizes above the scanner's 8 are by bilinear interpolation.
    """
    digits = datasets.digits(split)
    images = digits.data / np.float32(digits.scale)
    if size != SCANNED:
        images = transforms.Resize(size, antialias=False)(images)
    return from_numpy(images).to(run.device), from_numpy(digits.targets)


def scan_rows(run: Run, split: str) -> tuple[Tensor, Tensor]:
    """Return images as rows (N, 64) in [0, 1] and their digits (N), on the run's device."""
    images, digits = scanned_digits(run, split)
    return images.flatten(1), digits.to(run.device)

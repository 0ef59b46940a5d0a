# SPDX-License-Identifier: Apache-2.0
"""What the machines of this group learn: scanned digits as units, bars and stripes."""

from __future__ import annotations

import numpy as np

from gradsmith.ops.creation import from_numpy
from gradsmith.recipes.run import Run
from gradsmith.recipes.scans import scanned_digits
from gradsmith.tensor import Tensor

SIDE = 8


def pixels(run: Run, split: str) -> tuple[Tensor, Tensor]:
    """Return scanned digits as units (N, 64) in [0, 1], and their classes (N)."""
    images, digits = scanned_digits(run, split, SIDE)
    return images.flatten(1), digits


def as_images(units: Tensor) -> Tensor:
    """Return units (N, 64) as images (N, 1, 32, 32), each a square of 4x4 pixels."""
    images: Tensor = units.detach().reshape(-1, 1, SIDE, SIDE)
    return images.repeat_interleave(4, 2).repeat_interleave(4, 3)


def bars_and_stripes(side: int) -> Tensor:
    """Return all images (N, side^2) of which each row is full or empty, or each column is.

    There are ``2^(side + 1) - 2`` of them (MacKay, "Information theory", 2003, section 43.2).
    """
    choices = (np.arange(2**side)[:, None] >> np.arange(side)) & 1
    bars = np.repeat(choices[:, None, :], side, axis=1).reshape(len(choices), -1)
    stripes = np.repeat(choices[:, :, None], side, axis=2).reshape(len(choices), -1)
    return from_numpy(np.unique(np.concatenate([bars, stripes]), axis=0).astype(np.float32))

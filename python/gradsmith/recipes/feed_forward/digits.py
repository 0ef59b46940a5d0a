# SPDX-License-Identifier: Apache-2.0
"""Digits as rows of 784 numbers, for networks that know nothing of pictures."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gradsmith.data import ImageDataset, transforms
from gradsmith.ops.creation import from_numpy
from gradsmith.recipes.run import Run
from gradsmith.recipes.standard import digit_images
from gradsmith.tensor import Tensor

SIDE = 28


class Rows(NamedTuple):
    """Training and test digits: inputs float32 (N, 784) in [0, 1], classes int64 (N,)."""

    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor


def _rows(digits: ImageDataset) -> tuple[Tensor, Tensor]:
    images = digits.data / np.float32(digits.scale)
    if images.shape[-1] != SIDE:
        images = transforms.Resize(SIDE, antialias=False)(images)
    return from_numpy(images.reshape(len(images), -1)), from_numpy(digits.targets.astype(np.int64))


def digit_rows(run: Run) -> Rows:
    """Return MNIST if it is wanted and there, else the scans of the package grown to 28x28."""
    training, testing = digit_images(run)
    return Rows(*_rows(training), *_rows(testing))

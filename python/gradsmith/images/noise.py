# SPDX-License-Identifier: Apache-2.0
"""Noise. ``seed`` is an int, a Generator, or None for the library's generator."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradsmith.backend import Array
from gradsmith.data.keyed_random import generator_of
from gradsmith.images.pixels import as_floats, check_image, in_dtype_of
from gradsmith.ops.options import check_flag, check_number


def add_gaussian_noise(
    image: Array, std: float = 0.1, *, mean: float = 0.0, clip: bool = True, seed: Any = None
) -> Array:
    """Return the image plus normal noise.

    Args:
        image: of shape (H, W) or (H, W, C).
        std: standard deviation in units of white.
        mean: of the noise, in units of white.
        clip: cut floats to [0, 1].
        seed: see above.

    Raises:
        ValueError: ``std`` is negative.
    """
    op = "add_gaussian_noise"
    floats = as_floats(check_image(op, image))
    if not check_number(op, "std", std) >= 0:
        raise ValueError(f"{op}: std is {std}, expected >= 0")
    check_number(op, "mean", mean)
    noisy = floats + generator_of(op, seed).normal(mean, std, size=image.shape)
    return in_dtype_of(noisy.clip(0, 1) if check_flag(op, "clip", clip) else noisy, image)


def add_salt_and_pepper(
    image: Array, amount: float = 0.05, *, salt: float = 0.5, seed: Any = None
) -> Array:
    """Return the image with some pixels white or black in all channels.

    Args:
        image: of shape (H, W) or (H, W, C).
        amount: the probability that a pixel changes.
        salt: the probability that such a pixel is white.
        seed: see above.

    Raises:
        ValueError: a probability is not in [0, 1].
    """
    op = "add_salt_and_pepper"
    check_image(op, image)
    for name, value in (("amount", amount), ("salt", salt)):
        if not 0 <= check_number(op, name, value) <= 1:
            raise ValueError(f"{op}: {name} is {value}, expected 0 <= it <= 1")
    changes, is_white = generator_of(op, seed).random((2, *image.shape[:2]))
    result = image.copy()
    white = 255 if image.dtype == np.uint8 else 1
    result[changes < amount] = 0
    result[(changes < amount) & (is_white < salt)] = white
    return result

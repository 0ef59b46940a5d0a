# SPDX-License-Identifier: Apache-2.0
"""The way to tensors, and normalised values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradsmith.backend import Array
from gradsmith.data.transforms.base import Described, Image, as_planes, like
from gradsmith.data.transforms.options import numbers
from gradsmith.images.pixels import PIXEL_DTYPES, as_floats
from gradsmith.tensor import Tensor, wrap


class ToTensor(Described):
    """Makes a tensor (C, H, W) of a picture with channels last: bytes become floats in [0, 1].

    It takes what `images.read` returns, arrays (H, W) and (H, W, C), and images of Pillow; other
    transforms come after it. The images of `ImageDataset` and `ImageFolder` are (C, H, W) already.

    >>> import numpy as np
    >>> from gradsmith.data import transforms
    >>> transforms.ToTensor()(np.full((1, 2), 255, dtype=np.uint8))
    tensor([[[1., 1.]]])
    """

    def __call__(self, picture: Any) -> Tensor:
        """Return the tensor.

        Raises:
            TypeError: it is no array or picture, or not of bool, uint8, float32 or float64.
            ValueError: it has no shape (H, W) or (H, W, C) with at most 4 channels.
        """
        if not hasattr(picture, "__array_interface__"):
            kind = type(picture).__name__
            raise TypeError(f"ToTensor: picture is a {kind}, expected a NumPy array or an image")
        pixels = np.asarray(picture)
        if pixels.dtype == np.bool_:
            pixels = pixels.astype(np.float32)
        if pixels.dtype not in PIXEL_DTYPES:
            raise TypeError(
                f"ToTensor: picture is {pixels.dtype}, expected bool, uint8, float32 or float64"
            )
        deep = pixels[..., None] if pixels.ndim == 2 else pixels
        if deep.ndim != 3 or not 1 <= deep.shape[2] <= 4:
            raise ValueError(
                f"ToTensor: picture has shape {pixels.shape}, expected (H, W) or (H, W, C) with "
                "at most 4 channels"
            )
        return wrap(np.array(as_floats(deep).transpose(2, 0, 1), order="C"))


def _per_channel(name: str, value: float | Sequence[float]) -> tuple[float, ...]:
    return numbers("Normalize", name, value if isinstance(value, (list, tuple)) else (value,))


class Normalize(Described):
    """Returns (image - mean) / std for each channel.

    Args:
        mean: one number for each channel, or one for all.
        std: the same.

    Raises:
        ValueError: a std is not positive.
    """

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float]) -> None:
        """Check the numbers."""
        self.mean = _per_channel("mean", mean)
        self.std = _per_channel("std", std)
        if min(self.std, default=0) <= 0:
            raise ValueError(f"Normalize: std is {std}, expected positive numbers")

    def __call__(self, image: Image) -> Image:
        """Return the image (..., C, H, W), floats, normalised.

        Raises:
            TypeError: the image is not float32 or float64.
            ValueError: it has another number of channels than there are numbers.
        """
        planes = as_planes("Normalize", image)
        if planes.dtype == np.uint8:
            raise TypeError("Normalize: image is uint8, expected float32 or float64")
        mean, std = (self._fitting(name, planes) for name in ("mean", "std"))
        return like((planes - mean) / std, image)

    def _fitting(self, name: str, planes: Array) -> Array:
        values = getattr(self, name)
        if len(values) != 1 and planes.shape[-3:-2] != (len(values),):
            raise ValueError(
                f"Normalize: {name} has {len(values)} numbers, image has shape {planes.shape}"
            )
        column: Array = np.array(values, dtype=planes.dtype).reshape(-1, 1, 1)
        return column[0] if len(values) == 1 else column

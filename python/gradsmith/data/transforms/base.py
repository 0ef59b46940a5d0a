# SPDX-License-Identifier: Apache-2.0
"""What transforms of single images share: the way to channels last and back, and their repr."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from gradsmith.backend import Array
from gradsmith.data.keyed_random import sample_generator
from gradsmith.images.pixels import PIXEL_DTYPES
from gradsmith.tensor import Tensor, wrap

Image = TypeVar("Image", Array, Tensor)


class Described:
    """Its repr shows the options, which are its public attributes."""

    def __repr__(self) -> str:
        """Return the call that makes the object."""
        options = [f"{k}={v!r}" for k, v in vars(self).items() if not k.startswith("_")]
        return f"{type(self).__name__}({', '.join(options)})"


class Transform(Described):
    """Maps an image to another; subclasses define ``_changed``."""

    def __call__(self, image: Image) -> Image:
        """Return the changed image, an array or a tensor as ``image`` is.

        Raises:
            TypeError: the image is no array or tensor of uint8, float32 or float64 on the CPU.
            ValueError: it has no pixels, or a shape that the transform cannot take.
        """
        planes = as_planes(type(self).__name__, image)
        self._check(planes)
        lead = planes.shape[:-2]
        pixels = planes.reshape(-1, *planes.shape[-2:]).transpose(1, 2, 0)
        changed = self._changed(pixels).transpose(2, 0, 1)
        shape = (lead if len(changed) == pixels.shape[2] else (len(changed),)) + changed.shape[1:]
        return like(np.ascontiguousarray(changed).reshape(shape), image)

    def _check(self, planes: Array) -> None:
        """Raise ValueError unless the transform takes images of this shape."""

    def _changed(self, pixels: Array) -> Array:
        """Return the image of pixels (H, W, C), which stay as they are, with channels last."""
        raise NotImplementedError(f"{type(self).__name__} does not define _changed")

    def _is_due(self, p: float) -> bool:
        """Return True with probability ``p``."""
        return bool(sample_generator().random() < p)


def as_planes(op: str, image: Any) -> Array:
    """Return the array (..., H, W) of an image.

    Raises:
        TypeError: it is none of the kinds or dtypes that transforms take.
        ValueError: it has fewer than two dimensions or no pixels.
    """
    array = image._array if isinstance(image, Tensor) else image
    if not isinstance(array, np.ndarray):
        kind = type(array).__name__
        raise TypeError(f"{op}: image is a {kind}, expected a NumPy array or a tensor on the CPU")
    if array.dtype not in PIXEL_DTYPES:
        raise TypeError(f"{op}: image is {array.dtype}, expected uint8, float32 or float64")
    if array.ndim < 2 or array.size == 0:
        raise ValueError(f"{op}: image has shape {array.shape}, expected (..., H, W) with pixels")
    return array


def like(array: Array, image: Image) -> Image:
    """Return the array, or a tensor of it if ``image`` is one."""
    return wrap(array) if isinstance(image, Tensor) else array

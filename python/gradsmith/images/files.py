# SPDX-License-Identifier: Apache-2.0
"""Image files, through Pillow."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from gradsmith.backend import Array
from gradsmith.images.pixels import as_bytes, check_image


def _pillow(op: str) -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise ImportError(f"{op}: needs Pillow: pip install 'gradsmith[data]'") from None
    return Image


def read(path: str | os.PathLike[str], mode: str | None = None) -> Array:
    """Return the image in a file: uint8 of shape (H, W) in grey, else (H, W, C).

    The orientation that a camera wrote into the file is applied.

    Args:
        path: a file in a format that Pillow reads.
        mode: ``"L"`` (grey), ``"RGB"`` or ``"RGBA"``; None: what comes closest to the file.

    Raises:
        ImportError: Pillow is missing.
        OSError: the file cannot be read.
        TypeError: ``path`` is no path.
        ValueError: an unknown mode, no image, or one with 32 bits in a pixel.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"read: path is a {type(path).__name__}, expected a path")
    if mode not in (None, "L", "RGB", "RGBA"):
        raise ValueError(f"read: mode is {mode!r}, expected 'L', 'RGB', 'RGBA' or None")
    library = _pillow("read")
    from PIL import ImageOps, UnidentifiedImageError

    try:
        with library.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
            if image.mode in ("I", "F"):
                raise ValueError(
                    f"read: {os.fspath(path)} has 32 bits in a pixel, expected 8 or 16"
                )
            if image.mode.startswith("I;16"):  # Pillow would clip them instead of scaling
                image = library.fromarray((np.asarray(image) >> 8).astype(np.uint8))
            if mode is None:
                transparent = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
                mode = "L" if image.mode in ("1", "L") else "RGBA" if transparent else "RGB"
            return np.array(image.convert(mode))
    except UnidentifiedImageError:
        raise ValueError(f"read: {os.fspath(path)} is no image that Pillow knows") from None


def write(path: str | os.PathLike[str], image: Array, **options: Any) -> None:
    """Write an image to a file in the format that the name's ending says.

    Args:
        path: the file; an existing one is replaced.
        image: of shape (H, W), or (H, W, C) with C 1, 3 or 4; floats are clipped to [0, 1].
        **options: of Pillow's ``save``, such as ``quality=90`` for JPEG.

    Raises:
        ImportError: Pillow is missing.
        OSError: the file cannot be written.
        TypeError, ValueError: it is no image, or the format is unknown.
    """
    check_image("write", image)
    if image.ndim == 3 and image.shape[2] not in (1, 3, 4):
        raise ValueError(f"write: image has {image.shape[2]} channels, expected 1, 3 or 4")
    pixels = as_bytes(image)
    _pillow("write").fromarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels).save(
        path, **options
    )

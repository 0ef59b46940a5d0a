# SPDX-License-Identifier: Apache-2.0
"""What lies beyond the border of an image; the names are those of `numpy.pad`."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradsmith.backend import Array

MODES = ("reflect", "symmetric", "edge", "wrap", "constant")


def check_mode(op: str, mode: str) -> None:
    """Raise ValueError unless ``mode`` says how an image goes on beyond its border."""
    if mode not in MODES:
        raise ValueError(f"{op}: mode is {mode!r}, expected one of {MODES}")


def padded(image: Array, rows: int, columns: int, mode: str, fill: float = 0.0) -> Array:
    """Return the image with a border of so many rows and columns on every side."""
    widths = ((rows, rows), (columns, columns), *[(0, 0)] * (image.ndim - 2))
    options: dict[str, Any] = {"constant_values": fill} if mode == "constant" else {}
    result: Array = np.pad(image, widths, mode=mode, **options)  # type: ignore[call-overload]
    return result


def inside(index: Array, size: int, mode: str) -> Array:
    """Return the pixel 0 ... size - 1 that stands for an index beyond the border."""
    if mode == "wrap":
        return np.mod(index, size)
    if mode in ("reflect", "symmetric") and size > 1:
        twice = int(mode == "symmetric")  # whether the pixels at the border come twice
        period = 2 * size - 2 + 2 * twice
        index = np.mod(index, period)
        index = np.minimum(index, period - twice - index)
    return np.clip(index, 0, size - 1)

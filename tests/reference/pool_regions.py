# SPDX-License-Identifier: Apache-2.0
"""NumPy definitions of pooling of regions, point by point."""

from __future__ import annotations

import math

import numpy as np


def _at(plane: np.ndarray, y: float, x: float) -> float:
    """Return a map's value between pixels; 0 more than a pixel outside."""
    height, width = plane.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return 0.0
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    down, across = y - top, x - left
    upper = plane[top, left] * (1 - across) + plane[top, right] * across
    lower = plane[bottom, left] * (1 - across) + plane[bottom, right] * across
    return float(upper * (1 - down) + lower * down)


def roi_align(
    x: np.ndarray,
    boxes: np.ndarray,
    size: tuple[int, int],
    scale: float,
    ratio: int,
    aligned: bool,
) -> np.ndarray:
    out = np.zeros((len(boxes), x.shape[1], *size))
    for k, (image, *corners) in enumerate(boxes):
        left, top, right, bottom = (each * scale - 0.5 * aligned for each in corners)
        width, height = right - left, bottom - top
        if not aligned:
            width, height = max(width, 1), max(height, 1)
        down = ratio if ratio > 0 else math.ceil(height / size[0])
        across = ratio if ratio > 0 else math.ceil(width / size[1])
        for c, i, j in np.ndindex(out.shape[1:]):
            points = [
                _at(
                    x[int(image), c],
                    top + height / size[0] * (i + (a + 0.5) / down),
                    left + width / size[1] * (j + (b + 0.5) / across),
                )
                for a in range(down)
                for b in range(across)
            ]
            out[k, c, i, j] = np.mean(points)
    return out


def _rounded(value: float) -> int:
    """Return the nearest integer, a half away from 0."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def roi_pool(x: np.ndarray, boxes: np.ndarray, size: tuple[int, int], scale: float) -> np.ndarray:
    out = np.zeros((len(boxes), x.shape[1], *size))
    for k, (image, *corners) in enumerate(boxes):
        left, top, right, bottom = (_rounded(each * scale) for each in corners)
        height, width = max(bottom - top + 1, 1) / size[0], max(right - left + 1, 1) / size[1]
        for c, i, j in np.ndindex(out.shape[1:]):
            rows = slice(
                max(top + math.floor(i * height), 0), max(top + math.ceil((i + 1) * height), 0)
            )
            columns = slice(
                max(left + math.floor(j * width), 0), max(left + math.ceil((j + 1) * width), 0)
            )
            part = x[int(image), c, rows, columns]
            out[k, c, i, j] = part.max() if part.size else 0.0
    return out

# SPDX-License-Identifier: Apache-2.0
"""Rotated, moved, scaled and sheared images.

Coordinates are (x, y): x to the right and y down, with the pixel in row i and column j at
(j + 0.5, i + 0.5).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradsmith.backend import Array
from gradsmith.images.borders import check_mode, inside
from gradsmith.images.pixels import as_floats, check_image, in_dtype_of
from gradsmith.images.resampling import KERNELS
from gradsmith.ops.options import check_number

INTERPOLATIONS = ("nearest", "bilinear", "bicubic")


def _taps(where: Array, interpolation: str) -> tuple[Array, Array]:
    """Return the pixels around coordinates and their weights, a new first dimension each."""
    if interpolation == "nearest":
        return np.floor(where)[None].astype(np.int64), np.ones((1, *where.shape))
    kernel, reach = KERNELS[interpolation]
    first = np.floor(where - 0.5).astype(np.int64) - int(reach) + 1
    pixels = first + np.arange(int(2 * reach)).reshape(-1, *[1] * where.ndim)
    return pixels, kernel(pixels + 0.5 - where)


def _fill(op: str, fill: Any, image: Array) -> Array:
    """Return the level beyond the border as floats with white at 1, one or one per channel."""
    levels = np.asarray(fill, dtype=np.float64)
    if levels.ndim and levels.shape != image.shape[2:]:
        raise ValueError(
            f"{op}: fill has shape {levels.shape}, expected a number or one for each channel of "
            f"{image.shape}"
        )
    return levels / 255 if image.dtype == np.uint8 else levels


def _framed(planes: Array, level: Array) -> Array:
    """Return an image with a border of one pixel, which stands for all that lies beyond it."""
    height, width, channels = planes.shape
    framed = np.empty((height + 2, width + 2, channels), dtype=planes.dtype)
    framed[:] = level
    framed[1:-1, 1:-1] = planes
    return framed


def warp(
    image: Array,
    matrix: Any,
    size: tuple[int, int] | None = None,
    *,
    interpolation: str = "bilinear",
    mode: str = "constant",
    fill: Any = 0.0,
) -> Array:
    """Return an image whose pixel at (x, y) is that of ``image`` at ``matrix @ (x, y, 1)``.

    Args:
        image: of shape (H, W) or (H, W, C).
        matrix: of shape (2, 3), from coordinates of the result to those of the image.
        size: (height, width) of the result; None: those of the image.
        interpolation: ``"nearest"``, ``"bilinear"`` or ``"bicubic"``.
        mode: what lies beyond the border: ``"constant"``, or as `numpy.pad` continues it.
        fill: the constant, a number or one for each channel.

    Raises:
        ValueError: the matrix has another shape, or an unknown option.
    """
    op = "warp"
    check_image(op, image)
    check_mode(op, mode)
    if interpolation not in INTERPOLATIONS:
        raise ValueError(
            f"{op}: interpolation is {interpolation!r}, expected one of {INTERPOLATIONS}"
        )
    linear = np.asarray(matrix, dtype=np.float64)
    if linear.shape != (2, 3) or not np.isfinite(linear).all():
        raise ValueError(f"{op}: matrix has shape {linear.shape}, expected (2, 3) finite numbers")
    height, width = image.shape[:2] if size is None else size
    level = _fill(op, fill, image)
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    from_x = linear[0, 0] * x + linear[0, 1] * y + linear[0, 2]
    from_y = linear[1, 0] * x + linear[1, 1] * y + linear[1, 2]
    floats = as_floats(image)
    planes = floats.reshape(*image.shape[:2], -1)
    if mode == "constant":
        planes, from_x, from_y = _framed(planes, level), from_x + 1, from_y + 1
    pixels = planes.reshape(-1, planes.shape[2])
    columns, across = _taps(from_x, interpolation)
    rows, down = _taps(from_y, interpolation)
    starts = inside(rows, planes.shape[0], mode) * planes.shape[1]
    places = inside(columns, planes.shape[1], mode)
    result = np.zeros((height, width, planes.shape[2]), dtype=floats.dtype)
    for start, row_weight in zip(starts, down, strict=True):
        for place, column_weight in zip(places, across, strict=True):
            weight = (row_weight * column_weight).astype(floats.dtype)
            result += weight[..., None] * pixels.take(start + place, axis=0)
    return in_dtype_of(result.reshape(height, width, *image.shape[2:]), image)


def affine_matrix(
    angle: float = 0.0,
    translate: Sequence[float] = (0.0, 0.0),
    scale: float = 1.0,
    shear: float | Sequence[float] = 0.0,
    center: Sequence[float] = (0.0, 0.0),
) -> Array:
    """Return the matrix (2, 3) from a point (x, y, 1) to where it goes.

    The point is sheared along x, then y, scaled and turned clockwise by ``angle`` degrees around
    ``center``, then moved by ``translate``: translation @ rotation(angle) @ scale @ shear_y @
    shear_x, as in torchvision.

    Raises:
        ValueError: the scale is not positive.
    """
    op = "affine_matrix"
    if not check_number(op, "scale", scale) > 0:
        raise ValueError(f"{op}: scale is {scale}, expected a positive number")
    shears = (shear, 0.0) if isinstance(shear, (int, float)) else tuple(shear)
    for name, pair in (("shear", shears), ("translate", translate), ("center", center)):
        if len(pair) != 2:
            raise ValueError(f"{op}: {name} is {pair}, expected (x, y)")
    turn = math.radians(check_number(op, "angle", angle))
    tan_x, tan_y = (math.tan(math.radians(each)) for each in shears)
    # Rounding makes quarter turns exact.
    cos, sin = round(math.cos(turn), 15), round(math.sin(turn), 15)
    linear = scale * np.array([[cos, -sin], [sin, cos]])
    linear = linear @ np.array([[1, 0], [-tan_y, 1]]) @ np.array([[1, -tan_x], [0, 1]])
    middle = np.asarray(center, dtype=np.float64)
    offset = middle + np.asarray(translate, dtype=np.float64) - linear @ middle
    return np.concatenate([linear, offset[:, None]], axis=1)


def _inverse(matrix: Array) -> Array:
    linear = np.linalg.inv(matrix[:, :2])
    return np.concatenate([linear, -(linear @ matrix[:, 2:])], axis=1)


def affine(
    image: Array,
    angle: float = 0.0,
    translate: Sequence[float] = (0.0, 0.0),
    scale: float = 1.0,
    shear: float | Sequence[float] = 0.0,
    *,
    interpolation: str = "bilinear",
    mode: str = "constant",
    fill: Any = 0.0,
    center: Sequence[float] | None = None,
) -> Array:
    """Return the image sheared, scaled, turned and moved; size and arguments as in torchvision.

    Args:
        image: of shape (H, W) or (H, W, C).
        angle: degrees clockwise.
        translate: pixels to the right and down.
        scale: above 1 enlarges.
        shear: degrees along x, or along (x, y).
        interpolation: ``"nearest"``, ``"bilinear"`` or ``"bicubic"``.
        mode: what lies beyond the border: ``"constant"``, or as `numpy.pad` continues it.
        fill: the constant, a number or one for each channel.
        center: the fixed point (x, y); None: the middle.

    Raises:
        ValueError: an option is out of range; a shear of 90 degrees leaves no image.
    """
    check_image("affine", image)
    middle = (image.shape[1] / 2, image.shape[0] / 2) if center is None else center
    matrix = affine_matrix(angle, translate, scale, shear, middle)
    return warp(image, _inverse(matrix), interpolation=interpolation, mode=mode, fill=fill)


def rotate(
    image: Array,
    angle: float,
    *,
    expand: bool = False,
    interpolation: str = "bilinear",
    mode: str = "constant",
    fill: Any = 0.0,
    center: Sequence[float] | None = None,
) -> Array:
    """Return the image turned by ``angle`` degrees counter-clockwise.

    Args:
        image: of shape (H, W) or (H, W, C).
        angle: degrees counter-clockwise.
        expand: make the result as large as the turned image; otherwise corners are cut off.
        interpolation, mode, fill, center: as in `affine`.

    Raises:
        ValueError: an unknown option.
    """
    check_image("rotate", image)
    height, width = image.shape[:2]
    middle = (width / 2, height / 2) if center is None else center
    matrix = affine_matrix(-check_number("rotate", "angle", angle), center=middle)
    size = (height, width)
    if expand:
        corners = np.array([[0, width, 0, width], [0, 0, height, height]])
        turned = (matrix[:, :2] @ corners + matrix[:, 2:]).round(9)
        low, high = turned.min(axis=1), turned.max(axis=1)
        if angle % 90 != 0:  # as Pillow, whose quarter turns only move pixels
            low, high = np.floor(low), np.ceil(high)
        size = (round(high[1] - low[1]), round(high[0] - low[0]))
        # The middle of what the corners span goes to the middle of the result.
        span = (turned.min(axis=1) + turned.max(axis=1)) / 2
        matrix[:, 2] += np.array([size[1], size[0]]) / 2 - span
    return warp(image, _inverse(matrix), size, interpolation=interpolation, mode=mode, fill=fill)

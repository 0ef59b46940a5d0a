# SPDX-License-Identifier: Apache-2.0
"""Parts of images, and borders around them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradsmith import images
from gradsmith.backend import Array
from gradsmith.data.keyed_random import sample_generator
from gradsmith.data.transforms.base import Transform
from gradsmith.data.transforms.options import (
    Interval,
    Level,
    check_channels,
    check_choice,
    drawn,
    interval,
    level,
    size_pair,
)
from gradsmith.images.resampling import METHODS
from gradsmith.ops.options import check_flag, check_int

PADDING_MODES = ("constant", "edge", "reflect", "symmetric")

Sides = tuple[int, int, int, int]


def _sides(op: str, padding: Any) -> Sides:
    """Return the pixels to add at (left, top, right, bottom)."""
    given = padding if isinstance(padding, (list, tuple)) else (padding,)
    pixels = tuple(check_int(op, "padding", each) for each in given)
    if len(pixels) not in (1, 2, 4) or min(pixels) < 0:
        raise ValueError(
            f"{op}: padding is {padding}, expected 1, 2 (left and right, top and bottom) or 4 "
            "(left, top, right, bottom) ints >= 0"
        )
    left, top, right, bottom = pixels * (4 // len(pixels))
    return left, top, right, bottom


def _bordered(op: str, pixels: Array, sides: Sides, mode: str, fill: Level) -> Array:
    """Return the image (H, W, C) with a border."""
    left, top, right, bottom = sides
    if not any(sides):
        return pixels
    if mode != "constant":
        widths = ((top, bottom), (left, right), (0, 0))
        extended: Array = np.pad(pixels, widths, mode=mode)  # type: ignore[call-overload]
        return extended
    height, width, channels = pixels.shape
    check_channels(op, "fill", fill, pixels)
    framed = np.empty((top + height + bottom, left + width + right, channels), dtype=pixels.dtype)
    framed[:] = fill
    framed[top : top + height, left : left + width] = pixels
    return framed


def place(free_rows: int, free_columns: int) -> tuple[int, int]:
    """Return the random place of a part that leaves so many rows and columns free."""
    down, right = sample_generator().integers(0, (free_rows + 1, free_columns + 1))
    return int(down), int(right)


def random_part(
    height: int, width: int, scale: Interval, ratio: Interval
) -> tuple[int, int, int, int] | None:
    """Return (top, left, height, width) of a part of random area and proportions.

    Args:
        height: of the image.
        width: of the image.
        scale: range of its share of the area.
        ratio: range of width / height, which is drawn on a logarithmic scale.

    Returns:
        None if ten tries gave none that lies within the image.
    """
    for _ in range(10):
        area = height * width * drawn(scale)
        proportion = math.exp(drawn((math.log(ratio[0]), math.log(ratio[1]))))
        rows, columns = round(math.sqrt(area / proportion)), round(math.sqrt(area * proportion))
        if 0 < rows <= height and 0 < columns <= width:
            return *place(height - rows, width - columns), rows, columns
    return None


class Pad(Transform):
    """Adds a border.

    Args:
        padding: pixels on all sides, or (left and right, top and bottom), or (left, top, right,
            bottom).
        fill: the level of a constant border, a number or one for each channel.
        padding_mode: ``"constant"``, ``"edge"``, ``"reflect"`` or ``"symmetric"``.

    Raises:
        ValueError: a negative number of pixels or an unknown mode.
    """

    def __init__(
        self, padding: int | Sequence[int], fill: Level = 0.0, padding_mode: str = "constant"
    ) -> None:
        """Check the options."""
        _sides("Pad", padding)
        self.padding = padding
        self.fill = level("Pad", "fill", fill)
        self.padding_mode = check_choice("Pad", "padding_mode", padding_mode, PADDING_MODES)

    def _changed(self, pixels: Array) -> Array:
        sides = _sides("Pad", self.padding)
        return _bordered("Pad", pixels, sides, self.padding_mode, self.fill)


class CenterCrop(Transform):
    """Takes the middle of an image; a smaller one gets a border of zeros first.

    Args:
        size: (height, width), or an int for both.
    """

    def __init__(self, size: int | Sequence[int]) -> None:
        """Check the size."""
        self.size = size_pair("CenterCrop", "size", size)

    def _changed(self, pixels: Array) -> Array:
        needs = [max(0, new - old) for new, old in zip(self.size, pixels.shape[:2], strict=True)]
        sides = (needs[1] // 2, needs[0] // 2, (needs[1] + 1) // 2, (needs[0] + 1) // 2)
        wide = _bordered("CenterCrop", pixels, sides, "constant", 0.0)
        top, left = (
            round((old - new) / 2) for new, old in zip(self.size, wide.shape[:2], strict=True)
        )
        return images.crop(wide, top, left, *self.size)


class RandomCrop(Transform):
    """Takes a part of an image at a random place.

    Args:
        size: (height, width), or an int for both.
        padding: a border to add first, as of `Pad`.
        pad_if_needed: extend images that are smaller than ``size`` on both sides.
        fill: the level of a constant border, a number or one for each channel.
        padding_mode: ``"constant"``, ``"edge"``, ``"reflect"`` or ``"symmetric"``.

    Raises:
        ValueError: an option is out of range; in the call, the image is too small.
    """

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int | Sequence[int] | None = None,
        pad_if_needed: bool = False,
        fill: Level = 0.0,
        padding_mode: str = "constant",
    ) -> None:
        """Check the options."""
        op = "RandomCrop"
        self.size = size_pair(op, "size", size)
        if padding is not None:
            _sides(op, padding)
        self.padding = padding
        self.pad_if_needed = check_flag(op, "pad_if_needed", pad_if_needed)
        self.fill = level(op, "fill", fill)
        self.padding_mode = check_choice(op, "padding_mode", padding_mode, PADDING_MODES)

    def _changed(self, pixels: Array) -> Array:
        op, border = "RandomCrop", (self.padding_mode, self.fill)
        if self.padding is not None:
            pixels = _bordered(op, pixels, _sides(op, self.padding), *border)
        height, width = self.size
        if self.pad_if_needed:
            rows, columns = max(0, height - pixels.shape[0]), max(0, width - pixels.shape[1])
            pixels = _bordered(op, pixels, (columns, rows, columns, rows), *border)
        if height > pixels.shape[0] or width > pixels.shape[1]:
            raise ValueError(
                f"{op}: the image has {pixels.shape[0]} x {pixels.shape[1]} pixels with its "
                f"border, expected at least {height} x {width}"
            )
        top, left = place(pixels.shape[0] - height, pixels.shape[1] - width)
        return images.crop(pixels, top, left, height, width)


class RandomShift(Transform):
    """Moves an image by up to ``pixels`` in each direction; ``fill`` comes in at the border.

    Args:
        pixels: the largest shift, whole pixels.
        fill: a number, or one for each channel.

    Raises:
        ValueError: ``pixels`` is negative.
    """

    def __init__(self, pixels: int, fill: Level = 0.0) -> None:
        """Check the options."""
        if check_int("RandomShift", "pixels", pixels) < 0:
            raise ValueError(f"RandomShift: pixels is {pixels}, expected >= 0")
        self.pixels = int(pixels)
        self.fill = level("RandomShift", "fill", fill)

    def _changed(self, pixels: Array) -> Array:
        most = self.pixels
        wide = _bordered("RandomShift", pixels, (most,) * 4, "constant", self.fill)
        return images.crop(wide, *place(2 * most, 2 * most), *pixels.shape[:2])


class RandomResizedCrop(Transform):
    """Takes a part of random area and proportions and brings it to a size (Szegedy et al., 2015).

    Args:
        size: (height, width), or an int for both.
        scale: range of the part's share of the area.
        ratio: range of the part's width / height, drawn on a logarithmic scale.
        interpolation: as of `images.resize`.
        antialias: as of `images.resize`.

    Raises:
        ValueError: an option is out of range.
    """

    def __init__(
        self,
        size: int | Sequence[int],
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3 / 4, 4 / 3),
        interpolation: str = "bilinear",
        antialias: bool = True,
    ) -> None:
        """Check the options."""
        op = "RandomResizedCrop"
        self.size = size_pair(op, "size", size)
        self.scale = interval(op, "scale", scale, 0.0, 1.0)
        self.ratio = interval(op, "ratio", ratio, 1e-6, 1e6)
        self.interpolation = check_choice(op, "interpolation", interpolation, METHODS)
        self.antialias = check_flag(op, "antialias", antialias)

    def _changed(self, pixels: Array) -> Array:
        part = random_part(pixels.shape[0], pixels.shape[1], self.scale, self.ratio)
        if part is None:  # the largest middle part whose proportions are allowed
            height, width = pixels.shape[:2]
            rows = min(height, max(1, round(width / self.ratio[0])))
            columns = min(width, max(1, round(height * self.ratio[1])))
            part = ((height - rows) // 2, (width - columns) // 2, rows, columns)
        cut = images.crop(pixels, *part)
        return images.resize(cut, self.size, self.interpolation, antialias=self.antialias)

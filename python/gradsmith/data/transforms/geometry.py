# SPDX-License-Identifier: Apache-2.0
"""Mirrored, resized, turned, moved, scaled and sheared images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradsmith import images
from gradsmith.backend import Array
from gradsmith.data.transforms.base import Transform
from gradsmith.data.transforms.options import (
    Level,
    check_choice,
    check_probability,
    drawn,
    interval,
    level,
    numbers,
    size_pair,
    spread,
)
from gradsmith.images.borders import MODES
from gradsmith.images.resampling import METHODS
from gradsmith.images.warping import INTERPOLATIONS
from gradsmith.ops.options import check_flag, check_int


class RandomHorizontalFlip(Transform):
    """Exchanges left and right with probability ``p``."""

    def __init__(self, p: float = 0.5) -> None:
        """Check the probability."""
        self.p = check_probability("RandomHorizontalFlip", p)

    def _changed(self, pixels: Array) -> Array:
        return images.flip(pixels) if self._is_due(self.p) else pixels


class RandomVerticalFlip(Transform):
    """Exchanges top and bottom with probability ``p``."""

    def __init__(self, p: float = 0.5) -> None:
        """Check the probability."""
        self.p = check_probability("RandomVerticalFlip", p)

    def _changed(self, pixels: Array) -> Array:
        return images.flip(pixels, "vertical") if self._is_due(self.p) else pixels


class Resize(Transform):
    """Brings an image to a size, see `images.resize`.

    Args:
        size: (height, width), or an int for the shorter side, which keeps the proportions.
        interpolation: ``"nearest"``, ``"box"``, ``"bilinear"``, ``"bicubic"`` or ``"lanczos"``.
        max_size: the most that the longer side may become, where ``size`` is an int.
        antialias: stretch the filter where the image shrinks.

    Raises:
        ValueError: an option is out of range.

    >>> import numpy as np
    >>> from gradsmith.data import transforms
    >>> transforms.Resize(16)(np.zeros((3, 64, 32), dtype=np.uint8)).shape
    (3, 32, 16)
    """

    def __init__(
        self,
        size: int | Sequence[int],
        interpolation: str = "bilinear",
        max_size: int | None = None,
        antialias: bool = True,
    ) -> None:
        """Check the options."""
        pair = size_pair("Resize", "size", size)
        self.size: int | tuple[int, int] = pair if isinstance(size, (list, tuple)) else pair[0]
        self.interpolation = check_choice("Resize", "interpolation", interpolation, METHODS)
        if max_size is not None and (
            isinstance(self.size, tuple) or check_int("Resize", "max_size", max_size) < self.size
        ):
            raise ValueError(
                f"Resize: max_size is {max_size} and size {size}, expected an int size of at most "
                "max_size"
            )
        self.max_size = max_size
        self.antialias = check_flag("Resize", "antialias", antialias)

    def _changed(self, pixels: Array) -> Array:
        size = self.size
        longest, shortest = max(pixels.shape[:2]), min(pixels.shape[:2])
        if self.max_size is not None and int(longest * self.size / shortest) > self.max_size:
            size = tuple(max(1, side * self.max_size // longest) for side in pixels.shape[:2])
        return images.resize(pixels, size, self.interpolation, antialias=self.antialias)


class RandomRotation(Transform):
    """Turns an image counter-clockwise by a random angle, see `images.rotate`.

    Args:
        degrees: range of the angle; a number d stands for (-d, d).
        interpolation: ``"nearest"``, ``"bilinear"`` or ``"bicubic"``.
        expand: make the result as large as the turned image.
        center: the fixed point (x, y) in pixels; None: the middle.
        fill: the level beyond the border, a number or one for each channel.

    Raises:
        ValueError: an option is out of range.
    """

    def __init__(
        self,
        degrees: float | Sequence[float],
        interpolation: str = "nearest",
        expand: bool = False,
        center: Sequence[float] | None = None,
        fill: Level = 0.0,
    ) -> None:
        """Check the options."""
        op = "RandomRotation"
        self.degrees = spread(op, "degrees", degrees)
        self.interpolation = check_choice(op, "interpolation", interpolation, INTERPOLATIONS)
        self.expand = check_flag(op, "expand", expand)
        self.center = None if center is None else _point(op, center)
        self.fill = level(op, "fill", fill)

    def _changed(self, pixels: Array) -> Array:
        return images.rotate(
            pixels,
            drawn(self.degrees),
            expand=self.expand,
            interpolation=self.interpolation,
            fill=self.fill,
            center=self.center,
        )


def _point(op: str, center: Any) -> tuple[float, ...]:
    point = numbers(op, "center", center)
    if len(point) != 2:
        raise ValueError(f"{op}: center is {center}, expected (x, y)")
    return point


def _shears(op: str, shear: Any) -> tuple[tuple[float, float], ...]:
    """Return the ranges of the angles along x and, if there is one, y."""
    if not isinstance(shear, (list, tuple)) or len(shear) == 2:
        found = [spread(op, "shear", shear, least=-90, most=90)]
    elif len(shear) == 4:
        found = [interval(op, "shear", pair, -90, 90) for pair in (shear[:2], shear[2:])]
    else:
        raise ValueError(f"{op}: shear is {shear}, expected a number, 2 or 4 numbers")
    if any(-90 in pair or 90 in pair for pair in found):
        raise ValueError(f"{op}: shear is {shear}, which leaves no image")
    return tuple(found)


class RandomAffine(Transform):
    """Turns, moves, scales and shears an image at random around its middle, see `images.affine`.

    Args:
        degrees: range of the clockwise angle; a number d stands for (-d, d).
        translate: the largest shift along (x, y) as a share of width and height; None: 0.
        scale: range of the scale; None: 1.
        shear: range of the angle along x, a number d standing for (-d, d), or four numbers for x
            and y; None: 0.
        interpolation: ``"nearest"``, ``"bilinear"`` or ``"bicubic"``.
        fill: the level beyond the border, a number or one for each channel.
        center: the fixed point (x, y) in pixels; None: the middle.

    Raises:
        ValueError: an option is out of range.
    """

    def __init__(
        self,
        degrees: float | Sequence[float],
        translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        shear: float | Sequence[float] | None = None,
        interpolation: str = "nearest",
        fill: Level = 0.0,
        center: Sequence[float] | None = None,
    ) -> None:
        """Check the options."""
        op = "RandomAffine"
        self.degrees = spread(op, "degrees", degrees)
        self.translate = None if translate is None else numbers(op, "translate", translate)
        if self.translate is not None and (
            len(self.translate) != 2 or not all(0 <= share <= 1 for share in self.translate)
        ):
            raise ValueError(f"{op}: translate is {translate}, expected (x, y) from 0 to 1")
        self.scale = None if scale is None else interval(op, "scale", scale, 1e-6)
        self.shear = None if shear is None else _shears(op, shear)
        self.interpolation = check_choice(op, "interpolation", interpolation, INTERPOLATIONS)
        self.fill = level(op, "fill", fill)
        self.center = None if center is None else _point(op, center)

    def _changed(self, pixels: Array) -> Array:
        height, width = pixels.shape[:2]
        angle = drawn(self.degrees)
        x, y = self.translate or (0.0, 0.0)
        translate = [float(round(drawn((-most, most)))) for most in (x * width, y * height)]
        scale = 1.0 if self.scale is None else drawn(self.scale)
        shear = [drawn(limits) for limits in self.shear or ()]
        return images.affine(
            pixels,
            angle,
            translate,
            scale,
            [*shear, 0.0, 0.0][:2],
            interpolation=self.interpolation,
            fill=self.fill,
            center=self.center,
        )


class _Warp(Transform):
    """Keeps what `images.warp` does beyond the border and between pixels."""

    def __init__(self, interpolation: str, fill: Level, padding_mode: str) -> None:
        op = type(self).__name__
        self.interpolation = check_choice(op, "interpolation", interpolation, INTERPOLATIONS)
        self.fill = level(op, "fill", fill)
        self.padding_mode = check_choice(op, "padding_mode", padding_mode, MODES)

    def _warped(self, pixels: Array, linear: Array) -> Array:
        """Return the image whose point p, seen from the middle, is that of pixels at linear p."""
        middle = np.array([pixels.shape[1] / 2, pixels.shape[0] / 2])
        matrix = np.concatenate([linear, (middle - linear @ middle)[:, None]], axis=1)
        return images.warp(
            pixels,
            matrix,
            interpolation=self.interpolation,
            mode=self.padding_mode,
            fill=self.fill,
        )


class RandomZoom(_Warp):
    """Zooms in or out by random factors around the middle; the size stays.

    Args:
        height_factor: range of the change of what is seen, a number f standing for (-f, f): 0.2
            shows 20 % more rows, -0.2 shows 20 % fewer.
        width_factor: the same for columns; None: the number drawn for rows.
        interpolation: ``"nearest"``, ``"bilinear"`` or ``"bicubic"``.
        fill: the level beyond the border, where padding_mode is ``"constant"``.
        padding_mode: ``"constant"``, or as `numpy.pad` continues the image.

    Raises:
        ValueError: an option is out of range; factors lie above -1.
    """

    def __init__(
        self,
        height_factor: float | Sequence[float],
        width_factor: float | Sequence[float] | None = None,
        interpolation: str = "bilinear",
        fill: Level = 0.0,
        padding_mode: str = "symmetric",
    ) -> None:
        """Check the options."""
        self.height_factor = self._factor("height_factor", height_factor)
        self.width_factor = (
            None if width_factor is None else self._factor("width_factor", width_factor)
        )
        super().__init__(interpolation, fill, padding_mode)

    def _factor(self, name: str, value: Any) -> tuple[float, float]:
        limits = spread("RandomZoom", name, value)
        if limits[0] <= -1:
            raise ValueError(f"RandomZoom: {name} is {value}, expected factors above -1")
        return limits

    def _changed(self, pixels: Array) -> Array:
        rows = drawn(self.height_factor)
        columns = rows if self.width_factor is None else drawn(self.width_factor)
        return self._warped(pixels, np.diag([1 + columns, 1 + rows]))


class RandomShear(_Warp):
    """Shears an image by random slopes around its middle.

    Args:
        x_factor: range of columns moved per row, a number f standing for (-f, f).
        y_factor: range of rows moved per column.
        interpolation: ``"nearest"``, ``"bilinear"`` or ``"bicubic"``.
        fill: the level beyond the border, where padding_mode is ``"constant"``.
        padding_mode: ``"constant"``, or as `numpy.pad` continues the image.

    Raises:
        ValueError: an option is out of range; slopes lie between -1 and 1.
    """

    def __init__(
        self,
        x_factor: float | Sequence[float] = 0.0,
        y_factor: float | Sequence[float] = 0.0,
        interpolation: str = "bilinear",
        fill: Level = 0.0,
        padding_mode: str = "symmetric",
    ) -> None:
        """Check the options."""
        self.x_factor = spread("RandomShear", "x_factor", x_factor, least=-1, most=1)
        self.y_factor = spread("RandomShear", "y_factor", y_factor, least=-1, most=1)
        super().__init__(interpolation, fill, padding_mode)

    def _changed(self, pixels: Array) -> Array:
        slopes = drawn(self.x_factor), drawn(self.y_factor)
        return self._warped(pixels, np.array([[1.0, slopes[0]], [slopes[1], 1.0]]))

# SPDX-License-Identifier: Apache-2.0
"""Parts of images that are blotted out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradsmith.backend import Array
from gradsmith.data.keyed_random import sample_generator
from gradsmith.data.transforms.base import Transform
from gradsmith.data.transforms.crops import place, random_part
from gradsmith.data.transforms.options import (
    Level,
    check_channels,
    check_probability,
    interval,
    level,
)
from gradsmith.ops.options import check_int


class Cutout(Transform):
    """Blots out squares around random pixels (DeVries and Taylor, 2017).

    What of a square lies beyond the border is lost, so that most pixels stay visible.

    Args:
        n_holes: number of squares.
        length: pixels of their sides.
        fill: their level, a number or one for each channel.

    Raises:
        ValueError: a negative number.
    """

    def __init__(self, n_holes: int = 1, length: int = 16, fill: Level = 0.0) -> None:
        """Check the options."""
        for name, value in (("n_holes", n_holes), ("length", length)):
            if check_int("Cutout", name, value) < 0:
                raise ValueError(f"Cutout: {name} is {value}, expected >= 0")
        self.n_holes = int(n_holes)
        self.length = int(length)
        self.fill = level("Cutout", "fill", fill)

    def _changed(self, pixels: Array) -> Array:
        check_channels("Cutout", "fill", self.fill, pixels)
        result = pixels.copy()
        for _ in range(self.n_holes):
            corner = np.array(place(pixels.shape[0] - 1, pixels.shape[1] - 1)) - self.length // 2
            (top, left), (bottom, right) = corner.clip(0), (corner + self.length).clip(0)
            result[top:bottom, left:right] = self.fill
        return result


class RandomErasing(Transform):
    """Blots out a rectangle of random area and proportions (Zhong et al., 2017).

    Args:
        p: probability to do so.
        scale: range of its share of the area.
        ratio: range of its width / height, drawn on a logarithmic scale.
        value: its level, a number or one for each channel; ``"random"``: noise, normal for floats
            and uniform for bytes.

    Raises:
        ValueError: an option is out of range.
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: Level | str = 0.0,
    ) -> None:
        """Check the options."""
        op = "RandomErasing"
        self.p = check_probability(op, p)
        self.scale = interval(op, "scale", scale, 0.0, 1.0)
        self.ratio = interval(op, "ratio", ratio, 1e-6, 1e6)
        if isinstance(value, str) and value != "random":
            raise ValueError(f"{op}: value is {value!r}, expected a level or 'random'")
        self.value = value if isinstance(value, str) else level(op, "value", value)

    def _changed(self, pixels: Array) -> Array:
        if not isinstance(self.value, str):
            check_channels("RandomErasing", "value", self.value, pixels)
        if not self._is_due(self.p):
            return pixels
        part = random_part(pixels.shape[0], pixels.shape[1], self.scale, self.ratio)
        if part is None:
            return pixels
        top, left, height, width = part
        result = pixels.copy()
        hole = result[top : top + height, left : left + width]
        hole[:] = _noise(hole) if isinstance(self.value, str) else self.value
        return result


def _noise(hole: Array) -> Array:
    if hole.dtype == np.uint8:
        return np.asarray(sample_generator().integers(0, 256, hole.shape))
    return np.asarray(sample_generator().normal(size=hole.shape))

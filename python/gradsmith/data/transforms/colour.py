# SPDX-License-Identifier: Apache-2.0
"""Brightness, contrast, saturation and hue. Images are (C, H, W) or (H, W), in RGB or grey.

Brightness, contrast and saturation are factors: a number f stands for the range from max(0, 1 - f)
to 1 + f, and 1 changes nothing. Hue moves by a share of the circle of colours. Saturation and hue
leave grey images as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gradsmith import images
from gradsmith.backend import Array
from gradsmith.data.keyed_random import sample_generator
from gradsmith.data.transforms.base import Transform
from gradsmith.data.transforms.options import Interval, check_probability, drawn, spread

Factor = float | Sequence[float]
Adjust = Callable[[Array, float], Array]


def _factor(op: str, name: str, value: Factor) -> Interval:
    return spread(op, name, value, centre=1.0, least=0.0)


def _turns(op: str, name: str, value: Factor) -> Interval:
    return spread(op, name, value, least=-0.5, most=0.5)


def _saturated(pixels: Array, factor: float) -> Array:
    return pixels if pixels.shape[2] == 1 else images.adjust_saturation(pixels, factor)


def _turned(pixels: Array, shift: float) -> Array:
    return pixels if pixels.shape[2] == 1 else images.adjust_hue(pixels, shift)


class _Colours(Transform):
    """A transform of images with 1 or 3 channels."""

    def _check(self, planes: Array) -> None:
        if planes.ndim > 3 or planes.shape[:-2] not in ((), (1,), (3,)):
            raise ValueError(
                f"{type(self).__name__}: image has shape {planes.shape}, expected (H, W) or "
                "(C, H, W) with 1 or 3 channels"
            )


class ColorJitter(_Colours):
    """Changes brightness, contrast, saturation and hue at random and in random order.

    Args:
        brightness: range of the factor, see `images.adjust_brightness`.
        contrast: range of the factor, see `images.adjust_contrast`.
        saturation: range of the factor, see `images.adjust_saturation`.
        hue: range of the shift, a number h <= 0.5 standing for (-h, h), see `images.adjust_hue`.

    Raises:
        ValueError: a factor may become negative, or a shift leave [-0.5, 0.5].
    """

    def __init__(
        self,
        brightness: Factor = 0.0,
        contrast: Factor = 0.0,
        saturation: Factor = 0.0,
        hue: Factor = 0.0,
    ) -> None:
        """Check the ranges."""
        op = "ColorJitter"
        self.brightness = _factor(op, "brightness", brightness)
        self.contrast = _factor(op, "contrast", contrast)
        self.saturation = _factor(op, "saturation", saturation)
        self.hue = _turns(op, "hue", hue)

    def _changed(self, pixels: Array) -> Array:
        steps: list[tuple[Adjust, Interval, float]] = [
            (images.adjust_brightness, self.brightness, 1.0),
            (images.adjust_contrast, self.contrast, 1.0),
            (_saturated, self.saturation, 1.0),
            (_turned, self.hue, 0.0),
        ]
        for which in sample_generator().permutation(len(steps)):
            adjust, limits, neutral = steps[which]
            if limits != (neutral, neutral):
                pixels = adjust(pixels, drawn(limits))
        return pixels


class _Adjustment(_Colours):
    """One of the four changes alone."""

    def __init__(self, factor: Factor) -> None:
        """Check the range."""
        self.factor = self._limits(type(self).__name__, "factor", factor)

    _limits = staticmethod(_factor)

    @staticmethod
    def _adjusted(pixels: Array, factor: float, /) -> Array:
        raise NotImplementedError

    def _changed(self, pixels: Array) -> Array:
        return self._adjusted(pixels, drawn(self.factor))


class RandomBrightness(_Adjustment):
    """Changes the brightness, see `images.adjust_brightness`.

    Args:
        factor: its range; a number f stands for (max(0, 1 - f), 1 + f).

    Raises:
        ValueError: the factor may become negative.
    """

    _adjusted = staticmethod(images.adjust_brightness)


class RandomContrast(_Adjustment):
    """Changes the contrast, see `images.adjust_contrast`.

    Args:
        factor: its range; a number f stands for (max(0, 1 - f), 1 + f).

    Raises:
        ValueError: the factor may become negative.
    """

    _adjusted = staticmethod(images.adjust_contrast)


class RandomSaturation(_Adjustment):
    """Changes the saturation, see `images.adjust_saturation`.

    Args:
        factor: its range; a number f stands for (max(0, 1 - f), 1 + f).

    Raises:
        ValueError: the factor may become negative.
    """

    _adjusted = staticmethod(_saturated)


class RandomHue(_Adjustment):
    """Moves the hue, see `images.adjust_hue`.

    Args:
        factor: range of the shift in turns; a number h <= 0.5 stands for (-h, h).

    Raises:
        ValueError: the shift may leave [-0.5, 0.5].
    """

    _limits = staticmethod(_turns)
    _adjusted = staticmethod(_turned)


def _grey(pixels: Array, channels: int) -> Array:
    grey = images.to_grey(pixels)[..., None]
    return grey if channels == 1 else images.to_rgb(grey)


class Grayscale(_Colours):
    """Turns an image grey, see `images.to_grey`.

    Args:
        num_output_channels: 1, or 3 equal ones.

    Raises:
        ValueError: another number.
    """

    def __init__(self, num_output_channels: int = 1) -> None:
        """Check the number of channels."""
        if num_output_channels not in (1, 3) or isinstance(num_output_channels, bool):
            raise ValueError(
                f"Grayscale: num_output_channels is {num_output_channels}, expected 1 or 3"
            )
        self.num_output_channels = num_output_channels

    def _changed(self, pixels: Array) -> Array:
        return _grey(pixels, self.num_output_channels)


class RandomGrayscale(_Colours):
    """Turns an image grey with probability ``p`` and keeps the number of its channels."""

    def __init__(self, p: float = 0.1) -> None:
        """Check the probability."""
        self.p = check_probability("RandomGrayscale", p)

    def _changed(self, pixels: Array) -> Array:
        return _grey(pixels, pixels.shape[2]) if self._is_due(self.p) else pixels

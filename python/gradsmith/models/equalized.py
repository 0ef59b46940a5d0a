# SPDX-License-Identifier: Apache-2.0
"""Layers of progressive growing (Karras, Aila, Laine, Lehtinen, 2018): equalised learning rates,
pixel norm, the deviation of a batch as a feature.
"""

from __future__ import annotations

import math

from gradsmith import nn
from gradsmith.nn import functional as F
from gradsmith.ops.creation import zeros
from gradsmith.ops.joining import cat
from gradsmith.ops.random import randn
from gradsmith.tensor import Tensor


class EqualizedConv2d(nn.Module):
    """A convolution whose N(0, 1) weights are scaled by sqrt(2 / fan-in) in each forward.

    Adam moves every weight as fast as its scale allows, so all layers learn at one speed.
    """

    def __init__(self, inputs: int, outputs: int, kernel_size: int, padding: int = 0) -> None:
        """Draw the weights."""
        super().__init__()
        self.weight = nn.Parameter(randn(outputs, inputs, kernel_size, kernel_size))
        self.bias = nn.Parameter(zeros(outputs))
        self.padding = padding
        self.scale = math.sqrt(2 / (inputs * kernel_size**2))

    def forward(self, maps: Tensor) -> Tensor:
        """Return the maps (N, outputs, H', W')."""
        return F.conv2d(maps, self.weight * self.scale, self.bias, padding=self.padding)


class EqualizedLinear(nn.Module):
    """A dense layer with scaled N(0, 1) weights; ``rate`` slows its learning further."""

    def __init__(self, inputs: int, outputs: int, rate: float = 1.0, bias: float = 0.0) -> None:
        """Draw the weights."""
        super().__init__()
        self.weight = nn.Parameter(randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(zeros(outputs) + bias / rate)
        self.rate = rate
        self.scale = math.sqrt(2 / inputs) * rate

    def forward(self, values: Tensor) -> Tensor:
        """Return (N, outputs)."""
        return F.linear(values, self.weight * self.scale, self.bias * self.rate)


class PixelNorm(nn.Module):
    """Divides each pixel's channels by their root mean square."""

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same shape (N, C, *)."""
        return maps * ((maps * maps).mean(1, keepdim=True) + 1e-8).rsqrt()


class BatchDeviation(nn.Module):
    """Adds a channel: the standard deviation over the batch, mean of all places and channels.

    It shows the discriminator when a batch lacks variety.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """Return (N, C + 1, H, W)."""
        deviation = (maps.var(0, correction=0) + 1e-8).sqrt().mean()
        count, _, height, width = maps.shape
        return cat([maps, deviation.expand(count, 1, height, width)], 1)


def level_widths(model: str, size: int, width: int, max_width: int) -> list[int]:
    """Return the channels at 4 x 4, 8 x 8, ... size x size, halved at each from ``max_width`` on.

    Raises:
        ValueError: size is no power of 2 from 4, or a width is below 1.
    """
    if size < 4 or size & (size - 1) or min(width, max_width) < 1:
        raise ValueError(
            f"{model}: size is {size}, width {width} and max_width {max_width}, expected a power "
            "of 2 from 4 and widths from 1"
        )
    levels = size.bit_length() - 2
    return [min(max_width, width << (levels - 1 - level)) for level in range(levels)]

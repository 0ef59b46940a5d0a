# SPDX-License-Identifier: Apache-2.0
"""StyleGAN's generator (Karras, Laine, Aila, "A style-based generator architecture for generative
adversarial networks", 2019).

A mapping of dense layers turns noise z into w. The images begin as a learned constant of 4 x 4;
after every convolution comes noise per pixel, a LeakyReLU and AdaIN: instance norm, then a scale
and a shift per channel that are affine in w. Doubled maps are blurred.
"""

from __future__ import annotations

from itertools import pairwise

from gradsmith import nn
from gradsmith.models.equalized import (
    EqualizedConv2d,
    EqualizedLinear,
    PixelNorm,
    level_widths,
)
from gradsmith.ops.creation import ones, zeros
from gradsmith.ops.random import randn
from gradsmith.tensor import Tensor


class StyledMaps(nn.Module):
    """Noise per pixel, LeakyReLU and AdaIN: maps (N, C, H, W) under styles w (N, D)."""

    def __init__(self, channels: int, style: int) -> None:
        """Make the layers; noise begins with no weight, the scale at 1."""
        super().__init__()
        self.noise = nn.Parameter(zeros(channels, 1, 1))
        self.activation = nn.LeakyReLU(0.2)
        self.norm = nn.InstanceNorm2d(channels)
        self.scale = EqualizedLinear(style, channels, bias=1.0)
        self.shift = EqualizedLinear(style, channels)

    def forward(self, maps: Tensor, style: Tensor) -> Tensor:
        """Return maps of the same shape."""
        count, _, height, width = maps.shape
        noise = randn(count, 1, height, width, dtype=maps.dtype).to(maps.device)
        normed = self.norm(self.activation(maps + self.noise * noise))
        scale, shift = (each(style)[:, :, None, None] for each in (self.scale, self.shift))
        styled: Tensor = scale * normed + shift
        return styled


class SynthesisLevel(nn.Module):
    """Two convolutions at one size, the first after doubling and blur."""

    def __init__(self, before: int, after: int, style: int) -> None:
        """Make the layers."""
        super().__init__()
        self.enlarge = nn.Sequential(
            nn.Upsample(scale_factor=2), EqualizedConv2d(before, after, 3, 1), nn.BinomialBlur2d()
        )
        self.convolve = EqualizedConv2d(after, after, 3, 1)
        self.first, self.second = StyledMaps(after, style), StyledMaps(after, style)

    def forward(self, maps: Tensor, style: Tensor) -> Tensor:
        """Return maps of twice the size."""
        maps = self.first(self.enlarge(maps), style)
        doubled: Tensor = self.second(self.convolve(maps), style)
        return doubled


class StyleGANGenerator(nn.Module):
    """Noise (N, latent) -> images (N, channels, size, size)."""

    def __init__(
        self,
        latent: int = 512,
        channels: int = 3,
        size: int = 1024,
        width: int = 16,
        max_width: int = 512,
        mapping_layers: int = 8,
    ) -> None:
        """Make the layers; ``width`` is the number of channels at full size."""
        super().__init__()
        widths = level_widths("StyleGANGenerator", size, width, max_width)
        if min(latent, mapping_layers) < 1:
            raise ValueError(
                f"StyleGANGenerator: latent is {latent} and mapping_layers {mapping_layers}, "
                "expected at least 1"
            )
        mapping: list[nn.Module] = [PixelNorm()]
        for _ in range(mapping_layers):
            mapping += [EqualizedLinear(latent, latent, rate=0.01), nn.LeakyReLU(0.2)]
        self.mapping = nn.Sequential(*mapping)
        self.constant = nn.Parameter(ones(1, widths[0], 4, 4))
        self.convolve = EqualizedConv2d(widths[0], widths[0], 3, 1)
        self.first, self.second = (StyledMaps(widths[0], latent) for _ in range(2))
        self.levels = nn.ModuleList(
            [SynthesisLevel(before, after, latent) for before, after in pairwise(widths)]
        )
        self.to_images = EqualizedConv2d(widths[-1], channels, 1)

    def synthesize(self, coarse: Tensor, fine: Tensor | None = None, crossover: int = 1) -> Tensor:
        """Return images of styles w (N, latent); from level ``crossover`` on those of ``fine``."""
        fine = coarse if fine is None else fine
        maps = self.constant.expand(coarse.shape[0], -1, -1, -1)
        maps = self.second(self.convolve(self.first(maps, coarse)), coarse)
        for number, level in enumerate(self.levels, 1):
            maps = level(maps, fine if number >= crossover else coarse)
        images: Tensor = self.to_images(maps)
        return images

    def forward(self, noise: Tensor) -> Tensor:
        """Return the images."""
        return self.synthesize(self.mapping(noise))


def stylegan_generator(
    latent: int = 512, *, channels: int = 3, size: int = 1024
) -> StyleGANGenerator:
    """Return a generator with fresh weights."""
    return StyleGANGenerator(latent, channels, size)

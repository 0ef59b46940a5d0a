# SPDX-License-Identifier: Apache-2.0
"""Nets that grow while they train (Karras, Aila, Laine, Lehtinen, "Progressive growing of GANs for
improved quality, stability, and variation", 2018).

Both have a level, 0 for 4 x 4 pixels, and a share ``alpha`` with which the newest level counts
while it fades in: ``net.grow(level, alpha)``. As made they are fully grown.
"""

from __future__ import annotations

from itertools import pairwise

from gradsmith import nn
from gradsmith.models.equalized import (
    BatchDeviation,
    EqualizedConv2d,
    EqualizedLinear,
    PixelNorm,
    level_widths,
)
from gradsmith.nn import functional as F
from gradsmith.tensor import Tensor


class Growing(nn.Module):
    """Keeps how far a net has grown."""

    def __init__(self, levels: int) -> None:
        """Begin fully grown."""
        super().__init__()
        self.levels = levels
        self.level, self.alpha = levels - 1, 1.0

    def grow(self, level: int, alpha: float = 1.0) -> None:
        """Set the level and the share of its newest layers; ValueError where there is none."""
        if not 0 <= level < self.levels or not 0 <= alpha <= 1:
            raise ValueError(
                f"{type(self).__name__}: level is {level} and alpha {alpha}, expected 0 to "
                f"{self.levels - 1} and 0 to 1"
            )
        self.level, self.alpha = level, alpha


class ProgressiveGenerator(Growing):
    """Noise (N, latent) -> images (N, channels, 4 * 2^level, 4 * 2^level)."""

    def __init__(
        self,
        latent: int = 512,
        channels: int = 3,
        size: int = 1024,
        width: int = 16,
        max_width: int = 512,
    ) -> None:
        """Make the layers of every level; ``width`` is the number of channels at full size."""
        widths = level_widths("ProgressiveGenerator", size, width, max_width)
        super().__init__(len(widths))
        self.first = nn.Sequential(
            PixelNorm(),
            EqualizedLinear(latent, widths[0] * 16),
            nn.Unflatten(1, (widths[0], 4, 4)),
            *_normed(),
            EqualizedConv2d(widths[0], widths[0], 3, 1),
            *_normed(),
        )
        self.blocks = nn.ModuleList(
            [
                nn.Sequential(
                    nn.Upsample(scale_factor=2),
                    EqualizedConv2d(before, after, 3, 1),
                    *_normed(),
                    EqualizedConv2d(after, after, 3, 1),
                    *_normed(),
                )
                for before, after in pairwise(widths)
            ]
        )
        self.to_images = nn.ModuleList([EqualizedConv2d(each, channels, 1) for each in widths])

    def forward(self, noise: Tensor) -> Tensor:
        """Return the images of the level."""
        before = maps = self.first(noise)
        for block in list(self.blocks)[: self.level]:
            before, maps = maps, block(maps)
        images: Tensor = self.to_images[self.level](maps)
        if self.level and self.alpha < 1:
            coarse = F.interpolate(self.to_images[self.level - 1](before), scale_factor=2)
            images = self.alpha * images + (1 - self.alpha) * coarse
        return images


def _normed() -> list[nn.Module]:
    return [nn.LeakyReLU(0.2), PixelNorm()]


class ProgressiveDiscriminator(Growing):
    """Images (N, channels, 4 * 2^level, 4 * 2^level) -> scores (N, 1).

    With ``blur`` maps are low-pass filtered before they are halved, as in StyleGAN.
    """

    def __init__(
        self,
        channels: int = 3,
        size: int = 1024,
        width: int = 16,
        max_width: int = 512,
        blur: bool = False,
    ) -> None:
        """Make the layers of every level; ``width`` is the number of channels at full size."""
        widths = level_widths("ProgressiveDiscriminator", size, width, max_width)
        super().__init__(len(widths))
        self.from_images = nn.ModuleList(
            [
                nn.Sequential(EqualizedConv2d(channels, each, 1), nn.LeakyReLU(0.2))
                for each in widths
            ]
        )
        self.blocks = nn.ModuleList(
            [
                nn.Sequential(
                    EqualizedConv2d(after, after, 3, 1),
                    nn.LeakyReLU(0.2),
                    *([nn.BinomialBlur2d()] if blur else []),
                    EqualizedConv2d(after, before, 3, 1),
                    nn.LeakyReLU(0.2),
                    nn.AvgPool2d(2),
                )
                for before, after in pairwise(widths)
            ]
        )
        self.last = nn.Sequential(
            BatchDeviation(),
            EqualizedConv2d(widths[0] + 1, widths[0], 3, 1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            EqualizedLinear(widths[0] * 16, widths[0]),
            nn.LeakyReLU(0.2),
            EqualizedLinear(widths[0], 1),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores before the sigmoid."""
        maps = self.from_images[self.level](images)
        for level in range(self.level, 0, -1):
            maps = self.blocks[level - 1](maps)
            if level == self.level and self.alpha < 1:
                coarse = self.from_images[level - 1](F.avg_pool2d(images, 2))
                maps = self.alpha * maps + (1 - self.alpha) * coarse
        scores: Tensor = self.last(maps)
        return scores


def progressive_generator(
    latent: int = 512, *, channels: int = 3, size: int = 1024
) -> ProgressiveGenerator:
    """Return a generator with fresh weights."""
    return ProgressiveGenerator(latent, channels, size)


def progressive_discriminator(
    *, channels: int = 3, size: int = 1024, blur: bool = False
) -> ProgressiveDiscriminator:
    """Return a discriminator with fresh weights."""
    return ProgressiveDiscriminator(channels, size, blur=blur)

# SPDX-License-Identifier: Apache-2.0
"""The generator of SRGAN (Ledig et al., "Photo-realistic single image super-resolution using a
generative adversarial network", 2017), by itself called SRResNet.
"""

from __future__ import annotations

from gradsmith import nn
from gradsmith.tensor import Tensor


class SRResNet(nn.Module):
    """Images (N, channels, H, W) -> images (N, channels, scale * H, scale * W).

    k9n64, ``blocks`` residual blocks of two k3n64 with batch norm, a skip over all of them, a
    pixel shuffle for each doubling, k9. The output is not bounded.
    """

    def __init__(
        self, channels: int = 3, scale: int = 4, blocks: int = 16, width: int = 64
    ) -> None:
        """Make the layers; ValueError unless scale is a power of 2 and the rest positive."""
        super().__init__()
        if scale < 2 or scale & (scale - 1) or min(channels, blocks, width) < 1:
            raise ValueError(
                f"SRResNet: channels, scale, blocks, width are {channels}, {scale}, {blocks}, "
                f"{width}, expected a scale that is a power of 2, and the others from 1"
            )
        self.first = nn.Sequential(nn.Conv2d(channels, width, 9, padding=4), nn.PReLU())
        body = [nn.Residual(_convolutions(width)) for _ in range(blocks)]
        last = [nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)]
        self.body = nn.Residual(nn.Sequential(*body, *last))
        self.enlarge = nn.Sequential(
            *(_doubling(width) for _ in range(scale.bit_length() - 1)),
            nn.Conv2d(width, channels, 9, padding=4),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return the enlarged images."""
        enlarged: Tensor = self.enlarge(self.body(self.first(images)))
        return enlarged


def _convolutions(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, width, 3, padding=1),
        nn.BatchNorm2d(width),
        nn.PReLU(),
        nn.Conv2d(width, width, 3, padding=1),
        nn.BatchNorm2d(width),
    )


def _doubling(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2), nn.PReLU())


def srresnet(channels: int = 3, *, scale: int = 4) -> SRResNet:
    """Return a net with fresh weights."""
    return SRResNet(channels, scale)

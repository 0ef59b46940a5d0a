# SPDX-License-Identifier: Apache-2.0
"""DCGAN (Radford, Metz, Chintala, "Unsupervised representation learning with deep convolutional
generative adversarial networks", 2015).

No pooling and no dense layer: strides in the discriminator, transposed convolutions in the
generator; batch norm everywhere but at the images. ``width`` is the number of channels next to the
images, doubled at each halving of the size down to 4 x 4: 128 in the paper, for 64 x 64.
"""

from __future__ import annotations

from itertools import pairwise

from gradsmith import nn
from gradsmith.tensor import Tensor


def _widths(model: str, size: int, width: int) -> list[int]:
    """Return the channels at size / 2, size / 4, ... 4."""
    if size < 8 or size & (size - 1) or width < 1:
        raise ValueError(
            f"{model}: size is {size} and width {width}, expected a power of 2 from 8 and at least "
            "1"
        )
    return [width << level for level in range(size.bit_length() - 3)]


def _init(model: nn.Module) -> None:
    """Draw weights as the paper does, with a standard deviation of 0.02."""
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, std=0.02)
        elif isinstance(module, nn.BatchNorm2d) and module.weight is not None:
            nn.init.normal_(module.weight, 1.0, 0.02)


class DCGANGenerator(nn.Module):
    """Noise (N, latent) -> images (N, channels, size, size) in [-1, 1]."""

    def __init__(
        self, latent: int = 100, channels: int = 3, size: int = 64, width: int = 128
    ) -> None:
        """Make the layers; ValueError unless size is a power of 2 from 8."""
        super().__init__()
        widths = _widths("DCGANGenerator", size, width)[::-1]
        layers: list[nn.Module] = [nn.Unflatten(1, (latent, 1, 1))]
        for level, (before, after) in enumerate(pairwise([latent, *widths])):
            stride = 2 if level else 1
            layers.append(nn.ConvTranspose2d(before, after, 4, stride, stride - 1, bias=False))
            layers += [nn.BatchNorm2d(after), nn.ReLU()]
        layers += [nn.ConvTranspose2d(width, channels, 4, 2, 1), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        _init(self)

    def forward(self, noise: Tensor) -> Tensor:
        """Return the images."""
        images: Tensor = self.layers(noise)
        return images


class DCGANDiscriminator(nn.Module):
    """Images (N, channels, size, size) -> scores (N, 1)."""

    def __init__(
        self, channels: int = 3, size: int = 64, width: int = 128, outputs: int = 1
    ) -> None:
        """Make the layers; ValueError unless size is a power of 2 from 8."""
        super().__init__()
        widths = _widths("DCGANDiscriminator", size, width)
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for before, after in pairwise(widths):
            layers.append(nn.Conv2d(before, after, 4, 2, 1, bias=False))
            layers += [nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
        layers += [nn.Conv2d(widths[-1], outputs, 4), nn.Flatten()]
        self.layers = nn.Sequential(*layers)
        _init(self)

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores before the sigmoid."""
        scores: Tensor = self.layers(images)
        return scores


def dcgan_generator(
    latent: int = 100, *, channels: int = 3, size: int = 64, width: int = 128
) -> DCGANGenerator:
    """Return a generator with fresh weights."""
    return DCGANGenerator(latent, channels, size, width)


def dcgan_discriminator(
    *, channels: int = 3, size: int = 64, width: int = 128
) -> DCGANDiscriminator:
    """Return a discriminator with fresh weights."""
    return DCGANDiscriminator(channels, size, width)

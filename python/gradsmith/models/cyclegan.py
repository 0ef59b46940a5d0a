# SPDX-License-Identifier: Apache-2.0
"""The nets of CycleGAN (Zhu, Park, Isola, Efros, "Unpaired image-to-image translation using
cycle-consistent adversarial networks", 2017, appendix 7.2) and of pix2pix (Isola et al. 2017).
"""

from __future__ import annotations

from gradsmith import nn
from gradsmith.ops.joining import cat
from gradsmith.tensor import Tensor


def _check(model: str, **numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise ValueError(f"{model}: {name} is {number}, expected at least 1")


def _init(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, std=0.02)


class CycleGANGenerator(nn.Module):
    """Images (N, C, H, W) -> images (N, outputs, H, W) in [-1, 1]; H and W are multiples of 4.

    c7s1-64, d128, d256, ``blocks`` times R256, u128, u64, c7s1-3, with instance norm and reflected
    borders: 9 blocks for sides of 256 and more, 6 for less.
    """

    def __init__(
        self, blocks: int = 9, channels: int = 3, outputs: int = 3, width: int = 64
    ) -> None:
        """Make the layers; ValueError if a number is below 1."""
        super().__init__()
        _check("CycleGANGenerator", blocks=blocks, channels=channels, outputs=outputs, width=width)
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(channels, width, 7)]
        layers += _normed(width)
        for before in (width, 2 * width):
            layers += [nn.Conv2d(before, 2 * before, 3, 2, 1), *_normed(2 * before)]
        layers += [_block(4 * width) for _ in range(blocks)]
        for before in (4 * width, 2 * width):
            layers.append(nn.ConvTranspose2d(before, before // 2, 3, 2, 1, output_padding=1))
            layers += _normed(before // 2)
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, outputs, 7), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        _init(self)

    def forward(self, images: Tensor) -> Tensor:
        """Return the images of the other kind."""
        translated: Tensor = self.layers(images)
        return translated


def _normed(width: int) -> list[nn.Module]:
    return [nn.InstanceNorm2d(width), nn.ReLU()]


def _block(width: int) -> nn.Residual:
    """Return R: two 3x3 convolutions around which the input is added."""
    half = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3)]
    other = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width)]
    return nn.Residual(nn.Sequential(*half, *_normed(width), *other))


class PatchGAN(nn.Module):
    """Images (N, channels, H, W) -> scores (N, 1, H', W'), one per patch that overlaps others.

    C64-C128-C256-C512 with 4x4 kernels, strides of 2 in all but the last, LeakyReLU 0.2, no norm in
    the first: with three halvings (``levels``) a score sees 70 x 70 pixels, with two 34 x 34, with
    one 16 x 16.
    """

    def __init__(self, channels: int = 3, width: int = 64, levels: int = 3) -> None:
        """Make the layers; ValueError if a number is below 1."""
        super().__init__()
        _check("PatchGAN", channels=channels, width=width, levels=levels)
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        before = width
        for level in range(1, levels + 1):
            after, stride = width * min(2**level, 8), 2 if level < levels else 1
            layers.append(nn.Conv2d(before, after, 4, stride, 1))
            layers += [nn.InstanceNorm2d(after), nn.LeakyReLU(0.2)]
            before = after
        layers.append(nn.Conv2d(before, 1, 4, 1, 1))
        self.layers = nn.Sequential(*layers)
        _init(self)

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores of the patches."""
        scores: Tensor = self.layers(images)
        return scores


class Pix2PixGenerator(nn.Module):
    """Images (N, channels, H, W) -> images (N, outputs, H, W) in [-1, 1], by a U-Net.

    ``depth`` halvings by 4x4 convolutions and as many doublings, each of which also sees the map of
    its size on the way down; H and W are multiples of 2^depth. Dropout is the only noise, in the
    three deepest doublings. The paper has a depth of 8 for 256 x 256 and widths 64 to 512.
    """

    def __init__(
        self, channels: int = 3, outputs: int = 3, width: int = 64, depth: int = 8
    ) -> None:
        """Make the layers; ValueError if a number is below 1."""
        super().__init__()
        _check("Pix2PixGenerator", channels=channels, outputs=outputs, width=width, depth=depth)
        widths = [width * min(2**level, 8) for level in range(depth)]
        self.down = nn.ModuleList(
            [
                _down(before, after, norm=0 < level < depth - 1)
                for level, (before, after) in enumerate(
                    zip([channels, *widths[:-1]], widths, strict=True)
                )
            ]
        )
        self.up = nn.ModuleList(
            [
                _up(
                    widths[level] * (1 if level == depth - 1 else 2),
                    widths[level - 1],
                    dropout=level >= depth - 3,
                )
                for level in range(depth - 1, 0, -1)
            ]
        )
        first = width * (1 if depth == 1 else 2)
        self.head = nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(first, outputs, 4, 2, 1), nn.Tanh())
        _init(self)

    def forward(self, images: Tensor) -> Tensor:
        """Return the translated images."""
        maps = [images]
        for layer in self.down:
            maps.append(layer(maps[-1]))
        x = maps.pop()
        for layer in self.up:
            x = cat([layer(x), maps.pop()], 1)
        translated: Tensor = self.head(x)
        return translated


def _down(before: int, after: int, norm: bool) -> nn.Sequential:
    layers: list[nn.Module] = [nn.LeakyReLU(0.2), nn.Conv2d(before, after, 4, 2, 1, bias=False)]
    return nn.Sequential(*layers, *([nn.BatchNorm2d(after)] if norm else []))


def _up(before: int, after: int, dropout: bool) -> nn.Sequential:
    layers = [
        nn.ReLU(),
        nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False),
        nn.BatchNorm2d(after),
    ]
    return nn.Sequential(*layers, *([nn.Dropout(0.5)] if dropout else []))


def cyclegan_generator(
    blocks: int = 9, *, channels: int = 3, outputs: int = 3, width: int = 64
) -> CycleGANGenerator:
    """Return a generator with fresh weights."""
    return CycleGANGenerator(blocks, channels, outputs, width)


def patchgan(channels: int = 3, *, width: int = 64, levels: int = 3) -> PatchGAN:
    """Return a discriminator of 70 x 70 patches with fresh weights."""
    return PatchGAN(channels, width, levels)


def pix2pix_generator(
    channels: int = 3, *, outputs: int = 3, width: int = 64, depth: int = 8
) -> Pix2PixGenerator:
    """Return a U-Net with fresh weights."""
    return Pix2PixGenerator(channels, outputs, width, depth)

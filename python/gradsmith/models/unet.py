# SPDX-License-Identifier: Apache-2.0
"""U-Net (Ronneberger, Fischer, Brox, "U-Net: convolutional networks for biomedical image
segmentation", 2015) and a fully convolutional net with skips (Long, Shelhamer, Darrell, 2015).
"""

from __future__ import annotations

from itertools import pairwise

from gradsmith import nn
from gradsmith.models.sizes import check_classes, init_he
from gradsmith.nn import functional as F
from gradsmith.ops.joining import cat
from gradsmith.tensor import Tensor


def _double(inputs: int, outputs: int, padding: int, batch_norm: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before in (inputs, outputs):
        layers.append(nn.Conv2d(before, outputs, 3, padding=padding, bias=not batch_norm))
        if batch_norm:
            layers.append(nn.BatchNorm2d(outputs))
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Images (N, channels, H, W) -> scores (N, num_classes, H', W').

    As published the convolutions have no padding: 572 x 572 gives 388 x 388, and maps are cropped
    where they are carried over. With ``padding`` the size stays; sides are multiples of 2^depth.
    """

    def __init__(
        self,
        num_classes: int = 2,
        channels: int = 1,
        width: int = 64,
        depth: int = 4,
        padding: bool = False,
        batch_norm: bool = False,
    ) -> None:
        """Make the layers.

        Args:
            num_classes: scores per pixel.
            channels: of the images.
            width: channels of the first level, doubled at each further one.
            depth: poolings.
            padding: keep the size.
            batch_norm: norm after each convolution.

        Raises:
            ValueError: a number is below 1.
        """
        super().__init__()
        check_classes("UNet", num_classes)
        if min(channels, width, depth) < 1:
            raise ValueError(
                f"UNet: channels, width, depth are {channels}, {width}, {depth}, expected >= 1"
            )
        widths = [width * 2**level for level in range(depth + 1)]
        pad = int(padding)
        self.down = nn.ModuleList(
            [
                _double(inputs, outputs, pad, batch_norm)
                for inputs, outputs in zip([channels, *widths], widths, strict=False)
            ]
        )
        self.up = nn.ModuleList(
            [nn.ConvTranspose2d(2 * each, each, 2, stride=2) for each in widths[-2::-1]]
        )
        self.merge = nn.ModuleList(
            [_double(2 * each, each, pad, batch_norm) for each in widths[-2::-1]]
        )
        self.head = nn.Conv2d(width, num_classes, 1)
        init_he(self)

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores of each pixel before softmax."""
        carried = []
        x = self.down[0](images)
        for level in list(self.down)[1:]:
            carried.append(x)
            x = level(F.max_pool2d(x, 2))
        for up, merge in zip(self.up, self.merge, strict=True):
            x = up(x)
            x = merge(cat([_cropped(carried.pop(), x.shape[-2:]), x], 1))
        scores: Tensor = self.head(x)
        return scores


def _cropped(x: Tensor, size: tuple[int, ...]) -> Tensor:
    """Return the middle of maps (N, C, H, W)."""
    top, left = ((x.shape[axis - 2] - size[axis]) // 2 for axis in (0, 1))
    if top < 0 or left < 0:
        raise ValueError(f"UNet: maps {x.shape} are smaller than {size}: choose sides of 2^depth")
    return x[:, :, top : top + size[0], left : left + size[1]]


class FCN(nn.Module):
    """FCN-8s on a VGG-like body: images (N, channels, H, W) -> scores (N, num_classes, H, W).

    Three poolings of the body give scores at 1/8, 1/16 and 1/32 of the size, each enlarged and
    added to the next finer one.
    """

    def __init__(self, num_classes: int = 21, channels: int = 3, width: int = 64) -> None:
        """Make the layers; ValueError if a number is below 1."""
        super().__init__()
        check_classes("FCN", num_classes)
        if min(channels, width) < 1:
            raise ValueError(f"FCN: channels and width are {channels} and {width}, expected >= 1")
        widths = [channels, width, 2 * width, 4 * width, 8 * width, 8 * width]
        self.body = nn.ModuleList([_double(a, b, 1, True) for a, b in pairwise(widths)])
        self.scores = nn.ModuleList([nn.Conv2d(each, num_classes, 1) for each in widths[3:]])
        self.enlarge2 = nn.ConvTranspose2d(num_classes, num_classes, 4, 2, 1, bias=False)
        self.enlarge2_again = nn.ConvTranspose2d(num_classes, num_classes, 4, 2, 1, bias=False)
        self.enlarge8 = nn.ConvTranspose2d(num_classes, num_classes, 16, 8, 4, bias=False)
        init_he(self)

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores of each pixel before softmax."""
        x, levels = images, []
        for stage in self.body:
            x = F.max_pool2d(stage(x), 2)
            levels.append(x)
        eighth, sixteenth, last = (
            score(level) for score, level in zip(self.scores, levels[2:], strict=True)
        )
        x = self.enlarge2(last) + sixteenth
        x = self.enlarge2_again(x) + eighth
        scores: Tensor = self.enlarge8(x)
        return scores


def unet(num_classes: int = 2, *, channels: int = 1, padding: bool = False) -> UNet:
    """Return a U-Net: 31,030,658 parameters for 2 classes and 1 channel."""
    return UNet(num_classes, channels, padding=padding)


def fcn(num_classes: int = 21, *, channels: int = 3) -> FCN:
    """Return an FCN-8s with a body of five double convolutions."""
    return FCN(num_classes, channels)

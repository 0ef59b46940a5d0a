# SPDX-License-Identifier: Apache-2.0
"""Darknet-19 and YOLO v2 (Redmon and Farhadi, "YOLO9000: better, faster, stronger", 2017).

The detector takes Darknet-19 up to its last 3x3 convolution, adds three of its own, and joins the
26 x 26 maps of the middle to the 13 x 13 ones at the end by space-to-depth (the pass-through). A
1x1 convolution gives 5 + C numbers per anchor and cell.
"""

from __future__ import annotations

from gradsmith import nn
from gradsmith.models.sizes import check_classes, init_he
from gradsmith.nn import functional as F
from gradsmith.ops.joining import cat
from gradsmith.tensor import Tensor

POOL = 0
# Kernel size and channels of each convolution in order, POOL between (table 6).
_FRONT = ((3, 32), POOL, (3, 64), POOL, (3, 128), (1, 64), (3, 128), POOL)
_MIDDLE = ((3, 256), (1, 128), (3, 256), POOL, (3, 512), (1, 256), (3, 512), (1, 256), (3, 512))
_BACK = (POOL, (3, 1024), (1, 512), (3, 1024), (1, 512), (3, 1024))


def _convolution(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(0.1),
    ]


def _layers(inputs: int, plan: tuple[int | tuple[int, int], ...], divide: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for each in plan:
        if isinstance(each, int):
            layers.append(nn.MaxPool2d(2, 2))
            continue
        kernel, channels = each
        layers += _convolution(inputs, channels // divide, kernel)
        inputs = channels // divide
    return nn.Sequential(*layers)


def _check_divide(model: str, divide: int) -> None:
    if divide < 1 or 32 % divide:
        raise ValueError(f"{model}: divide is {divide}, expected a divisor of 32")


class Darknet19(nn.Module):
    """Images (N, channels, H, W), H and W multiples of 32, -> scores (N, num_classes)."""

    def __init__(self, num_classes: int = 1000, channels: int = 3, divide: int = 1) -> None:
        """Make the layers.

        Args:
            num_classes: scores per image.
            channels: of the images.
            divide: widths are divided by this, for small problems.

        Raises:
            ValueError: there is no class, or ``divide`` is no divisor of 32.
        """
        super().__init__()
        check_classes("Darknet19", num_classes)
        _check_divide("Darknet19", divide)
        self.front = _layers(channels, _FRONT, divide)
        self.middle = _layers(128 // divide, _MIDDLE, divide)
        self.back = _layers(512 // divide, _BACK, divide)
        self.classifier = nn.Conv2d(1024 // divide, num_classes, 1)
        init_he(self)

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores before softmax."""
        maps = self.classifier(self.back(self.middle(self.front(images))))
        return F.adaptive_avg_pool2d(maps, 1).flatten(1)


class YOLOv2(nn.Module):
    """Images (N, channels, H, W), sides multiples of 32, -> (N, anchors * (5 + C), H/32, W/32).

    The numbers of an anchor are tx, ty, tw, th, to (before the logistic function) and C scores.
    ``front``, ``middle`` and ``back`` are named as in `Darknet19`, whose weights they take.
    """

    def __init__(
        self, num_classes: int = 20, num_anchors: int = 5, channels: int = 3, divide: int = 1
    ) -> None:
        """Make the layers.

        Args:
            num_classes: C.
            num_anchors: boxes per cell.
            channels: of the images.
            divide: widths are divided by this, for small problems.

        Raises:
            ValueError: there is no class or anchor, or ``divide`` is no divisor of 32.
        """
        super().__init__()
        check_classes("YOLOv2", num_classes)
        if num_anchors < 1:
            raise ValueError(f"YOLOv2: num_anchors is {num_anchors}, expected at least 1")
        _check_divide("YOLOv2", divide)
        self.front = _layers(channels, _FRONT, divide)
        self.middle = _layers(128 // divide, _MIDDLE, divide)
        self.back = _layers(512 // divide, _BACK, divide)
        wide, narrow = 1024 // divide, 64 // divide
        self.extra = nn.Sequential(*_convolution(wide, wide, 3), *_convolution(wide, wide, 3))
        self.passthrough = nn.Sequential(
            *_convolution(512 // divide, narrow, 1), nn.PixelUnshuffle(2)
        )
        self.joined = nn.Sequential(*_convolution(wide + 4 * narrow, wide, 3))
        self.head = nn.Conv2d(wide, num_anchors * (5 + num_classes), 1)
        init_he(self)

    def forward(self, images: Tensor) -> Tensor:
        """Return the raw numbers of every anchor in every cell."""
        fine = self.middle(self.front(images))
        coarse = self.extra(self.back(fine))
        maps: Tensor = self.head(self.joined(cat([self.passthrough(fine), coarse], 1)))
        return maps


def darknet19(num_classes: int = 1000) -> Darknet19:
    """Return a Darknet-19: 20,842,376 parameters for 1000 classes."""
    return Darknet19(num_classes)


def yolo_v2(num_classes: int = 20, *, num_anchors: int = 5) -> YOLOv2:
    """Return a YOLO v2 with random weights: 50,655,389 parameters for 20 classes and 5 anchors."""
    return YOLOv2(num_classes, num_anchors)

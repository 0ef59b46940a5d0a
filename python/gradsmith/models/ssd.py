# SPDX-License-Identifier: Apache-2.0
"""SSD, boxes from maps of several scales (Liu et al., "SSD: single shot multibox detector", 2016).

Every cell of every map predicts, for each of its default boxes, scores of the classes and how to
move and stretch the box. Fine maps have small default boxes, coarse ones large.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradsmith import nn
from gradsmith.backend import Array
from gradsmith.models.sizes import check_classes, init_he
from gradsmith.ops.joining import cat
from gradsmith.ops.shape import permute
from gradsmith.tensor import Tensor

# How far a box may move and stretch for an output of 1 (variances of the authors' code).
_CENTRE_SCALE, _SIZE_SCALE = 0.1, 0.2


def default_boxes(
    grids: Sequence[int], scales: Sequence[float], ratios: Sequence[float] = (1.0, 2.0, 0.5)
) -> Array:
    """Return centre x, y, width and height (B, 4) of the default boxes, as shares of the image.

    A map of ``g`` x ``g`` cells and scale ``s`` has in each cell boxes ``s sqrt(r)`` wide and
    ``s / sqrt(r)`` high; row by row, then the ratios.

    Raises:
        ValueError: there are not as many scales as maps, or a number is not positive.
    """
    if len(grids) != len(scales) or min(*grids, *scales, *ratios) <= 0:
        raise ValueError(
            f"default_boxes: grids, scales, ratios are {grids}, {scales}, {ratios}, expected "
            "positive numbers and a scale per grid"
        )
    boxes = [
        ((column + 0.5) / grid, (row + 0.5) / grid, scale * ratio**0.5, scale / ratio**0.5)
        for grid, scale in zip(grids, scales, strict=True)
        for row in range(grid)
        for column in range(grid)
        for ratio in ratios
    ]
    return np.array(boxes, np.float32)


def encode_boxes(boxes: Array, defaults: Array) -> Array:
    """Return what a network should give so that defaults (B, 4) become boxes (B, 4)."""
    centres = (boxes[:, :2] - defaults[:, :2]) / defaults[:, 2:] / _CENTRE_SCALE
    sizes = np.log(boxes[:, 2:] / defaults[:, 2:]) / _SIZE_SCALE
    return np.concatenate((centres, sizes), 1)


def decode_boxes(offsets: Array, defaults: Array) -> Array:
    """Return the corners (..., B, 4) that a network's numbers make of defaults (B, 4)."""
    centres = defaults[:, :2] + offsets[..., :2] * _CENTRE_SCALE * defaults[:, 2:]
    halves = defaults[:, 2:] * np.exp(offsets[..., 2:] * _SIZE_SCALE) / 2
    return np.concatenate((centres - halves, centres + halves), -1)


class MultiScaleHead(nn.Module):
    """Maps (N, C_k, g_k, g_k) of several scales -> scores (N, B, 1 + classes), offsets (N, B, 4).

    Class 0 is the background; boxes stand in the order of `default_boxes`.
    """

    def __init__(self, widths: Sequence[int], num_classes: int, ratios: int = 3) -> None:
        """Make a 3x3 convolution of each kind per scale; ValueError without class or map."""
        super().__init__()
        check_classes("MultiScaleHead", num_classes)
        if not widths or min(*widths, ratios) < 1:
            raise ValueError(
                f"MultiScaleHead: widths and ratios are {tuple(widths)} and {ratios}, expected >= 1"
            )
        self.scores = nn.ModuleList(
            [nn.Conv2d(each, ratios * (1 + num_classes), 3, padding=1) for each in widths]
        )
        self.offsets = nn.ModuleList([nn.Conv2d(each, ratios * 4, 3, padding=1) for each in widths])
        self.num_classes = num_classes

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return the scores before softmax, and the offsets."""
        scores = [layer(each) for layer, each in zip(self.scores, maps, strict=True)]
        offsets = [layer(each) for layer, each in zip(self.offsets, maps, strict=True)]
        return _per_box(scores, 1 + self.num_classes), _per_box(offsets, 4)


def _per_box(maps: Sequence[Tensor], numbers: int) -> Tensor:
    """Return maps (N, A * numbers, g, g) as (N, B, numbers)."""
    flat = [permute(each, (0, 2, 3, 1)).reshape(each.shape[0], -1, numbers) for each in maps]
    return cat(flat, 1)


class SSD(nn.Module):
    """Images (N, channels, H, W) -> scores (N, B, 1 + classes) and offsets (N, B, 4).

    A small body in place of VGG-16: each stage halves the maps, and the last ``scales`` of them
    predict.
    """

    def __init__(
        self,
        num_classes: int,
        channels: int = 3,
        widths: Sequence[int] = (16, 32, 64, 64, 64),
        scales: int = 3,
        ratios: int = 3,
    ) -> None:
        """Make the layers; ValueError if there are fewer stages than scales."""
        super().__init__()
        if not 1 <= scales <= len(widths):
            raise ValueError(f"SSD: scales is {scales}, expected 1 to {len(widths)}")
        stages = []
        inputs = channels
        for width in widths:
            stages.append(_stage(inputs, width))
            inputs = width
        self.body = nn.ModuleList(stages)
        self.head = MultiScaleHead(widths[-scales:], num_classes, ratios)
        self.scales = scales
        init_he(self)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scores before softmax, and the offsets."""
        maps = []
        x = images
        for stage in self.body:
            x = stage(x)
            maps.append(x)
        found: tuple[Tensor, Tensor] = self.head(maps[-self.scales :])
        return found


def _stage(inputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )

# SPDX-License-Identifier: Apache-2.0
"""MobileNet (Howard et al., "MobileNets: efficient convolutional neural networks for mobile vision
applications", 2017): depthwise separable convolutions, thinned by a width multiplier.
"""

from __future__ import annotations

from gradsmith import nn
from gradsmith.models.sizes import check_classes, init_he
from gradsmith.tensor import Tensor

# Channels and stride of each separable convolution (table 1).
_LAYERS = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1),) * 5,
    *((1024, 2), (1024, 1)),
)


def _separable(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, inputs, 3, stride=stride, padding=1, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        nn.ReLU(),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    ]


class MobileNetV1(nn.Module):
    """Images (N, 3, H, W) -> scores (N, num_classes)."""

    def __init__(
        self, num_classes: int = 1000, width_mult: float = 1.0, dropout: float = 0.0
    ) -> None:
        """Make the layers; ValueError unless there is a class and a positive width."""
        super().__init__()
        check_classes("MobileNetV1", num_classes)
        if not width_mult > 0:
            raise ValueError(f"MobileNetV1: width_mult is {width_mult}, expected > 0")

        def width(channels: int) -> int:
            return max(8, int(channels * width_mult))

        inputs = width(32)
        layers: list[nn.Module] = [
            nn.Conv2d(3, inputs, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(inputs),
            nn.ReLU(),
        ]
        for channels, stride in _LAYERS:
            layers += _separable(inputs, width(channels), stride)
            inputs = width(channels)
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(inputs, num_classes)
        init_he(self)

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores before softmax."""
        pooled = self.avgpool(self.features(images)).flatten(1)
        scores: Tensor = self.classifier(self.dropout(pooled))
        return scores


def mobilenet_v1(num_classes: int = 1000, *, width_mult: float = 1.0) -> MobileNetV1:
    """Return a MobileNet: 4,231,976 parameters for 1000 classes (4.2 million in the paper)."""
    return MobileNetV1(num_classes, width_mult)

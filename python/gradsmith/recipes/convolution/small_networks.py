# SPDX-License-Identifier: Apache-2.0
"""The well-known networks at the size of digits: the same parts, fewer and thinner.

AlexNet, ZFNet, VGG and GoogLeNet were made for images of 224 x 224; these take (N, 1, 32, 32).
MobileNet, which halves its maps five times, gets digits of 48 x 48.
Those that `gradsmith.models` makes thin or short by its own options are used as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gradsmith import models, nn
from gradsmith.models import GoogLeNetOutputs, Inception, NaiveInception
from gradsmith.nn import functional as F
from gradsmith.tensor import Tensor

CLASSES = 10


def _classifier(inputs: int, width: int = 128) -> list[nn.Module]:
    return [
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(inputs, width),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(width, CLASSES),
    ]


def _layer(inputs: int, outputs: int, kernel: int = 3, **options: Any) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, **options)
    # Without batch norm the signal has to keep its size from the start (He et al., 2015).
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    return [convolution, nn.ReLU()]


def _response_norm() -> nn.LocalResponseNorm:
    return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)


def alexnet() -> nn.Module:
    """Return 5 convolutions, some in two groups, with response norm and overlapping pooling."""
    return nn.Sequential(
        *(*_layer(1, 24, 5), _response_norm(), nn.MaxPool2d(3, 2)),
        *(*_layer(24, 48, 5, groups=2), _response_norm(), nn.MaxPool2d(3, 2)),
        *(*_layer(48, 64), *_layer(64, 64, groups=2), *_layer(64, 48, groups=2)),
        *(nn.MaxPool2d(3, 2), *_classifier(48 * 3 * 3)),
    )


def zfnet() -> nn.Module:
    """Return AlexNet with finer first kernels, no groups, and the norm after pooling."""
    return nn.Sequential(
        *(*_layer(1, 24, 3), nn.MaxPool2d(3, 2, padding=1), _response_norm()),
        *(*_layer(24, 48, 3), nn.MaxPool2d(3, 2, padding=1), _response_norm()),
        *(*_layer(48, 64), *_layer(64, 64), *_layer(64, 48)),
        *(nn.MaxPool2d(3, 2), *_classifier(48 * 3 * 3)),
    )


def vgg() -> nn.Module:
    """Return blocks of two 3x3 convolutions, channels doubled after each pooling."""
    layers: list[nn.Module] = []
    inputs = 1
    for width in (16, 32, 64):
        layers += [*_layer(inputs, width), *_layer(width, width), nn.MaxPool2d(2)]
        inputs = width
    return nn.Sequential(*layers, *_classifier(64 * 4 * 4))


class GoogLeNet(nn.Module):
    """Three inception modules, an auxiliary classifier after the first, global average pooling."""

    def __init__(self, naive: bool = False) -> None:
        """Make the layers; ``naive`` modules have no 1x1 reductions."""
        super().__init__()
        self.stem = nn.Sequential(*_layer(1, 16), nn.MaxPool2d(2))
        blocks: list[nn.Module] = []
        width = 16
        for _ in range(3):
            # Convolutions of both kinds give 48 channels; pooling adds 16, or all of the input.
            blocks.append(
                NaiveInception(width, 16, 24, 8)
                if naive
                else Inception(width, 16, (16, 24), (4, 8), 16)
            )
            width = 48 + width if naive else 64
        self.first, self.second, self.third = blocks
        self.auxiliary = nn.Linear(48 + 16, CLASSES)
        self.classifier = nn.Linear(width, CLASSES)

    def forward(self, images: Tensor) -> Tensor | GoogLeNetOutputs:
        """Return the scores, in training also those of the auxiliary classifier."""
        x = F.max_pool2d(self.first(self.stem(images)), 2)
        helped = self.auxiliary(x.mean((2, 3))) if self.training else None
        scores = self.classifier(self.third(self.second(x)).mean((2, 3)))
        return scores if helped is None else GoogLeNetOutputs(scores, None, helped)


def helped_cross_entropy(outputs: Any, labels: Tensor) -> Tensor:
    """Return the cross-entropy, plus 0.3 times that of an auxiliary classifier if there is one."""
    if isinstance(outputs, Tensor):
        return F.cross_entropy(outputs, labels)
    main, _, helper = outputs
    return F.cross_entropy(main, labels) + 0.3 * F.cross_entropy(helper, labels)


@dataclass(frozen=True)
class Network:
    """How a small network is made, and the digits that it takes.

    Attributes:
        make: returns it with fresh weights.
        size: pixels of the digit.
        border: pixels around it.
        channels: grey levels are copied into as many.
        quick: epochs of a quick run.
    """

    make: Callable[[], nn.Module]
    size: int = 28
    border: int = 2
    channels: int = 1
    quick: int = 3


NETWORKS = {
    "resnet": Network(lambda: models.CifarResNet(20, CLASSES, channels=1), 16, 0),
    "densenet": Network(
        lambda: models.DenseNet(
            12, (4, 4, 4), 24, num_classes=CLASSES, channels=1, small_stem=True
        ),
        *(16, 0),
    ),
    "alexnet": Network(alexnet),
    "zfnet": Network(zfnet),
    "vgg": Network(vgg),
    "googlenet": Network(GoogLeNet),
    "googlenet-naive": Network(lambda: GoogLeNet(naive=True)),
    "mobilenet": Network(lambda: models.MobileNetV1(CLASSES, 0.25), 44, channels=3, quick=6),
    "darknet": Network(lambda: models.Darknet19(CLASSES, 1, 8), quick=5),
}

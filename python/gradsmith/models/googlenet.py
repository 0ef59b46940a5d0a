# SPDX-License-Identifier: Apache-2.0
"""GoogLeNet (Szegedy et al., "Going deeper with convolutions", 2015): inception modules, naive or
with 1x1 reductions, two auxiliary classifiers, global average pooling.

As in torchvision there is batch norm after each convolution, and what the paper calls 5x5 is 3x3:
its weights load.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gradsmith import nn
from gradsmith.models.sizes import check_classes
from gradsmith.nn import functional as F
from gradsmith.ops.joining import cat
from gradsmith.tensor import Tensor


class BasicConv2d(nn.Module):
    """Convolution, batch norm, relu."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int, **options: Any) -> None:
        """Make the layers."""
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel_size, bias=False, **options)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, outputs, H', W')."""
        return F.relu(self.bn(self.conv(x)))


class Inception(nn.Module):
    """Four branches side by side, their channels joined: (N, inputs, H, W)."""

    def __init__(
        self, inputs: int, one: int, three: tuple[int, int], five: tuple[int, int], pooled: int
    ) -> None:
        """Make the branches; pairs are channels of the reduction and of the convolution."""
        super().__init__()
        self.branch1 = BasicConv2d(inputs, one, 1)
        self.branch2 = nn.Sequential(
            BasicConv2d(inputs, three[0], 1), BasicConv2d(*three, 3, padding=1)
        )
        self.branch3 = nn.Sequential(
            BasicConv2d(inputs, five[0], 1), BasicConv2d(*five, 3, padding=1)
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1, ceil_mode=True), BasicConv2d(inputs, pooled, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, sum of the branches' channels, H, W)."""
        return cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class NaiveInception(nn.Module):
    """The module before reductions (figure 2a): 1x1, 3x3, 5x5 and pooling of the whole input.

    (N, inputs, H, W) -> (N, one + three + five + inputs, H, W).
    """

    def __init__(self, inputs: int, one: int, three: int, five: int) -> None:
        """Make the branches."""
        super().__init__()
        self.branch1 = BasicConv2d(inputs, one, 1)
        self.branch2 = BasicConv2d(inputs, three, 3, padding=1)
        self.branch3 = BasicConv2d(inputs, five, 5, padding=2)
        self.pool = nn.MaxPool2d(3, stride=1, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the branches' channels side by side."""
        return cat([self.branch1(x), self.branch2(x), self.branch3(x), self.pool(x)], 1)


class InceptionAux(nn.Module):
    """The classifier that helps gradients reach the middle: (N, inputs, H, W) -> scores."""

    def __init__(self, inputs: int, num_classes: int, dropout: float) -> None:
        """Make the layers."""
        super().__init__()
        self.conv = BasicConv2d(inputs, 128, 1)
        self.fc1 = nn.Linear(2048, 1024)
        self.fc2 = nn.Linear(1024, num_classes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores before softmax."""
        x = self.conv(F.adaptive_avg_pool2d(x, 4)).flatten(1)
        scores: Tensor = self.fc2(self.dropout(F.relu(self.fc1(x))))
        return scores


class GoogLeNetOutputs(NamedTuple):
    """Scores of the network and of its two auxiliary classifiers, each (N, num_classes)."""

    logits: Tensor
    aux_logits2: Tensor | None
    aux_logits1: Tensor | None


class GoogLeNet(nn.Module):
    """Images (N, 3, H, W) -> scores (N, num_classes).

    While training with auxiliary classifiers it returns `GoogLeNetOutputs`; the paper adds their
    losses with weight 0.3.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        dropout: float = 0.2,
        dropout_aux: float = 0.7,
    ) -> None:
        """Make the layers; ValueError unless there is a class."""
        super().__init__()
        check_classes("GoogLeNet", num_classes)
        self.aux_logits = aux_logits
        self.conv1 = BasicConv2d(3, 64, 7, stride=2, padding=3)
        self.maxpool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = BasicConv2d(64, 64, 1)
        self.conv3 = BasicConv2d(64, 192, 3, padding=1)
        self.maxpool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception3a = Inception(192, 64, (96, 128), (16, 32), 32)
        self.inception3b = Inception(256, 128, (128, 192), (32, 96), 64)
        self.maxpool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception4a = Inception(480, 192, (96, 208), (16, 48), 64)
        self.inception4b = Inception(512, 160, (112, 224), (24, 64), 64)
        self.inception4c = Inception(512, 128, (128, 256), (24, 64), 64)
        self.inception4d = Inception(512, 112, (144, 288), (32, 64), 64)
        self.inception4e = Inception(528, 256, (160, 320), (32, 128), 128)
        self.maxpool4 = nn.MaxPool2d(2, stride=2, ceil_mode=True)
        self.inception5a = Inception(832, 256, (160, 320), (32, 128), 128)
        self.inception5b = Inception(832, 384, (192, 384), (48, 128), 128)
        if aux_logits:
            self.aux1 = InceptionAux(512, num_classes, dropout_aux)
            self.aux2 = InceptionAux(528, num_classes, dropout_aux)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(1024, num_classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.trunc_normal_(module.weight, std=0.01, a=-2, b=2)

    def forward(self, images: Tensor) -> Tensor | GoogLeNetOutputs:
        """Return the scores before softmax."""
        helped = self.training and self.aux_logits
        x = self.maxpool1(self.conv1(images))
        x = self.maxpool2(self.conv3(self.conv2(x)))
        x = self.maxpool3(self.inception3b(self.inception3a(x)))
        x = self.inception4a(x)
        first = self.aux1(x) if helped else None
        x = self.inception4d(self.inception4c(self.inception4b(x)))
        second = self.aux2(x) if helped else None
        x = self.inception5b(self.inception5a(self.maxpool4(self.inception4e(x))))
        scores: Tensor = self.fc(self.dropout(self.avgpool(x).flatten(1)))
        return GoogLeNetOutputs(scores, second, first) if helped else scores


def googlenet(
    num_classes: int = 1000, *, aux_logits: bool = True, dropout: float = 0.2
) -> GoogLeNet:
    """Return a GoogLeNet: 6,624,904 parameters for 1000 classes, 13,004,888 with ``aux_logits``."""
    return GoogLeNet(num_classes, aux_logits, dropout)

# SPDX-License-Identifier: Apache-2.0
"""AlexNet (Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural
networks", 2012), as published and in the form of one GPU (Krizhevsky, "One weird trick", 2014); and
ZFNet (Zeiler and Fergus, "Visualizing and understanding convolutional networks", 2014).
"""

from __future__ import annotations

from gradsmith import nn
from gradsmith.models.sizes import check_classes
from gradsmith.tensor import Tensor


class AlexNet(nn.Module):
    """Images (N, 3, H, W), H and W at least 63, -> scores (N, num_classes).

    ``state_dict`` keys and shapes are torchvision's.
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5) -> None:
        """Make the layers; ValueError unless there is a class."""
        super().__init__()
        check_classes("AlexNet", num_classes)
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, stride=4, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(6)
        self.classifier = _classifier(256 * 6 * 6, num_classes, dropout)

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores before softmax."""
        maps = self.avgpool(self.features(images))
        scores: Tensor = self.classifier(maps.flatten(1))
        return scores


def _response_norm() -> nn.LocalResponseNorm:
    """Return the paper's norm over 5 channels; alpha is divided by their number."""
    return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)


def _classifier(inputs: int, num_classes: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Dropout(dropout),
        nn.Linear(inputs, 4096),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(4096, 4096),
        nn.ReLU(),
        nn.Linear(4096, num_classes),
    )


class AlexNet2012(nn.Module):
    """AlexNet as published: two groups of kernels, local response norm, 227 x 227 images.

    Images (N, 3, 227, 227) -> scores (N, num_classes).
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5) -> None:
        """Make the layers; ValueError unless there is a class."""
        super().__init__()
        check_classes("AlexNet2012", num_classes)
        self.features = nn.Sequential(
            nn.Conv2d(3, 96, 11, stride=4),
            nn.ReLU(),
            _response_norm(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(96, 256, 5, padding=2, groups=2),
            nn.ReLU(),
            _response_norm(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(256, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 384, 3, padding=1, groups=2),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1, groups=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
        )
        self.classifier = _classifier(256 * 6 * 6, num_classes, dropout)

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores before softmax."""
        scores: Tensor = self.classifier(self.features(images).flatten(1))
        return scores


class ZFNet(nn.Module):
    """AlexNet with a finer first layer: 7x7 kernels and strides of 2.

    Images (N, 3, 224, 224) -> scores (N, num_classes).
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5) -> None:
        """Make the layers; ValueError unless there is a class."""
        super().__init__()
        check_classes("ZFNet", num_classes)
        self.features = nn.Sequential(
            nn.Conv2d(3, 96, 7, stride=2, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, padding=1),
            _response_norm(),
            nn.Conv2d(96, 256, 5, stride=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, padding=1),
            _response_norm(),
            nn.Conv2d(256, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
        )
        self.classifier = _classifier(256 * 6 * 6, num_classes, dropout)

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores before softmax."""
        scores: Tensor = self.classifier(self.features(images).flatten(1))
        return scores


def alexnet(num_classes: int = 1000, *, dropout: float = 0.5) -> AlexNet:
    """Return an AlexNet of one GPU: 61,100,840 parameters for 1000 classes."""
    return AlexNet(num_classes, dropout)


def alexnet_2012(num_classes: int = 1000, *, dropout: float = 0.5) -> AlexNet2012:
    """Return AlexNet as published, two groups and LRN: 60,965,224 parameters for 1000 classes."""
    return AlexNet2012(num_classes, dropout)


def zfnet(num_classes: int = 1000, *, dropout: float = 0.5) -> ZFNet:
    """Return a ZFNet: 62,357,608 parameters for 1000 classes."""
    return ZFNet(num_classes, dropout)

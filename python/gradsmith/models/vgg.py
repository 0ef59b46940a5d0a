# SPDX-License-Identifier: Apache-2.0
"""VGG (Simonyan and Zisserman, "Very deep convolutional networks for large-scale image
recognition", 2015): 3x3 convolutions, doubled channels after each pooling, three linear layers.
"""

from __future__ import annotations

from gradsmith import nn
from gradsmith.models.sizes import check_classes, init_he
from gradsmith.tensor import Tensor

_CHANNELS = (64, 128, 256, 512, 512)
# Depth: 3x3 convolutions per block (configurations A, B, D and E of the paper).
_BLOCKS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


class VGG(nn.Module):
    """Images (N, 3, H, W), H and W at least 32, -> scores (N, num_classes).

    ``state_dict`` keys and shapes are torchvision's.
    """

    def __init__(
        self, depth: int, num_classes: int = 1000, batch_norm: bool = False, dropout: float = 0.5
    ) -> None:
        """Make the layers; ValueError for a depth other than 11, 13, 16 or 19."""
        super().__init__()
        check_classes("VGG", num_classes)
        if depth not in _BLOCKS:
            raise ValueError(f"VGG: depth is {depth}, expected one of {sorted(_BLOCKS)}")
        layers: list[nn.Module] = []
        inputs = 3
        for outputs, repeats in zip(_CHANNELS, _BLOCKS[depth], strict=True):
            for _ in range(repeats):
                layers.append(nn.Conv2d(inputs, outputs, 3, padding=1))
                if batch_norm:
                    layers.append(nn.BatchNorm2d(outputs))
                layers.append(nn.ReLU())
                inputs = outputs
            layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4096, num_classes),
        )
        init_he(self)

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores before softmax."""
        maps = self.avgpool(self.features(images))
        scores: Tensor = self.classifier(maps.flatten(1))
        return scores


def vgg11(num_classes: int = 1000, *, batch_norm: bool = False, dropout: float = 0.5) -> VGG:
    """Return a VGG of 11 layers: 132,863,336 parameters for 1000 classes."""
    return VGG(11, num_classes, batch_norm, dropout)


def vgg13(num_classes: int = 1000, *, batch_norm: bool = False, dropout: float = 0.5) -> VGG:
    """Return a VGG of 13 layers: 133,047,848 parameters for 1000 classes."""
    return VGG(13, num_classes, batch_norm, dropout)


def vgg16(num_classes: int = 1000, *, batch_norm: bool = False, dropout: float = 0.5) -> VGG:
    """Return a VGG of 16 layers: 138,357,544 parameters for 1000 classes."""
    return VGG(16, num_classes, batch_norm, dropout)


def vgg19(num_classes: int = 1000, *, batch_norm: bool = False, dropout: float = 0.5) -> VGG:
    """Return a VGG of 19 layers: 143,667,240 parameters for 1000 classes."""
    return VGG(19, num_classes, batch_norm, dropout)

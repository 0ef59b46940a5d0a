# SPDX-License-Identifier: Apache-2.0
"""DenseNet (Huang, Liu, van der Maaten, Weinberger, "Densely connected convolutional networks",
2017): every layer of a block sees the outputs of all before it.
"""

from __future__ import annotations

from collections import OrderedDict

from gradsmith import nn
from gradsmith.models.sizes import check_classes, init_he
from gradsmith.nn import functional as F
from gradsmith.ops.joining import cat
from gradsmith.tensor import Tensor


class DenseLayer(nn.Module):
    """norm, relu, 1x1 to 4 k channels, norm, relu, 3x3 to k: (N, inputs, H, W) -> (N, k, H, W)."""

    def __init__(self, inputs: int, growth_rate: int, bn_size: int, drop_rate: float) -> None:
        """Make the layers."""
        super().__init__()
        narrow = bn_size * growth_rate
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, narrow, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(narrow)
        self.conv2 = nn.Conv2d(narrow, growth_rate, 3, padding=1, bias=False)
        self.drop_rate = drop_rate

    def forward(self, x: Tensor) -> Tensor:
        """Return the new channels."""
        y = self.conv1(F.relu(self.norm1(x)))
        y = self.conv2(F.relu(self.norm2(y)))
        return F.dropout(y, self.drop_rate, self.training) if self.drop_rate else y


class DenseBlock(nn.ModuleDict):
    """Layers that each add ``growth_rate`` channels to what they were given."""

    def __init__(
        self, layers: int, inputs: int, growth_rate: int, bn_size: int, drop_rate: float
    ) -> None:
        """Make the layers."""
        super().__init__()
        for number in range(layers):
            width = inputs + number * growth_rate
            self[f"denselayer{number + 1}"] = DenseLayer(width, growth_rate, bn_size, drop_rate)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, inputs + layers * growth_rate, H, W)."""
        for layer in self.values():
            x = cat([x, layer(x)], 1)
        return x


def _transition(inputs: int, outputs: int) -> nn.Sequential:
    layers: dict[str, nn.Module] = {
        "norm": nn.BatchNorm2d(inputs),
        "relu": nn.ReLU(),
        "conv": nn.Conv2d(inputs, outputs, 1, bias=False),
        "pool": nn.AvgPool2d(2, 2),
    }
    return nn.Sequential(OrderedDict(layers))


class DenseNet(nn.Module):
    """Images (N, channels, H, W) -> scores (N, num_classes).

    With the defaults of a large stem, ``state_dict`` keys and shapes are torchvision's.
    """

    def __init__(
        self,
        growth_rate: int = 32,
        block_config: tuple[int, ...] = (6, 12, 24, 16),
        num_init_features: int = 64,
        bn_size: int = 4,
        drop_rate: float = 0.0,
        num_classes: int = 1000,
        *,
        channels: int = 3,
        small_stem: bool = False,
    ) -> None:
        """Make the layers.

        Args:
            growth_rate: channels that a layer adds (k in the paper).
            block_config: layers per block.
            num_init_features: channels before the first block.
            bn_size: width of the 1x1 convolutions, in growth rates.
            drop_rate: dropout after each layer.
            num_classes: scores per image.
            channels: of the images.
            small_stem: a 3x3 convolution instead of 7x7, stride 2 and pooling, for small images.

        Raises:
            ValueError: a size is below 1.
        """
        super().__init__()
        check_classes("DenseNet", num_classes)
        if min(growth_rate, num_init_features, bn_size, *block_config, len(block_config)) < 1:
            raise ValueError("DenseNet: a size is below 1, expected 1 or more of everything")
        width = num_init_features
        features = _stem(channels, width, small_stem)
        for number, layers in enumerate(block_config, start=1):
            block = DenseBlock(layers, width, growth_rate, bn_size, drop_rate)
            features[f"denseblock{number}"] = block
            width += layers * growth_rate
            if number < len(block_config):
                features[f"transition{number}"] = _transition(width, width // 2)
                width //= 2
        features["norm5"] = nn.BatchNorm2d(width)
        self.features = nn.Sequential(features)
        self.classifier = nn.Linear(width, num_classes)
        init_he(self)

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores before softmax."""
        maps = F.relu(self.features(images))
        scores: Tensor = self.classifier(F.adaptive_avg_pool2d(maps, 1).flatten(1))
        return scores


def _stem(channels: int, width: int, small: bool) -> OrderedDict[str, nn.Module]:
    if small:
        return OrderedDict(conv0=nn.Conv2d(channels, width, 3, padding=1, bias=False))
    return OrderedDict(
        conv0=nn.Conv2d(channels, width, 7, stride=2, padding=3, bias=False),
        norm0=nn.BatchNorm2d(width),
        relu0=nn.ReLU(),
        pool0=nn.MaxPool2d(3, stride=2, padding=1),
    )


def densenet121(num_classes: int = 1000, *, drop_rate: float = 0.0) -> DenseNet:
    """Return a DenseNet-121: 7,978,856 parameters for 1000 classes."""
    return DenseNet(32, (6, 12, 24, 16), 64, 4, drop_rate, num_classes)


def densenet169(num_classes: int = 1000, *, drop_rate: float = 0.0) -> DenseNet:
    """Return a DenseNet-169: 14,149,480 parameters for 1000 classes."""
    return DenseNet(32, (6, 12, 32, 32), 64, 4, drop_rate, num_classes)


def densenet201(num_classes: int = 1000, *, drop_rate: float = 0.0) -> DenseNet:
    """Return a DenseNet-201: 20,013,928 parameters for 1000 classes."""
    return DenseNet(32, (6, 12, 48, 32), 64, 4, drop_rate, num_classes)

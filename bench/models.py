# SPDX-License-Identifier: Apache-2.0
"""Networks for whole training steps, written once for gradsmith and for PyTorch.

``lib`` is either package: names, arguments and defaults are the same.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any


def xor(lib: Any) -> Any:
    nn = lib.nn
    return nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))


def mlp(lib: Any) -> Any:
    nn = lib.nn
    return nn.Sequential(
        nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10)
    )


def lenet(lib: Any) -> Any:
    nn = lib.nn
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )


def cifar(lib: Any) -> Any:
    """Two blocks of two 3x3 convolutions with batch norm, as beginners' CIFAR-10 networks have."""
    nn = lib.nn
    layers: list[Any] = []
    for inner, outer in ((3, 32), (32, 64)):
        for before in (inner, outer):
            layers += [nn.Conv2d(before, outer, 3, padding=1), nn.BatchNorm2d(outer), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 8 * 8, 10))


def resnet20(lib: Any) -> Any:
    """ResNet-20 for CIFAR-10 (He et al. 2016, section 4.2), shortcuts by 1x1 convolutions."""
    nn = lib.nn

    class Block(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, inner: int, outer: int, stride: int) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(inner, outer, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(outer)
            self.conv2 = nn.Conv2d(outer, outer, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(outer)
            self.shortcut = (
                nn.Identity()
                if stride == 1 and inner == outer
                else nn.Sequential(
                    nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer)
                )
            )

        def forward(self, x: Any) -> Any:
            relu = nn.functional.relu
            out = relu(self.bn1(self.conv1(x)))
            return relu(self.bn2(self.conv2(out)) + self.shortcut(x))

    blocks = []
    for inner, outer, stride in ((16, 16, 1), (16, 32, 2), (32, 64, 2)):
        blocks += [Block(inner, outer, stride), Block(outer, outer, 1), Block(outer, outer, 1)]
    stem = (nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    return nn.Sequential(*stem, *blocks, *head)


def autoencoder(lib: Any) -> Any:
    nn = lib.nn
    sizes = (784, 128, 64, 32, 64, 128, 784)
    layers: list[Any] = []
    for inner, outer in pairwise(sizes):
        layers += [nn.Linear(inner, outer), nn.ReLU()]
    return nn.Sequential(*layers[:-1], nn.Sigmoid())


def char_lstm(lib: Any) -> Any:
    nn = lib.nn

    class CharLSTM(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(96, 64)
            self.lstm = nn.LSTM(64, 128, num_layers=2, batch_first=True)
            self.head = nn.Linear(128, 96)

        def forward(self, x: Any) -> Any:
            return self.head(self.lstm(self.embedding(x))[0]).reshape(-1, 96)

    return CharLSTM()


def transformer(lib: Any) -> Any:
    """Two pre-norm encoder layers over 64 tokens, as a classifier of each token."""
    nn = lib.nn

    class Layer(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, width: int, heads: int) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x: Any) -> Any:
            y = self.norm1(x)
            x = x + self.attention(y, y, y, need_weights=False)[0]
            return x + self.down(nn.functional.gelu(self.up(self.norm2(x))))

    class Encoder(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(96, 128)
            self.layers = nn.Sequential(Layer(128, 4), Layer(128, 4))
            self.head = nn.Linear(128, 96)

        def forward(self, x: Any) -> Any:
            return self.head(self.layers(self.embedding(x))).reshape(-1, 96)

    return Encoder()


def dcgan(lib: Any) -> Any:
    """Generator and discriminator of 28x28 images (Radford et al. 2016, scaled down)."""
    nn = lib.nn

    class Pair(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.generator = nn.Sequential(
                nn.Linear(100, 128 * 49),
                nn.Unflatten(1, (128, 7, 7)),
                nn.BatchNorm2d(128),
                nn.ReLU(),
                nn.ConvTranspose2d(128, 64, 4, 2, 1),
                nn.BatchNorm2d(64),
                nn.ReLU(),
                nn.ConvTranspose2d(64, 1, 4, 2, 1),
                nn.Tanh(),
            )
            self.discriminator = nn.Sequential(
                nn.Conv2d(1, 64, 4, 2, 1),
                nn.LeakyReLU(0.2),
                nn.Conv2d(64, 128, 4, 2, 1),
                nn.BatchNorm2d(128),
                nn.LeakyReLU(0.2),
                nn.Flatten(),
                nn.Linear(128 * 49, 1),
            )

    return Pair()

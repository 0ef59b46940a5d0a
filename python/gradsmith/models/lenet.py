# SPDX-License-Identifier: Apache-2.0
"""LeNet-5 (LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document
recognition", 1998) as published and in today's form, for images of 1 x 32 x 32.

Instead of tanh, trained subsampling and radial basis outputs today's form has ReLU, max pooling and
a linear output, and its second convolution sees all maps of the first.
"""

from __future__ import annotations

import numpy as np

from gradsmith import nn
from gradsmith.autograd import no_grad
from gradsmith.backend import Array
from gradsmith.tensor import Tensor, wrap

_ROWS, _COLUMNS = 12, 7
# Bars of a seven-segment display as (top, bottom, left, right), and the bars of each digit.
_BARS = {
    "a": (0, 2, 0, 7),
    "b": (0, 7, 5, 7),
    "c": (5, 12, 5, 7),
    "d": (10, 12, 0, 7),
    "e": (5, 12, 0, 2),
    "f": (0, 7, 0, 2),
    "g": (5, 7, 0, 7),
}
_DIGITS = ("abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg")


def digit_codes() -> Array:
    """Return drawings of the digits (10, 84), 1 for ink and -1 for paper: 12 rows of 7 pixels."""
    codes = -np.ones((len(_DIGITS), _ROWS, _COLUMNS), np.float32)
    for code, bars in zip(codes, _DIGITS, strict=True):
        for top, bottom, left, right in (_BARS[bar] for bar in bars):
            code[top:bottom, left:right] = 1
    return codes.reshape(len(_DIGITS), -1)


class LeNet5_1998(nn.Module):
    """LeNet-5 as published: images (N, 1, 32, 32) -> squared distances (N, 10); the least wins.

    Trainable subsampling, the connection table of C3, scaled tanh, and an output of distances to
    fixed drawings of the digits: 60,000 trained parameters. The paper's drawings are typeset; these
    are those of a seven-segment display.
    """

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        self.c1 = nn.Conv2d(1, 6, 5)
        self.s2 = nn.Subsampling2d(6)
        self.c3 = nn.TableConv2d(6, 16, 5)
        self.s4 = nn.Subsampling2d(16)
        self.c5 = nn.Conv2d(16, 120, 5)
        self.f6 = nn.Linear(120, 84)
        self.output = nn.RBF(84, len(_DIGITS))
        with no_grad():
            self.output.centers.copy_(wrap(digit_codes()))
        self.output.centers.requires_grad_(False)
        self.squash = nn.ScaledTanh()

    def drawings(self, images: Tensor) -> Tensor:
        """Return what F6 draws (N, 84)."""
        x = self.squash(self.s2(self.c1(images)))
        x = self.squash(self.s4(self.c3(x)))
        x = self.squash(self.c5(x)).flatten(1)
        drawn: Tensor = self.squash(self.f6(x))
        return drawn

    def forward(self, images: Tensor) -> Tensor:
        """Return the distances of what F6 draws to the drawing of each digit."""
        distances: Tensor = self.output(self.drawings(images))
        return distances


class LeNet5(nn.Module):
    """Images (N, 1, 32, 32) -> scores (N, num_classes)."""

    def __init__(self, num_classes: int = 10) -> None:
        """Make the layers; ValueError unless there is a class."""
        super().__init__()
        if num_classes < 1:
            raise ValueError(f"LeNet5: num_classes is {num_classes}, expected at least 1")
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
        )
        self.classifier = nn.Sequential(
            nn.Linear(16 * 5 * 5, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores before softmax."""
        scores: Tensor = self.classifier(self.features(images))
        return scores


def lenet5(num_classes: int = 10) -> LeNet5:
    """Return a LeNet-5 with fresh weights: 61,706 parameters for 10 classes."""
    return LeNet5(num_classes)


def lenet5_1998() -> LeNet5_1998:
    """Return the LeNet-5 of 1998: 60,000 trained parameters and 840 fixed ones."""
    return LeNet5_1998()

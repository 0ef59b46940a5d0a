# SPDX-License-Identifier: Apache-2.0
"""LeNet-5 (LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document
recognition", 1998) in today's form.

Sizes are those of the paper, for images of 1 x 32 x 32. Instead of tanh, trained subsampling and
radial basis outputs it has ReLU, max pooling and a linear output, and its second convolution sees
all maps of the first: 61,706 parameters for 10 classes.
"""

from __future__ import annotations

from gradsmith import nn
from gradsmith.tensor import Tensor

INPUT_SIZE = (1, 32, 32)


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
    """Return a LeNet-5 with fresh weights."""
    return LeNet5(num_classes)

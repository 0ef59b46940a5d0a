# SPDX-License-Identifier: Apache-2.0
"""A recurrent convolutional net for labelling pixels (Pinheiro and Collobert, "Recurrent
convolutional neural networks for scene labeling", 2014).

One small network sees the image and its own labelling of before, and labels anew: each round widens
the context by its field of view, at no further parameter.
"""

from __future__ import annotations

from gradsmith import nn
from gradsmith.models.sizes import check_classes, init_he
from gradsmith.ops.creation import zeros
from gradsmith.ops.joining import cat
from gradsmith.tensor import Tensor


class RecurrentLabeller(nn.Module):
    """Images (N, channels, H, W) -> scores (N, num_classes, H, W)."""

    def __init__(
        self,
        num_classes: int,
        channels: int = 3,
        width: int = 16,
        rounds: int = 3,
        kernel_size: int = 5,
    ) -> None:
        """Make the layers.

        Args:
            num_classes: scores per pixel.
            channels: of the images.
            width: channels of the two hidden layers.
            rounds: how often the network runs.
            kernel_size: of its first two convolutions, odd.

        Raises:
            ValueError: a number is below 1, or the kernel even.
        """
        super().__init__()
        check_classes("RecurrentLabeller", num_classes)
        if min(channels, width, rounds) < 1 or kernel_size % 2 == 0:
            raise ValueError(
                f"RecurrentLabeller: channels, width, rounds, kernel_size are {channels}, {width}, "
                f"{rounds}, {kernel_size}, expected >= 1 and an odd kernel_size"
            )
        self.num_classes, self.rounds = num_classes, rounds
        padding = kernel_size // 2
        self.network = nn.Sequential(
            nn.Conv2d(channels + num_classes, width, kernel_size, padding=padding),
            nn.GroupNorm(1, width),
            nn.ReLU(),
            nn.Conv2d(width, width, kernel_size, padding=padding),
            nn.GroupNorm(1, width),
            nn.ReLU(),
            nn.Conv2d(width, num_classes, 1),
        )
        init_he(self)

    def labellings(self, images: Tensor) -> list[Tensor]:
        """Return the scores after each round."""
        count, _, height, width = images.shape
        shape = (count, self.num_classes, height, width)
        scores = zeros(shape, dtype=images.dtype, device=images.device)
        found = []
        for _ in range(self.rounds):
            scores = self.network(cat([images, scores.softmax(1)], 1))
            found.append(scores)
        return found

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores of the last round, before softmax."""
        return self.labellings(images)[-1]

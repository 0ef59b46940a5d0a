# SPDX-License-Identifier: Apache-2.0
"""The capsule network (Sabour, Frosst, Hinton, "Dynamic routing between capsules", 2017)."""

from __future__ import annotations

from gradsmith import nn
from gradsmith.models.sizes import check_classes
from gradsmith.nn import functional as F
from gradsmith.ops.creation import zeros
from gradsmith.ops.gemm_einsum import einsum
from gradsmith.ops.random import randn
from gradsmith.tensor import Tensor


def squash(vectors: Tensor) -> Tensor:
    """Return vectors (..., D) of the same direction with lengths in [0, 1): n^2 / (1 + n^2)."""
    square = (vectors * vectors).sum(-1, keepdim=True)
    return vectors * (square + 1e-8).sqrt() / (1 + square)


class RoutedCapsules(nn.Module):
    """Capsules (N, inputs, D) -> capsules (N, outputs, E) by routing of agreement."""

    def __init__(
        self, inputs: int, outputs: int, dimension: int, vector: int, rounds: int = 3
    ) -> None:
        """Draw the matrices by which each capsule predicts each of the next layer."""
        super().__init__()
        self.weight = nn.Parameter(0.1 * randn(inputs, outputs, dimension, vector))
        self.rounds = rounds

    def forward(self, capsules: Tensor) -> Tensor:
        """Return the capsules of the next layer."""
        predicted = einsum("nid,iode->nioe", capsules, self.weight)
        fixed = predicted.detach()  # the routing itself is not learned
        agreement = zeros(predicted.shape[:3], dtype=predicted.dtype, device=predicted.device)
        for _ in range(self.rounds - 1):
            shares = F.softmax(agreement, 2)
            outputs = squash(einsum("nio,nioe->noe", shares, fixed))
            agreement = agreement + einsum("nioe,noe->nio", fixed, outputs)
        return squash(einsum("nio,nioe->noe", F.softmax(agreement, 2), predicted))


class CapsuleNet(nn.Module):
    """Images (N, channels, size, size) -> a vector per class (N, num_classes, vector).

    A convolution, a second one whose channels are capsules of ``dimension`` values at every place,
    and one capsule per class. In the paper: 28 x 28 pixels, kernels of 9, 256 channels, 32 kinds of
    8 values, vectors of 16.
    """

    def __init__(
        self,
        num_classes: int = 10,
        channels: int = 1,
        size: int = 28,
        *,
        width: int = 256,
        kinds: int = 32,
        dimension: int = 8,
        vector: int = 16,
        kernel_size: int = 9,
        rounds: int = 3,
    ) -> None:
        """Make the layers; ValueError if the kernels do not fit twice into the images."""
        super().__init__()
        check_classes("CapsuleNet", num_classes)
        side = (size - 2 * kernel_size + 1) // 2 + 1
        if side < 1:
            raise ValueError(
                f"CapsuleNet: size is {size}, expected room for two kernels of {kernel_size}"
            )
        self.first = nn.Sequential(nn.Conv2d(channels, width, kernel_size), nn.ReLU())
        self.primary = nn.Conv2d(width, kinds * dimension, kernel_size, stride=2)
        self.classes = RoutedCapsules(kinds * side * side, num_classes, dimension, vector, rounds)
        self.dimension = dimension

    def forward(self, images: Tensor) -> Tensor:
        """Return the vectors; their lengths are in [0, 1)."""
        maps = self.primary(self.first(images))
        count, channels, height, width = maps.shape
        maps = maps.reshape(count, channels // self.dimension, self.dimension, height * width)
        capsules = maps.permute(0, 1, 3, 2).reshape(count, -1, self.dimension)
        vectors: Tensor = self.classes(squash(capsules))
        return vectors


def capsule_net(num_classes: int = 10) -> CapsuleNet:
    """Return the net of the paper with fresh weights, without its decoder."""
    return CapsuleNet(num_classes)

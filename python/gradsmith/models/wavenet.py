# SPDX-License-Identifier: Apache-2.0
"""WaveNet (van den Oord et al., "WaveNet: a generative model for raw audio", 2016)."""

from __future__ import annotations

from gradsmith import nn
from gradsmith.models.sizes import check_classes
from gradsmith.ops.elementwise_math import sigmoid, tanh
from gradsmith.ops.shape_pieces import chunk
from gradsmith.tensor import Tensor


class _Block(nn.Module):
    """``z = tanh(W x) * sigmoid(V x)``, dilated and causal; returns x + A z, and B z."""

    def __init__(self, channels: int, skip: int, kernel_size: int, dilation: int) -> None:
        super().__init__()
        self.gate = nn.CausalConv1d(channels, 2 * channels, kernel_size, dilation=dilation)
        self.residual = nn.Conv1d(channels, channels, 1)
        self.skip = nn.Conv1d(channels, skip, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        signal, gate = chunk(self.gate(x), 2, 1)
        z = tanh(signal) * sigmoid(gate)
        return x + self.residual(z), self.skip(z)


class WaveNet(nn.Module):
    """Samples (N, T), int64 in [0, levels), -> scores (N, T, levels) of those that follow.

    Dilations double from block to block, so that the reach grows exponentially with the depth.
    """

    def __init__(
        self,
        levels: int = 256,
        channels: int = 32,
        skip: int = 64,
        layers: int = 10,
        repeats: int = 1,
        kernel_size: int = 2,
    ) -> None:
        """Make the layers.

        Args:
            levels: of the samples.
            channels: within blocks.
            skip: channels of the sum of all blocks.
            layers: dilations 1, 2, 4, ..., 2^(layers - 1).
            repeats: of that row of dilations.
            kernel_size: of the causal convolutions.

        Raises:
            ValueError: a size is below 1.
        """
        super().__init__()
        check_classes("WaveNet", min(levels, channels, skip, layers, repeats))
        self.embedding = nn.Embedding(levels, channels)
        dilations = [2**layer for layer in range(layers)] * repeats
        self.blocks = nn.ModuleList([_Block(channels, skip, kernel_size, d) for d in dilations])
        self.head = nn.Sequential(
            nn.ReLU(), nn.Conv1d(skip, skip, 1), nn.ReLU(), nn.Conv1d(skip, levels, 1)
        )
        self.reach = 1 + (kernel_size - 1) * sum(dilations)

    def forward(self, samples: Tensor) -> Tensor:
        """Return the scores before softmax."""
        x = self.embedding(samples).transpose(1, 2)
        x, total = self.blocks[0](x)
        for block in list(self.blocks)[1:]:
            x, part = block(x)
            total = total + part
        scores: Tensor = self.head(total).transpose(1, 2)
        return scores

    def next_scores(self, samples: Tensor) -> Tensor:
        """Return the scores (N, levels) of the next sample, from those within reach."""
        scores: Tensor = self(samples[:, -self.reach :])[:, -1]
        return scores


def wavenet(levels: int = 256) -> WaveNet:
    """Return a WaveNet of three rows of dilations up to 512, as in the paper."""
    return WaveNet(levels, layers=10, repeats=3)

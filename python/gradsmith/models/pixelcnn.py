# SPDX-License-Identifier: Apache-2.0
"""Pictures pixel by pixel: PixelCNN and the row LSTM of PixelRNN (van den Oord, Kalchbrenner,
Kavukcuoglu, "Pixel recurrent neural networks", 2016).

Every pixel has scores that depend on the pixels above it and to its left alone, so that the product
of all is a distribution of pictures, which can be drawn from pixel by pixel.
"""

from __future__ import annotations

from gradsmith import nn
from gradsmith.autograd import no_grad
from gradsmith.models.sizes import check_classes
from gradsmith.nn import functional as F
from gradsmith.ops.creation import zeros
from gradsmith.ops.elementwise_math import sigmoid, tanh
from gradsmith.ops.joining import stack
from gradsmith.ops.random import multinomial
from gradsmith.ops.shape_pieces import chunk
from gradsmith.tensor import Tensor


class _Pixels(nn.Module):
    """Pixels (N, H, W), int64 in [0, levels), -> scores (N, levels, H, W) of each pixel."""

    def __init__(self, levels: int, width: int, kernel_size: int) -> None:
        super().__init__()
        check_classes(type(self).__name__, min(levels, width))
        self.levels = levels
        self.first = nn.MaskedConv2d("A", 1, width, kernel_size, padding="same")
        self.head = nn.Sequential(
            nn.ReLU(),
            nn.MaskedConv2d("B", width, width, 1),
            nn.ReLU(),
            nn.MaskedConv2d("B", width, levels, 1),
        )

    def _body(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the scores before softmax."""
        dtype = self.first.weight.dtype
        x = pixels.unsqueeze(1).to(dtype) * (2.0 / max(self.levels - 1, 1)) - 1.0
        scores: Tensor = self.head(self._body(self.first(x)))
        return scores

    def sample(self, count: int, height: int, width: int) -> Tensor:
        """Return pictures (count, height, width) drawn pixel by pixel."""
        device = self.first.weight.device
        pixels = zeros((count, height, width), dtype="int64", device=device)
        with no_grad():
            for row in range(height):
                for column in range(width):
                    shares = F.softmax(self(pixels)[:, :, row, column], 1)
                    pixels[:, row, column] = multinomial(shares, 1)[:, 0]
        return pixels


class PixelCNN(_Pixels):
    """Pixels (N, H, W), int64 in [0, levels), -> scores (N, levels, H, W): masked convolutions."""

    def __init__(
        self, levels: int = 256, width: int = 64, layers: int = 4, kernel_size: int = 7
    ) -> None:
        """Make the layers; ValueError if a size is below 1."""
        super().__init__(levels, width, kernel_size)
        self.blocks = nn.Sequential(*[nn.Residual(_block(width)) for _ in range(layers)])

    def _body(self, x: Tensor) -> Tensor:
        maps: Tensor = self.blocks(x)
        return maps


def _block(width: int) -> nn.Sequential:
    half = max(width // 2, 1)
    return nn.Sequential(
        nn.ReLU(),
        nn.MaskedConv2d("B", width, half, 1),
        nn.ReLU(),
        nn.MaskedConv2d("B", half, half, 3, padding="same"),
        nn.ReLU(),
        nn.MaskedConv2d("B", half, width, 1),
    )


class RowLSTM(nn.Module):
    """Maps (N, C, H, W) -> (N, C, H, W): an LSTM that walks the rows from top to bottom.

    Its gates see the row of the input from the left (a masked 1 x 3 convolution) and three states
    of the row above.
    """

    def __init__(self, channels: int) -> None:
        """Make the layers."""
        super().__init__()
        self.input = nn.MaskedConv2d("B", channels, 4 * channels, (1, 3), padding="same")
        self.state = nn.Conv1d(channels, 4 * channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the states of all rows."""
        gates_of_input = self.input(x)
        state = cell = zeros(x[:, :, 0].shape, dtype=x.dtype, device=x.device)
        rows = []
        for row in range(x.shape[2]):
            gates = gates_of_input[:, :, row] + self.state(state)
            i, f, o, new = chunk(gates, 4, 1)
            cell = sigmoid(f) * cell + sigmoid(i) * tanh(new)
            state = sigmoid(o) * tanh(cell)
            rows.append(state)
        return stack(rows, 2)


class PixelRNN(_Pixels):
    """Pixels (N, H, W), int64 in [0, levels), -> scores (N, levels, H, W): row LSTMs."""

    def __init__(
        self, levels: int = 256, width: int = 64, layers: int = 2, kernel_size: int = 7
    ) -> None:
        """Make the layers; ValueError if a size is below 1."""
        super().__init__(levels, width, kernel_size)
        self.layers = nn.Sequential(*[nn.Residual(RowLSTM(width)) for _ in range(layers)])

    def _body(self, x: Tensor) -> Tensor:
        maps: Tensor = self.layers(x)
        return maps

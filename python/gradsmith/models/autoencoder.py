# SPDX-License-Identifier: Apache-2.0
"""Auto-encoders: an encoder to a code and a decoder back (Hinton and Salakhutdinov, "Reducing the
dimensionality of data with neural networks", 2006), fully connected or convolutional.

What makes one sparse, denoising, contractive or adversarial is its loss, not its layers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from gradsmith import nn
from gradsmith.models.dense import dense_layers
from gradsmith.tensor import Tensor


class Autoencoder(nn.Module):
    """x -> ``decoder(encoder(x))``, of the shape of x."""

    def __init__(self, encoder: nn.Sequential, decoder: nn.Sequential) -> None:
        """Keep both halves."""
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def encode(self, x: Tensor) -> Tensor:
        """Return the code."""
        code: Tensor = self.encoder(x)
        return code

    def decode(self, code: Tensor) -> Tensor:
        """Return what a code stands for."""
        x: Tensor = self.decoder(code)
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Return the reconstruction."""
        return self.decode(self.encode(x))


def dense_autoencoder(
    sizes: Sequence[int] = (784, 128, 64, 32),
    image_size: Sequence[int] = (1, 28, 28),
    *,
    activation: Callable[[], nn.Module] = nn.ReLU,
    code_activation: Callable[[], nn.Module] = nn.Identity,
    output_activation: Callable[[], nn.Module] = nn.Sigmoid,
) -> Autoencoder:
    """Return a fully connected auto-encoder of images; the decoder mirrors the encoder.

    Args:
        sizes: pixels, hidden layers, code.
        image_size: of one image; its product is the first size.
        activation: of the hidden layers.
        code_activation: of the code.
        output_activation: of the pixels.

    Raises:
        ValueError: the sizes are wrong, or the first is not the number of pixels.

    Example:
        >>> model = dense_autoencoder((784, 32))
        >>> sum(each.numel() for each in model.parameters())
        50992
    """
    check_pixels("dense_autoencoder", sizes, image_size)
    down = dense_layers("dense_autoencoder", sizes, activation)
    up = dense_layers("dense_autoencoder", sizes[::-1], activation)
    return Autoencoder(
        nn.Sequential(nn.Flatten(), *down, code_activation()),
        nn.Sequential(*up, output_activation(), nn.Unflatten(1, tuple(image_size))),
    )


def check_pixels(model: str, sizes: Sequence[int], image_size: Sequence[int]) -> None:
    """Refuse a first size that is not the number of pixels (ValueError)."""
    if not sizes or math.prod(image_size) != sizes[0]:
        raise ValueError(
            f"{model}: sizes are {tuple(sizes)} for images {tuple(image_size)}, expected the first "
            f"to be {math.prod(image_size)}"
        )


def conv_autoencoder(channels: int = 1, width: int = 16, code_channels: int = 4) -> Autoencoder:
    """Return a convolutional auto-encoder (Masci et al. 2011): (N, channels, H, W), H, W 4-fold.

    Two convolutions of stride 2 lead to a code (N, code_channels, H / 4, W / 4), two transposed
    ones back.

    Raises:
        ValueError: a number is below 1.
    """
    if min(channels, width, code_channels) < 1:
        raise ValueError(
            f"conv_autoencoder: channels, width, code_channels are {channels}, {width}, "
            f"{code_channels}, expected >= 1"
        )
    encoder = nn.Sequential(
        nn.Conv2d(channels, width, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(width, 2 * width, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(2 * width, code_channels, 3, padding=1),
    )
    decoder = nn.Sequential(
        nn.ConvTranspose2d(code_channels, 2 * width, 3, 2, 1, 1),
        nn.ReLU(),
        nn.ConvTranspose2d(2 * width, width, 3, 2, 1, 1),
        nn.ReLU(),
        nn.Conv2d(width, channels, 3, padding=1),
        nn.Sigmoid(),
    )
    return Autoencoder(encoder, decoder)

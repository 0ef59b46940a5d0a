# SPDX-License-Identifier: Apache-2.0
"""Generators that are told a kind, and put it beside what they draw, for the discriminator.

Both nets get the kind as ``kinds`` values of which one is 1: beside noise and pixels where layers
are dense, as planes beside the image where they convolve.
"""

from __future__ import annotations

from collections.abc import Callable

from gradsmith import models, nn
from gradsmith.nn import functional as F
from gradsmith.ops.joining import cat
from gradsmith.ops.random import randint, randn
from gradsmith.recipes.gans import perceptrons
from gradsmith.tensor import Tensor

LATENT = perceptrons.LATENT


class Conditional(nn.Module):
    """Requests (N, LATENT + kinds) -> images beside their kinds, as `beside` has them."""

    def __init__(self, net: nn.Module) -> None:
        """Keep the net that draws images (N, 1, H, W)."""
        super().__init__()
        self.net = net

    def forward(self, request: Tensor) -> Tensor:
        """Return what the discriminator sees."""
        return beside(self.net(request), request[:, LATENT:])


def beside(images: Tensor, ones: Tensor) -> Tensor:
    """Return images (N, 1, H, W) and a plane of each of the values (N, K): (N, 1 + K, H, W)."""
    return cat([images, ones[:, :, None, None].expand(-1, -1, *images.shape[2:])], 1)


def requests(kinds: Tensor, count: int) -> Tensor:
    """Return noise beside kinds (N,), of which there are ``count``."""
    ones = F.one_hot(kinds, count).float()
    return cat([randn(len(kinds), LATENT).to(kinds.device), ones], 1)


def requests_like(kinds: Tensor, count: int) -> Callable[[int], Tensor]:
    """Return a function from a number to as many requests, of kinds as often as given ones."""

    def draw(number: int) -> Tensor:
        return requests(kinds[randint(0, len(kinds), (number,)).to(kinds.device)], count)

    return draw


def convolutional_nets(kinds: int, size: int, width: int) -> tuple[Conditional, nn.Module]:
    """Return generator and discriminator of the DCGAN for images of a size."""
    net = models.DCGANGenerator(LATENT + kinds, 1, size, width)
    return Conditional(net), models.DCGANDiscriminator(1 + kinds, size, width)

# SPDX-License-Identifier: Apache-2.0
"""What the recipes share whose units compete for the inputs."""

from __future__ import annotations

from gradsmith import nn
from gradsmith.autograd import no_grad
from gradsmith.nn import functional as F
from gradsmith.ops.joining import stack
from gradsmith.tensor import Tensor


def spread_samples(x: Tensor, count: int) -> Tensor:
    """Return samples (count, D) that lie far apart: each the farthest from those before it.

    Gonzalez 1985; the first is the sample nearest to the mean.
    """
    chosen = [x[int(F.rbf(x.mean(0), x).argmin())]]
    for _ in range(count - 1):
        chosen.append(x[int(F.rbf(x, stack(chosen)).amin(1).argmax())])
    return stack(chosen)


def compete(layer: nn.Competitive, x: Tensor, epochs: int, rate: float = 0.5) -> None:
    """Train with all samples at once, at a rate that falls to 0."""
    for epoch in range(epochs):
        layer.update(x, rate * (1 - epoch / epochs))


def start_at(layer: nn.Competitive, weights: Tensor) -> nn.Competitive:
    """Set the weights of a layer, and return it."""
    with no_grad():
        layer.weight.copy_(weights)
    return layer

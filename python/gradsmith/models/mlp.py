# SPDX-License-Identifier: Apache-2.0
"""The multi-layer perceptron, of any sizes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from gradsmith import nn


def mlp(
    sizes: Sequence[int],
    activation: Callable[[], nn.Module] = nn.ReLU,
    *,
    batch_norm: bool = False,
    dropout: float = 0.0,
) -> nn.Sequential:
    """Return linear layers of these sizes, with an activation between each two.

    >>> [type(layer).__name__ for layer in mlp([784, 100, 10])]
    ['Linear', 'ReLU', 'Linear']

    Args:
        sizes: of the input, the hidden layers and the output.
        activation: makes the activation, without arguments.
        batch_norm: normalise what goes into each activation (Ioffe and Szegedy 2015).
        dropout: share of hidden units left out in training (Srivastava et al. 2014).

    Raises:
        ValueError: there are fewer than two sizes, or one is not positive.
    """
    if len(sizes) < 2:
        raise ValueError(f"mlp: sizes are {list(sizes)}, expected those of input and output")
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes[:-1]):
        layers.append(nn.Linear(inputs, outputs))
        if batch_norm:
            layers.append(nn.BatchNorm1d(outputs))
        layers.append(activation())
        if dropout:
            layers.append(nn.Dropout(dropout))
    layers.append(nn.Linear(sizes[-2], sizes[-1]))
    return nn.Sequential(*layers)

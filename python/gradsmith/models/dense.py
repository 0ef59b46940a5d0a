# SPDX-License-Identifier: Apache-2.0
"""Fully connected layers in a row, as several architectures have them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from gradsmith import nn


def dense_layers(
    model: str, sizes: Sequence[int], activation: Callable[[], nn.Module]
) -> list[nn.Module]:
    """Return linear layers between sizes, with an activation after each but the last.

    Raises:
        ValueError: there are fewer than two sizes, or one is below 1.
    """
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(f"{model}: sizes are {tuple(sizes)}, expected two or more, each >= 1")
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), activation()]
    return layers[:-1]

# SPDX-License-Identifier: Apache-2.0
"""Kohonen's self-organising map (1982): competing units on a grid, where neighbours learn too."""

from __future__ import annotations

from gradsmith import nn
from gradsmith.autograd import no_grad
from gradsmith.nn import functional as F
from gradsmith.ops.creation import arange
from gradsmith.ops.joining import stack
from gradsmith.ops.sorting import topk
from gradsmith.tensor import Tensor


class SelfOrganizingMap(nn.Competitive):
    """Vectors (..., in_features) -> 1 for the nearest of the rows x columns units, in row order.

    Attributes:
        weight: (rows * columns, in_features), uniform in [0, 1) at first.
        places: (rows * columns, 2), row and column of each unit.
    """

    places: Tensor

    def __init__(self, in_features: int, rows: int, columns: int) -> None:
        """Make the units; ValueError where a size is not positive."""
        super().__init__(in_features, rows * columns)
        self.rows, self.columns = rows, columns
        numbers = arange(rows * columns)
        places = stack([numbers // columns, numbers % columns], 1).to(self.weight.dtype)
        self.register_buffer("places", places)

    def update(self, input: Tensor, lr: float = 0.1, radius: float = 1.0) -> None:
        """Move units towards the inputs, the more the nearer they are to the winner on the grid.

        ``w_k += lr h_k (x - w_k)`` with ``h_k = exp(-|k - winner|^2 / (2 radius^2))``. Of a batch
        (N, in_features) the moves add up, to no more than lr times the way to their weighted mean.
        """
        with no_grad():
            rows = input.reshape(-1, self.in_features)
            apart = (self._nearest(rows, 1) - self.places).square().sum(-1)
            share = (apart * (-0.5 / radius**2)).exp()
            total = share.sum(0).unsqueeze(1)
            way = share.T @ rows - total * self.weight
            self.weight.add_(way * lr / total.clamp(min=1.0))

    def _nearest(self, rows: Tensor, count: int) -> Tensor:
        """Return the places (N, count, 2) of the nearest units, the nearest first."""
        found = topk(F.rbf(rows, self.weight), count, dim=1, largest=False).indices
        return self.places[found]

    def quantization_error(self, input: Tensor) -> float:
        """Return the mean distance of vectors (N, in_features) from their units."""
        with no_grad():
            return float(F.rbf(input, self.weight).amin(1).sqrt().mean())

    def topographic_error(self, input: Tensor) -> float:
        """Return the share of vectors whose two nearest units do not touch on the grid.

        Units touch along sides and at corners (Kiviluoto 1996).
        """
        with no_grad():
            first, second = self._nearest(input, 2).unbind(1)
            return float(((first - second).abs().amax(1) > 1).float().mean())


def self_organizing_map(in_features: int, rows: int, columns: int) -> SelfOrganizingMap:
    """Return a map with fresh weights."""
    return SelfOrganizingMap(in_features, rows, columns)

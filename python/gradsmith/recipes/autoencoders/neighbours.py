# SPDX-License-Identifier: Apache-2.0
"""Which images or codes lie nearest."""

from __future__ import annotations

from gradsmith.ops.distance import cdist
from gradsmith.tensor import Tensor


def distances(x: Tensor, y: Tensor) -> Tensor:
    """Return the Euclidean distances (N, M) of each of x (N, ...) to each of y (M, ...)."""
    return cdist(x.detach().flatten(1), y.detach().flatten(1))


def nearest(queries: Tensor, codes: Tensor, count: int) -> Tensor:
    """Return the places (N, count) of the nearest codes, the nearest first."""
    return distances(queries, codes).topk(count, 1, largest=False)[1].cpu()


def precision(found: Tensor, labels: Tensor) -> float:
    """Return the share of found classes (N, k) that are those of the queries (N,)."""
    return float((found == labels.unsqueeze(1)).float().mean().item())

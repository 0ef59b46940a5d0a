# SPDX-License-Identifier: Apache-2.0
"""Table lookup: y[...] = weight[ids[...]], weight (V, E). The row `padding_idx` is read as any
other but receives no gradient."""

import numpy as np

from . import Array, Ids


def embedding(ids: Ids, weight: Array, padding_idx: int | None = None) -> Array:
    """ids of any shape -> (*ids.shape, E)."""
    return weight[ids]


def embedding_backward(dy: Array, ids: Ids, weight: Array, padding_idx: int | None = None) -> Array:
    """dweight: the sum of dy over every place where an id stands."""
    dweight = np.zeros_like(weight)
    np.add.at(dweight, ids, dy)
    if padding_idx is not None:
        dweight[padding_idx] = 0
    return dweight


def embedding_bag(
    bags: list[Ids], weight: Array, mode: str, factors: list[Array] | None = None
) -> Array:
    """Sum, mean or maximum of the rows of each bag of ids; zeros for an empty one."""
    y = np.zeros((len(bags), weight.shape[1]))
    for number, ids in enumerate(bags):
        rows = weight[ids]
        if factors is not None:
            rows = rows * factors[number][:, None]
        if len(ids):
            y[number] = {"sum": np.sum, "mean": np.mean, "max": np.max}[mode](rows, axis=0)
    return y

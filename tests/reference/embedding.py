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

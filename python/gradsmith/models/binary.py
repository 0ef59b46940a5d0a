# SPDX-License-Identifier: Apache-2.0
"""What energy models of binary units share."""

from __future__ import annotations

import numpy as np

from gradsmith.ops.creation import from_numpy
from gradsmith.tensor import Tensor

# States that fit into memory, with their energies, whatever the model.
MOST_UNITS = 20


def binary_states(model: str, units: int, like: Tensor) -> Tensor:
    """Return all states (2^units, units) of binary units, with the dtype and device of a tensor.

    Raises:
        ValueError: there are more than 20 units.
    """
    if units > MOST_UNITS:
        raise ValueError(
            f"{model}: exact values need all states of {units} units, at most {MOST_UNITS} can be"
        )
    numbers = np.arange(2**units, dtype=np.int64)[:, None] >> np.arange(units, dtype=np.int64)
    return from_numpy(numbers & 1).to(like.device, like.dtype)


def check_units(model: str, **counts: int) -> None:
    """Refuse numbers of units below 1 (ValueError)."""
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{model}: {name} is {count}, expected at least 1")

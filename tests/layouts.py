# SPDX-License-Identifier: Apache-2.0
"""Views of the elements of an array with other strides, for tests of what reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradsmith.backend import Device, moved
from gradsmith.tensor import Tensor, wrap

# Each takes an array and returns one to move to the device, and the function that gives a view of
# it with the elements of the array and other strides.
Rearranged = tuple[np.ndarray, Callable[[Any], Any]]
LAYOUTS: dict[str, Callable[[np.ndarray], Rearranged]] = {
    "transposed": lambda x: (np.array(x.T, order="C"), lambda array: array.T),
    "sliced": lambda x: _embedded(x, step=2),
    "reversed": lambda x: _reversed(x),
}


def _reversed(x: np.ndarray) -> Rearranged:
    if x.ndim == 0:
        return x, lambda array: array
    return np.ascontiguousarray(x[..., ::-1]), lambda array: array[..., ::-1]


def _embedded(x: np.ndarray, step: int) -> Rearranged:
    """Return x as every second element, from offset 1, of a larger array."""
    big = np.zeros(tuple(size * step + 1 for size in x.shape), dtype=x.dtype)
    places = (*(slice(1, 1 + size * step, step) for size in x.shape), ...)
    big[places] = x
    return big, lambda array: array[places]


def strided_tensors(arrays: list[Any], layout: str, device: Device) -> list[Tensor]:
    pairs = [LAYOUTS[layout](np.asarray(each)) for each in arrays]
    return [wrap(view(moved(base, device))) for base, view in pairs]

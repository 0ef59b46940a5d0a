# SPDX-License-Identifier: Apache-2.0
"""Which shapes the elements of an array can be seen in where they lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


def _complete(wanted: Sequence[int], size: int) -> list[int]:
    """Return the sizes with the one that is -1 filled in, where that is possible."""
    known = math.prod(each for each in wanted if each != -1)
    return [size // known if each == -1 and known else each for each in wanted]


def allows_view(array: Any, wanted: Sequence[int]) -> bool:
    """Return whether an array can take another shape without a copy.

    Dimensions old and new fall into groups of equal products; the old ones of a group have to lie
    as one. True where the sizes do not fit at all.
    """
    old = [each for each in zip(array.shape, array.strides, strict=True) if each[0] != 1]
    new = [each for each in _complete(wanted, array.size) if each != 1]
    if array.size == 0 or math.prod(new) != array.size:
        return True
    i = j = 0
    while i < len(old):
        group, got, asked = i, old[i][0], new[j]
        while got != asked:
            if got < asked:
                i += 1
                got *= old[i][0]
            else:
                j += 1
                asked *= new[j]
        for (_, step), (size, inner) in zip(old[group:i], old[group + 1 : i + 1], strict=True):
            if step != size * inner:
                return False
        i, j = i + 1, j + 1
    return True

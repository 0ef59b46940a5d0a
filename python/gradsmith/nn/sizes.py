# SPDX-License-Identifier: Apache-2.0
"""Checks of the sizes that layers are built with, and the memory of their parameters."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from gradsmith.nn.parameter import Parameter
from gradsmith.ops.creation import empty

# More would only fill the memory with parameters.
_MOST_LAYERS = 10_000


def checked_int(layer: str, argument: str, value: Any, minimum: int = 1) -> int:
    """Return ``value``, an int of at least ``minimum``.

    Raises:
        TypeError: it is no int.
        ValueError: it is smaller.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except (TypeError, ValueError):  # ValueError: a tensor of several elements
        kind = type(value).__name__
        raise TypeError(f"{layer}: {argument} is a {kind}, expected an int") from None
    if number < minimum:
        raise ValueError(f"{layer}: {argument} is {number}, expected at least {minimum}")
    return number


def checked_count_of_layers(layer: str, value: Any) -> int:
    """Return ``value``, an int from 1 to as many layers as a stack may have.

    Raises:
        TypeError: it is no int.
        ValueError: it is out of range.
    """
    number = checked_int(layer, "num_layers", value)
    if number > _MOST_LAYERS:
        raise ValueError(f"{layer}: num_layers is {value}, expected 1 to {_MOST_LAYERS}")
    return number


def checked_tuple(
    layer: str, argument: str, value: int | Sequence[int], n: int, minimum: int = 1
) -> tuple[int, ...]:
    """Return one number per spatial dimension; a single int counts for all of them.

    Raises:
        TypeError: it is no int and no sequence of ints.
        ValueError: there are not ``n`` numbers, or one is smaller than ``minimum``.
    """
    if isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) != n:
            raise ValueError(f"{layer}: {argument} is {tuple(value)}, expected {n} ints")
        return tuple(checked_int(layer, argument, each, minimum) for each in value)
    return (checked_int(layer, argument, value, minimum),) * n


def new_parameter(*shape: int, device: Any = None, dtype: Any = None) -> Parameter:
    """Return a parameter whose values an initialiser has still to write."""
    return Parameter(empty(*shape, device=device, dtype=dtype))

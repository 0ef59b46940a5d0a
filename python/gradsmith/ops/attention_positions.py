# SPDX-License-Identifier: Apache-2.0
"""Positions of a sequence as features: sinusoids that are added, rotations of features."""

from __future__ import annotations

import math
from typing import Any

from gradsmith.backend import float64
from gradsmith.ops.creation import arange
from gradsmith.ops.elementwise import add, mul, sub, to
from gradsmith.ops.elementwise_math import cos, exp, sin
from gradsmith.ops.joining import cat, stack
from gradsmith.ops.options import check_flag, check_int, check_number, names_errors
from gradsmith.ops.shape import reshape, unsqueeze
from gradsmith.ops.shape_pieces import chunk, narrow, unbind
from gradsmith.tensor import Tensor, array_of


def _angles(op: str, first: int, length: int, features: int, base: float, device: Any) -> Tensor:
    """Return ``position / base ** (2 i / features)``, float64 (length, half the features)."""
    if not check_number(op, "base", base) > 0:
        raise ValueError(f"{op}: base is {base}, expected a positive number")
    positions = arange(first, first + length, dtype=float64, device=device)
    pairs = arange((features + 1) // 2, dtype=float64, device=device)
    rates = exp(mul(pairs, -2 * math.log(base) / max(features, 1)))
    return mul(unsqueeze(positions, 1), rates)


@names_errors
def sinusoidal_positions(
    length: int, features: int, base: float = 10000.0, dtype: Any = None, device: Any = None
) -> Tensor:
    """Return (length, features): sin and cos of ``position / base ** (2 i / features)`` in turn.

    This is the positional encoding of Vaswani et al. (2017).

    Raises:
        ValueError: a size is negative, or ``base`` is not positive.
    """
    op = "sinusoidal_positions"
    for name, size in (("length", length), ("features", features)):
        if check_int(op, name, size) < 0:
            raise ValueError(f"{op}: {name} is {size}, expected at least 0")
    angles = _angles(op, 0, length, features, base, device)
    pairs = stack([sin(angles), cos(angles)], 2)
    table = narrow(reshape(pairs, (length, 2 * angles.shape[1])), 1, 0, features)
    return table if dtype is None else to(table, dtype)


@names_errors
def rotary_embedding(
    input: Tensor, offset: int = 0, base: float = 10000.0, interleaved: bool = True
) -> Tensor:
    """Return pairs of features rotated by their position's angle (Su et al. 2021).

    Products of rotated queries and keys depend on the distance of their positions alone.

    Args:
        input: (..., L, E), with E even.
        offset: position of the first row.
        base: pair i turns by ``position / base ** (2 i / E)``.
        interleaved: whether a pair are features 2i and 2i + 1, as in the paper; else they are i
            and E/2 + i.

    Raises:
        ValueError: the input has fewer than 2 dimensions, E is odd or ``base`` is not positive.
        TypeError: the dtype is not floating.
    """
    op = "rotary_embedding"
    shape = array_of(op, input).shape
    if len(shape) < 2 or shape[-1] % 2:
        raise ValueError(f"{op}: input has shape {shape}, expected (..., L, an even number)")
    first = check_int(op, "offset", offset)
    angles = _angles(op, first, shape[-2], shape[-1], base, input.device)
    c, s = (to(each, input.dtype) for each in (cos(angles), sin(angles)))
    if check_flag(op, "interleaved", interleaved):
        a, b = unbind(reshape(input, (*shape[:-1], shape[-1] // 2, 2)), -1)
    else:
        a, b = chunk(input, 2, -1)
    turned = [sub(mul(a, c), mul(b, s)), add(mul(b, c), mul(a, s))]
    return reshape(stack(turned, -1), shape) if interleaved else cat(turned, -1)

# SPDX-License-Identifier: Apache-2.0
"""Comparisons, logic and bits of two tensors with broadcasting, off the tape."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradsmith.backend import EXTENSIONS, bool_, is_array
from gradsmith.tensor import Tensor, array_of, as_array, wrap


def constant_of(name: str, value: Any) -> Any:
    """Return what the kernels take for an operand that is no tensor."""
    if isinstance(value, (bool, int, float)) or type(value) in EXTENSIONS:
        return value
    if is_array(value):
        return as_array(value)
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{name}: got a {type(value).__name__}, expected a tensor or a number")


def operands(name: str, a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """Return two operands as tensors; a number becomes a 0-d one on the other's device.

    Raises:
        TypeError: neither is a tensor, or one is no number.
    """
    if not isinstance(a, Tensor):
        array_of(name, b, "other")
        return wrap(as_array(constant_of(name, a), device=b.device)), b
    if not isinstance(b, Tensor):
        return a, wrap(as_array(constant_of(name, b), device=a.device))
    return a, b


def _compare(name: str, a: Any, b: Any) -> Tensor:
    right = b._array if isinstance(b, Tensor) else constant_of(name, b)
    if isinstance(a, Tensor):
        left = a._array
        extension = EXTENSIONS[type(left)]
    else:
        left = constant_of(name, a)
        extension = EXTENSIONS[type(array_of(name, b, "other"))]
    return wrap(getattr(extension, name)(left, right))


def eq(input: Any, other: Any) -> Tensor:
    """Return ``input == other``, elementwise."""
    return _compare("eq", input, other)


def ne(input: Any, other: Any) -> Tensor:
    """Return ``input != other``, elementwise."""
    return _compare("ne", input, other)


def lt(input: Any, other: Any) -> Tensor:
    """Return ``input < other``, elementwise."""
    return _compare("lt", input, other)


def le(input: Any, other: Any) -> Tensor:
    """Return ``input <= other``, elementwise."""
    return _compare("le", input, other)


def gt(input: Any, other: Any) -> Tensor:
    """Return ``input > other``, elementwise."""
    return _compare("gt", input, other)


def ge(input: Any, other: Any) -> Tensor:
    """Return ``input >= other``, elementwise."""
    return _compare("ge", input, other)


def logical_and(input: Any, other: Any) -> Tensor:
    """Return where both are nonzero."""
    return _compare("logical_and", input, other)


def logical_or(input: Any, other: Any) -> Tensor:
    """Return where either is nonzero."""
    return _compare("logical_or", input, other)


def logical_xor(input: Any, other: Any) -> Tensor:
    """Return where exactly one is nonzero."""
    return _compare("logical_xor", input, other)


def logical_not(input: Tensor) -> Tensor:
    """Return where the input is zero."""
    array_of("logical_not", input)
    return _compare("eq", input, 0)


def isnan(input: Tensor) -> Tensor:
    """Return where the input is NaN."""
    array_of("isnan", input)
    return _compare("ne", input, input)


def isinf(input: Tensor) -> Tensor:
    """Return where the input is infinite."""
    array_of("isinf", input)
    return logical_or(eq(input, math.inf), eq(input, -math.inf))


def isfinite(input: Tensor) -> Tensor:
    """Return where the input is neither NaN nor infinite."""
    array_of("isfinite", input)
    return logical_and(lt(input, math.inf), gt(input, -math.inf))


def isposinf(input: Tensor) -> Tensor:
    """Return where the input is infinity."""
    array_of("isposinf", input)
    return eq(input, math.inf)


def isneginf(input: Tensor) -> Tensor:
    """Return where the input is minus infinity."""
    array_of("isneginf", input)
    return eq(input, -math.inf)


def isreal(input: Tensor) -> Tensor:
    """Return True for every element: there are no complex numbers."""
    array = array_of("isreal", input)
    return wrap(EXTENSIONS[type(array)].full(array.shape, True, bool_))


# ---- bits ----------------------------------------------------------------------------------------


def bitwise_and(input: Any, other: Any) -> Tensor:
    """Return ``input & other`` of integers or bools.

    Raises:
        TypeError: an operand is floating.
    """
    return _compare("bitwise_and", input, other)


def bitwise_or(input: Any, other: Any) -> Tensor:
    """Return ``input | other`` of integers or bools (see `bitwise_and`)."""
    return _compare("bitwise_or", input, other)


def bitwise_xor(input: Any, other: Any) -> Tensor:
    """Return ``input ^ other`` of integers or bools (see `bitwise_and`)."""
    return _compare("bitwise_xor", input, other)


def bitwise_left_shift(input: Any, other: Any) -> Tensor:
    """Return ``input << other`` of integers; 0 where all bits leave.

    Raises:
        TypeError: an operand is not an integer.
    """
    return _compare("bitwise_left_shift", input, other)


def bitwise_right_shift(input: Any, other: Any) -> Tensor:
    """Return ``input >> other`` of integers, which keeps the sign (see `bitwise_left_shift`)."""
    return _compare("bitwise_right_shift", input, other)


def gcd(input: Any, other: Any) -> Tensor:
    """Return the greatest common divisor of integers, >= 0.

    Raises:
        TypeError: an operand is not an integer.
    """
    return _compare("gcd", input, other)


not_equal = ne
less = lt
less_equal = le
greater = gt
greater_equal = ge

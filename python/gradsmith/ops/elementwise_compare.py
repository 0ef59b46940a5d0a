# SPDX-License-Identifier: Apache-2.0
"""Comparisons and logic of two tensors with broadcasting: bool results, off the tape."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradsmith.backend import EXTENSIONS, is_array
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

# SPDX-License-Identifier: Apache-2.0
"""Checks of the options that functions pass on to kernels, and the names in their errors."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np

_P = ParamSpec("_P")
_R = TypeVar("_R")
_KINDS = (IndexError, MemoryError, TypeError, ValueError)


def names_errors(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorate a function built from other ops: its errors begin with its own name.

    What NumPy and Python raise of their own becomes one of the four documented exceptions.
    """
    op = function.__name__

    @wraps(function)
    def named(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return function(*args, **kwargs)
        except (*_KINDS, OverflowError) as error:
            text = str(error)
            if text.startswith(f"{op}:") and type(error) in _KINDS:
                raise
            kind = next((each for each in _KINDS if isinstance(error, each)), ValueError)
            raise kind(text if text.startswith(f"{op}:") else f"{op}: {text}") from error

    return named


def check_number(op: str, argument: str, value: Any) -> float:
    """Return an option that has to be a number, as a float.

    Raises:
        TypeError: it is none; a bool is none either.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise TypeError(f"{op}: {argument} is a {type(value).__name__}, expected a number")
    return float(value)


def check_int(op: str, argument: str, value: Any) -> int:
    """Return an option that has to be an integer of 64 bits.

    Raises:
        TypeError: it is no integer; a bool is none either.
        ValueError: it does not fit.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{op}: {argument} is a {type(value).__name__}, expected an int")
    if not -(2**63) <= value < 2**63:
        raise ValueError(f"{op}: {argument} is {value}, expected an int of 64 bits")
    return int(value)


def check_flag(op: str, argument: str, value: Any) -> bool:
    """Return an option that has to be True or False.

    Raises:
        TypeError: it is neither.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{op}: {argument} is a {type(value).__name__}, expected a bool")
    return bool(value)


def check_sizes(
    op: str, argument: str, value: Any, count: int, minimum: int = 1
) -> tuple[int, ...]:
    """Return ``count`` ints of at least ``minimum``; a single int counts for all of them.

    Raises:
        TypeError: it is no int and no sequence of ints.
        ValueError: there are not as many, or one is smaller.
    """
    given = tuple(value) if isinstance(value, (tuple, list)) else (value,) * count
    if len(given) != count:
        raise ValueError(f"{op}: {argument} is {value}, expected {count} ints")
    numbers = tuple(check_int(op, argument, each) for each in given)
    if min(numbers, default=minimum) < minimum:
        raise ValueError(f"{op}: {argument} is {value}, expected at least {minimum}")
    return numbers

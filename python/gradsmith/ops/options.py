# SPDX-License-Identifier: Apache-2.0
"""Checks of the options that functions pass on to kernels."""

from __future__ import annotations

from typing import Any

import numpy as np


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

# SPDX-License-Identifier: Apache-2.0
"""Checks of hyper-parameters."""

from __future__ import annotations

import math
from typing import Any

from gradsmith.ops import options

FLAGS = ("amsgrad", "centered", "decoupled_weight_decay", "maximize", "nesterov")


def check_number(owner: str, name: str, value: Any, low: float = 0.0) -> None:
    """Refuse a hyper-parameter that is no number of at least ``low``.

    Raises:
        TypeError: it is no number.
        ValueError: it is too small, infinite or NaN.
    """
    if not low <= options.check_number(owner, name, value) < math.inf:
        raise ValueError(f"{owner}: {name} is {value}, expected a number of at least {low:g}")


def check_fraction(owner: str, name: str, value: Any) -> None:
    """Refuse a decay rate outside [0, 1).

    Raises:
        TypeError: it is no number.
        ValueError: it is out of range.
    """
    check_number(owner, name, value)
    if not value < 1:
        raise ValueError(f"{owner}: {name} is {value}, expected 0 <= {name} < 1")


def check_betas(owner: str, betas: Any) -> None:
    """Refuse anything but two decay rates in [0, 1).

    Raises:
        TypeError: one is no number.
        ValueError: one is out of range, or there are not two.
    """
    if not isinstance(betas, (tuple, list)) or len(betas) != 2:
        raise ValueError(f"{owner}: betas is {betas!r}, expected two numbers")
    for number, beta in enumerate(betas):
        check_fraction(owner, f"betas[{number}]", beta)


def check_count(owner: str, name: str, value: Any) -> None:
    """Refuse anything but an int of at least 1.

    Raises:
        TypeError: it is no int.
        ValueError: it is below 1.
    """
    if options.check_int(owner, name, value) < 1:
        raise ValueError(f"{owner}: {name} is {value}, expected at least 1")

# SPDX-License-Identifier: Apache-2.0
"""Options of recipes that are one of several names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from gradsmith.recipes.run import Run

T = TypeVar("T")


def chosen(run: Run, name: str, known: Mapping[str, T]) -> T:
    """Return what an option stands for (ValueError naming the values it may have)."""
    value = run.option(name)
    if value not in known:
        raise ValueError(f"option {name} is {value!r}, expected one of {', '.join(known)}")
    return known[value]

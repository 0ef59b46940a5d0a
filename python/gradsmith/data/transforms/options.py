# SPDX-License-Identifier: Apache-2.0
"""Checks of the options of transforms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradsmith.backend import Array
from gradsmith.data.keyed_random import sample_generator
from gradsmith.ops.options import check_int, check_number

Interval = tuple[float, float]
Level = float | Sequence[float]


def check_probability(op: str, p: Any) -> float:
    """Return a probability; ValueError unless it lies in [0, 1]."""
    if not 0 <= check_number(op, "p", p) <= 1:
        raise ValueError(f"{op}: p is {p}, expected 0 <= p <= 1")
    return float(p)


def check_choice(op: str, name: str, value: Any, known: Sequence[str]) -> str:
    """Return one of the words that an option may be; ValueError for another."""
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{op}: {name} is {value!r}, expected one of {tuple(known)}")
    return value


def numbers(op: str, name: str, value: Any) -> tuple[float, ...]:
    """Return a sequence of finite numbers; TypeError if it is none."""
    if not isinstance(value, (list, tuple, np.ndarray)):
        kind = type(value).__name__
        raise TypeError(f"{op}: {name} is a {kind}, expected a sequence of numbers")
    found = tuple(check_number(op, name, each) for each in value)
    if not all(math.isfinite(each) for each in found):
        raise ValueError(f"{op}: {name} is {value}, expected finite numbers")
    return found


def interval(
    op: str, name: str, value: Any, least: float = -math.inf, most: float = math.inf
) -> Interval:
    """Return (low, high); ValueError unless least <= low <= high <= most."""
    pair = numbers(op, name, value)
    if len(pair) != 2 or not least <= pair[0] <= pair[1] <= most:
        raise ValueError(
            f"{op}: {name} is {value}, expected (low, high) with {least} <= low <= high <= {most}"
        )
    return pair[0], pair[1]


def spread(
    op: str,
    name: str,
    value: Any,
    centre: float = 0.0,
    least: float = -math.inf,
    most: float = math.inf,
) -> Interval:
    """Return (low, high), where a number d stands for all that is at most d away from centre."""
    if isinstance(value, (list, tuple, np.ndarray)):
        return interval(op, name, value, least, most)
    distance = check_number(op, name, value)
    low, high = max(least, centre - distance), centre + distance
    if not 0 <= distance < math.inf or not high <= most:
        raise ValueError(f"{op}: {name} is {value}, expected a number from 0 to {most - centre}")
    return low, high


def size_pair(op: str, name: str, value: Any) -> tuple[int, int]:
    """Return (height, width), where an int stands for both; ValueError if one is below 1."""
    pair = tuple(value) if isinstance(value, (list, tuple)) else (value, value)
    if len(pair) != 2 or min(check_int(op, name, each) for each in pair) < 1:
        raise ValueError(f"{op}: {name} is {value}, expected (height, width), each at least 1")
    return int(pair[0]), int(pair[1])


def level(op: str, name: str, value: Any) -> Level:
    """Return the level of a pixel: a number, or one for each channel."""
    if isinstance(value, (list, tuple, np.ndarray)):
        return numbers(op, name, value)
    return numbers(op, name, (value,))[0]


def check_channels(op: str, name: str, levels: Level, pixels: Array) -> None:
    """Raise ValueError unless there is one level, or one for each channel."""
    if not isinstance(levels, (int, float)) and len(levels) != pixels.shape[2]:
        channels = pixels.shape[2]
        raise ValueError(f"{op}: {name} has {len(levels)} levels, the image {channels} channels")


def drawn(limits: Interval) -> float:
    """Return a number drawn uniformly between two."""
    return float(sample_generator().uniform(*limits))

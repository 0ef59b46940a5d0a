# SPDX-License-Identifier: Apache-2.0
"""What the searches share: the result, counting, the box, random numbers, checks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from gradsmith.optim.options import check_count, check_number
from gradsmith.random import default_generator

Point: TypeAlias = npt.NDArray[Any]
Function: TypeAlias = Callable[[Point], Any]
Neighbour: TypeAlias = Callable[[Point, np.random.Generator], Any]
Callback: TypeAlias = Callable[[int, Point, float], Any]
Seed: TypeAlias = int | np.random.Generator | None
Bounds: TypeAlias = Sequence[tuple[float, float]] | Point


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        x: the best point.
        value: the function there.
        history: the best value after each iteration.
        evaluations: how often the function was called.
    """

    x: Point
    value: float
    history: list[float]
    evaluations: int


class Record:
    """Evaluates the function, and keeps the best point and the history."""

    def __init__(self, name: str, function: Function, callback: Callback | None) -> None:
        """Take the search's name and what the user gave.

        Raises:
            TypeError: the function or the callback cannot be called.
        """
        for argument, value in (("function", function), ("callback", callback)):
            if not callable(value) and (argument == "function" or value is not None):
                kind = type(value).__name__
                raise TypeError(f"{name}: {argument} is a {kind}, expected a callable")
        self._name = name
        self._function = function
        self._callback = callback
        self._evaluations = 0
        self._history: list[float] = []
        self.x: Point | None = None
        self.value = math.inf

    def evaluate(self, x: Point) -> float:
        """Return the function at a point; NaN counts as infinite.

        Raises:
            TypeError: it returned no number.
        """
        self._evaluations += 1
        result = self._function(np.array(x))
        try:
            value = float(result)
        except (TypeError, ValueError):
            raise TypeError(
                f"{self._name}: the function returned a {type(result).__name__}, expected a number"
            ) from None
        value = math.inf if math.isnan(value) else value
        if self.x is None or value < self.value:
            self.x, self.value = np.array(x), value
        return value

    def evaluate_all(self, points: Point) -> Point:
        """Return the function at each row."""
        return np.array([self.evaluate(each) for each in points])

    def is_over(self) -> bool:
        """Note the end of an iteration; return whether the callback wants to stop."""
        self._history.append(self.value)
        if self._callback is None:
            return False
        assert self.x is not None
        return bool(self._callback(len(self._history) - 1, self.x.copy(), self.value))

    def result(self) -> SearchResult:
        """Return what was found."""
        assert self.x is not None
        return SearchResult(self.x, self.value, self._history, self._evaluations)


def generator_of(name: str, seed: Seed) -> np.random.Generator:
    """Return a generator for a seed; for None one that the library's default generator seeds.

    Raises:
        TypeError: the seed is something else.
        ValueError: it is negative.
    """
    if seed is None:
        return np.random.default_rng(default_generator.take(1))
    if isinstance(seed, np.random.Generator):
        return seed
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        kind = type(seed).__name__
        raise TypeError(f"{name}: seed is a {kind}, expected an int, a NumPy generator or None")
    if seed < 0:
        raise ValueError(f"{name}: seed is {seed}, expected at least 0")
    return np.random.default_rng(seed)


def box_of(name: str, bounds: Any) -> tuple[Point, Point]:
    """Return the lower and the upper bounds.

    Raises:
        ValueError: they are no finite pairs (low, high), or one low lies above its high.
    """
    try:
        box = np.asarray(bounds, np.float64)
    except (TypeError, ValueError):
        box = np.empty(0)
    if box.ndim != 2 or box.shape[1] != 2 or not len(box):
        raise ValueError(f"{name}: bounds is {bounds!r}, expected a pair (low, high) per dimension")
    low, high = box.T
    if not np.isfinite(box).all() or (low > high).any():
        raise ValueError(f"{name}: bounds is {bounds!r}, expected finite pairs with low <= high")
    return low, high


def check_counts(name: str, **counts: Any) -> None:
    """Refuse numbers of iterations and the like that are no int of at least 1."""
    for argument, value in counts.items():
        check_count(name, argument, value)


def check_shares(name: str, **shares: Any) -> None:
    """Refuse probabilities outside [0, 1]."""
    for argument, value in shares.items():
        check_number(name, argument, value)
        if value > 1:
            raise ValueError(f"{name}: {argument} is {value}, expected a number from 0 to 1")

# SPDX-License-Identifier: Apache-2.0
"""Ant colonies on the travelling salesman's problem."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradsmith.optim.options import check_number
from gradsmith.optim.search.common import (
    Callback,
    Point,
    Record,
    SearchResult,
    Seed,
    check_counts,
    check_shares,
    generator_of,
)


def _distances_of(name: str, distances: Any) -> Point:
    matrix = np.asarray(distances, np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) < 2:
        raise ValueError(
            f"{name}: distances has shape {matrix.shape}, expected a square with 2 rows at least"
        )
    if not np.isfinite(matrix).all() or (matrix < 0).any():
        raise ValueError(f"{name}: distances holds negative or infinite numbers, or NaN")
    return matrix


def ant_colony(
    distances: Any,
    *,
    ants: int | None = None,
    iterations: int = 100,
    alpha: float = 1.0,
    beta: float = 5.0,
    evaporation: float = 0.5,
    seed: Seed = None,
    callback: Callback | None = None,
) -> SearchResult:
    """Find a short round trip through all places (Dorigo, Maniezzo and Colorni 1996).

    An ant at i goes on to j with probability proportional to ``trail^alpha / distance^beta``. Then
    all trails evaporate, and each ant adds the inverse length of its tour to the trails it took;
    the best tour so far is walked once more (their elitist ant system).

    Args:
        distances: (n, n), not negative; need not be symmetric.
        ants: tours per iteration, by default n.
        iterations: their number.
        alpha: weight of the trail.
        beta: weight of the distance.
        evaporation: share of the trail that is lost in each iteration.
        seed: an int, a NumPy generator, or None for the library's generator.
        callback: called as ``callback(iteration, best tour, its length)``; True stops the search.

    Returns:
        The tour as ``x``, the n places in order, and its length as ``value``.

    Raises:
        TypeError, ValueError: an argument is not of the kind or in the range above.
    """
    name = "ant_colony"
    matrix = _distances_of(name, distances)
    count = len(matrix) if ants is None else ants
    check_counts(name, ants=count, iterations=iterations)
    for argument, value in (("alpha", alpha), ("beta", beta)):
        check_number(name, argument, value)
    check_shares(name, evaporation=evaporation)
    random = generator_of(name, seed)
    record = Record(name, lambda tour: matrix[tour, np.roll(tour, -1)].sum(), callback)
    # Two places at the same spot attract as strongly as the nearest other pair, a thousandfold.
    smallest = matrix[matrix > 0].min(initial=np.inf)
    floor = smallest / 1000 if np.isfinite(smallest) else 1.0
    attraction = np.maximum(matrix, floor) ** -beta
    trail = np.ones_like(matrix)
    for _ in range(iterations):
        tours = _walk(random, trail**alpha * attraction, count)
        lengths = record.evaluate_all(tours)
        trail *= 1 - evaporation
        assert record.x is not None
        for tour, length in [*zip(tours, lengths, strict=True), (record.x, record.value)]:
            np.add.at(trail, (tour, np.roll(tour, -1)), 1 / max(length, floor))
        trail /= trail.max()
        if record.is_over():
            break
    return record.result()


def _walk(random: np.random.Generator, appeal: Point, ants: int) -> Point:
    """Return one tour per ant, all walked at once."""
    places = len(appeal)
    everyone = np.arange(ants)
    tours = np.empty((ants, places), np.int64)
    tours[:, 0] = random.integers(places, size=ants)
    open_ = np.ones((ants, places), bool)
    for stop in range(1, places):
        here = tours[:, stop - 1]
        open_[everyone, here] = False
        chance = appeal[here]
        # A share of nothing would be NaN where all that is left has no appeal.
        chance = np.where(open_, np.maximum(chance, np.finfo(np.float64).tiny), 0.0)
        reached = chance.cumsum(axis=1)
        drawn = random.random((ants, 1)) * reached[:, -1:]
        tours[:, stop] = (reached > drawn).argmax(axis=1)
    return tours

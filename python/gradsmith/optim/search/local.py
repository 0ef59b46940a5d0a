# SPDX-License-Identifier: Apache-2.0
"""Searches that move from a point to a neighbour: numbers, tours, whatever an array holds."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import numpy as np

from gradsmith.optim.options import check_number
from gradsmith.optim.search.common import (
    Bounds,
    Callback,
    Function,
    Neighbour,
    Point,
    Record,
    SearchResult,
    Seed,
    box_of,
    check_counts,
    generator_of,
)


def _start_of(name: str, start: Any, bounds: Bounds | None, random: np.random.Generator) -> Point:
    if start is not None:
        return np.array(start)
    if bounds is None:
        raise ValueError(f"{name}: got neither start nor bounds, expected one of them at least")
    return random.uniform(*box_of(name, bounds))


def _neighbour_of(
    name: str, neighbour: Neighbour | None, bounds: Bounds | None, start: Point, step: float
) -> Neighbour:
    """Return the user's neighbour function, or normal steps within the box."""
    if neighbour is not None:
        if not callable(neighbour):
            kind = type(neighbour).__name__
            raise TypeError(f"{name}: neighbour is a {kind}, expected a callable")
        return neighbour
    check_number(name, "step", step)
    if start.dtype.kind != "f":
        raise TypeError(
            f"{name}: start holds {start.dtype}, expected floats, or a neighbour function"
        )
    low, high = (-np.inf, np.inf) if bounds is None else box_of(name, bounds)
    width = np.ones_like(start) if bounds is None else np.subtract(high, low)
    if np.shape(width) != start.shape:
        raise ValueError(
            f"{name}: bounds has {len(width)} pairs, expected one for each number of start, whose "
            f"shape is {start.shape}"
        )

    def walk(x: Point, random: np.random.Generator) -> Point:
        return np.clip(x + random.standard_normal(x.shape) * step * width, low, high)

    return walk


def simulated_annealing(
    function: Function,
    start: Any = None,
    *,
    bounds: Bounds | None = None,
    neighbour: Neighbour | None = None,
    temperature: float = 1.0,
    cooling: float = 0.995,
    step: float = 0.1,
    iterations: int = 2000,
    seed: Seed = None,
    callback: Callback | None = None,
) -> SearchResult:
    """Minimise by random moves, of which worse ones are taken ever less often.

    A move that costs d more is taken with probability ``exp(-d / T)``; T is multiplied by
    ``cooling`` after each iteration, and so is the default neighbour's step, down to a hundredth
    (Kirkpatrick, Gelatt and Vecchi 1983).

    Args:
        function: takes an array, returns a number.
        start: the first point; drawn from the box by default.
        bounds: a pair (low, high) per number, which default moves stay within.
        neighbour: ``neighbour(x, random)`` returns a point near x; a normal step by default.
        temperature: T at first, in units of the function.
        cooling: its factor, in (0, 1].
        step: deviation of default moves, in widths of the box, or absolute without one.
        iterations: number of moves tried.
        seed: an int, a NumPy generator, or None for the library's generator.
        callback: called as ``callback(iteration, best x, best value)``; True stops the search.

    Raises:
        TypeError, ValueError: an argument is not of the kind or in the range above.
    """
    name = "simulated_annealing"
    check_counts(name, iterations=iterations)
    check_number(name, "temperature", temperature)
    check_number(name, "cooling", cooling)
    if not 0 < cooling <= 1:
        raise ValueError(f"{name}: cooling is {cooling}, expected 0 < cooling <= 1")
    random, record = generator_of(name, seed), Record(name, function, callback)
    x = _start_of(name, start, bounds, random)
    propose = _neighbour_of(name, neighbour, bounds, x, step)
    value = record.evaluate(x)
    heat = 1.0
    for _ in range(iterations):
        trial = np.asarray(propose(x, random))
        if neighbour is None:
            trial = x + (trial - x) * max(heat, 0.01)
        cost = record.evaluate(trial) - value
        if cost <= 0 or random.random() < math.exp(-cost / max(temperature * heat, 1e-300)):
            x, value = trial, value + cost
        heat *= cooling
        if record.is_over():
            break
    return record.result()


def tabu_search(
    function: Function,
    start: Any = None,
    *,
    bounds: Bounds | None = None,
    neighbour: Neighbour | None = None,
    neighbours: int = 20,
    tenure: int = 10,
    radius: float = 0.0,
    step: float = 0.1,
    iterations: int = 200,
    seed: Seed = None,
    callback: Callback | None = None,
) -> SearchResult:
    """Minimise by the best of several moves, also uphill, but never back (Glover 1986).

    Args:
        function: as in `simulated_annealing`.
        start: as there.
        bounds: as there.
        neighbour: as there.
        neighbours: how many are looked at in each iteration.
        tenure: number of last points that are forbidden, unless one is better than the best.
        radius: largest difference in any number at which two points count as the same.
        step: as there.
        iterations: number of moves.
        seed: as there.
        callback: as there.

    Raises:
        TypeError, ValueError: an argument is not of the kind or in the range above.
    """
    name = "tabu_search"
    check_counts(name, neighbours=neighbours, tenure=tenure, iterations=iterations)
    check_number(name, "radius", radius)
    random, record = generator_of(name, seed), Record(name, function, callback)
    x = _start_of(name, start, bounds, random)
    propose = _neighbour_of(name, neighbour, bounds, x, step)
    record.evaluate(x)
    forbidden: deque[Point] = deque([x], maxlen=tenure)
    for _ in range(iterations):
        best_before = record.value
        moves: list[tuple[float, Point]] = []
        for _ in range(neighbours):
            trial = np.asarray(propose(x, random))
            value = record.evaluate(trial)
            is_tabu = any(np.abs(trial - each).max(initial=0.0) <= radius for each in forbidden)
            if value < best_before or not is_tabu:
                moves.append((value, trial))
        if moves:
            x = min(moves, key=lambda move: move[0])[1]
            forbidden.append(x)
        if record.is_over():
            break
    return record.result()


def iterated_local_search(
    function: Function,
    start: Any = None,
    *,
    bounds: Bounds | None = None,
    neighbour: Neighbour | None = None,
    perturb: Neighbour | None = None,
    local_iterations: int = 100,
    step: float = 0.02,
    iterations: int = 30,
    seed: Seed = None,
    callback: Callback | None = None,
) -> SearchResult:
    """Minimise by descents, each from a kick away from the best end so far (Lourenço et al. 2003).

    Args:
        function: as in `simulated_annealing`.
        start: as there.
        bounds: as there.
        neighbour: ``neighbour(x, random)`` returns a point near x; a normal step by default,
            ever shorter within a descent unless it succeeds.
        perturb: the kick, likewise; by default several neighbours in a row, or a step five times
            as long as default ones.
        local_iterations: number of moves tried in a descent; only better ones are taken.
        step: as there.
        iterations: number of descents.
        seed: as there.
        callback: as there.

    Raises:
        TypeError, ValueError: an argument is not of the kind or in the range above.
    """
    name = "iterated_local_search"
    check_counts(name, local_iterations=local_iterations, iterations=iterations)
    random, record = generator_of(name, seed), Record(name, function, callback)
    x = _start_of(name, start, bounds, random)
    propose = _neighbour_of(name, neighbour, bounds, x, step)
    if perturb is None and neighbour is None:
        perturb = _neighbour_of(name, None, bounds, x, 5 * step)
    value = record.evaluate(x)
    for iteration in range(iterations):
        trial = x
        if iteration:
            for _ in range(1 if perturb is not None else 5):
                trial = np.asarray((perturb or propose)(trial, random))
        trial, trial_value = _descend(
            record, propose, trial, random, local_iterations, neighbour is None
        )
        if trial_value <= value:
            x, value = trial, trial_value
        if record.is_over():
            break
    return record.result()


def _descend(
    record: Record,
    propose: Neighbour,
    x: Point,
    random: np.random.Generator,
    moves: int,
    adapts: bool,
) -> tuple[Point, float]:
    """Take every move that is no worse; return the point reached and its value."""
    value, scale = record.evaluate(x), 1.0
    for _ in range(moves):
        trial = np.asarray(propose(x, random))
        if adapts:
            trial = x + (trial - x) * scale
        new = record.evaluate(trial)
        # A fifth of the moves succeeds at this balance (Rechenberg's rule).
        scale = min(1.0, scale * 1.5) if new < value else scale * 0.9
        if new <= value:
            x, value = trial, new
    return x, value

# SPDX-License-Identifier: Apache-2.0
"""Searches of a box by many points at once."""

from __future__ import annotations

import numpy as np

from gradsmith.optim.options import check_number
from gradsmith.optim.search.common import (
    Bounds,
    Callback,
    Function,
    Point,
    Record,
    SearchResult,
    Seed,
    box_of,
    check_counts,
    check_shares,
    generator_of,
)


def random_search(
    function: Function,
    bounds: Bounds,
    *,
    iterations: int = 1000,
    seed: Seed = None,
    callback: Callback | None = None,
) -> SearchResult:
    """Minimise a function over a box by drawing points uniformly.

    Args:
        function: takes an array of one number per dimension, returns a number.
        bounds: a pair (low, high) per dimension.
        iterations: number of points.
        seed: an int, a NumPy generator, or None for the library's generator.
        callback: called as ``callback(iteration, best x, best value)``; True stops the search.

    Raises:
        TypeError, ValueError: an argument is not of the kind or in the range above.
    """
    name = "random_search"
    low, high = box_of(name, bounds)
    check_counts(name, iterations=iterations)
    random, record = generator_of(name, seed), Record(name, function, callback)
    for _ in range(iterations):
        record.evaluate(random.uniform(low, high))
        if record.is_over():
            break
    return record.result()


def genetic_algorithm(
    function: Function,
    bounds: Bounds,
    *,
    population: int = 50,
    iterations: int = 100,
    crossover: float = 0.9,
    mutation: float = 0.1,
    tournament: int = 3,
    elite: int = 1,
    seed: Seed = None,
    callback: Callback | None = None,
) -> SearchResult:
    """Minimise a function over a box by selection, crossover and mutation (Holland 1975).

    Real-valued: a child lies in the box spanned by its parents and half as much on each side
    (BLX-0.5, Eshelman and Schaffer 1993); a mutation is normal, and narrower from generation to
    generation.

    Args:
        function: as in `random_search`.
        bounds: as there.
        population: points per generation, at least 2.
        iterations: number of generations.
        crossover: share of children that have two parents.
        mutation: probability that a number changes.
        tournament: how many points compete to become a parent.
        elite: number of best points that live on, below ``population``.
        seed: as there.
        callback: as there.

    Raises:
        TypeError, ValueError: an argument is not of the kind or in the range above.
    """
    name = "genetic_algorithm"
    low, high = box_of(name, bounds)
    check_counts(name, population=population, iterations=iterations, tournament=tournament)
    check_shares(name, crossover=crossover, mutation=mutation)
    if isinstance(elite, bool) or not isinstance(elite, int) or not 0 <= elite < population:
        raise ValueError(f"{name}: elite is {elite!r}, expected an int from 0 to population - 1")
    random, record = generator_of(name, seed), Record(name, function, callback)
    points = random.uniform(low, high, (population, len(low)))
    values = record.evaluate_all(points)
    children = population - elite
    for iteration in range(iterations):
        rivals = random.integers(population, size=(2, children, tournament))
        winners = np.take_along_axis(rivals, values[rivals].argmin(-1)[..., None], -1)[..., 0]
        mother, father = points[winners]
        share = random.uniform(-0.5, 1.5, mother.shape)
        has_two = random.random((children, 1)) < crossover
        born = np.where(has_two, mother + share * (father - mother), mother)
        width = 0.1 * (high - low) * (1 - iteration / iterations)
        noise = random.standard_normal(born.shape) * width
        born = np.where(random.random(born.shape) < mutation, born + noise, born).clip(low, high)
        best = values.argsort(kind="stable")[:elite]
        points = np.concatenate([points[best], born])
        values = np.concatenate([values[best], record.evaluate_all(born)])
        if record.is_over():
            break
    return record.result()


def differential_evolution(
    function: Function,
    bounds: Bounds,
    *,
    population: int | None = None,
    iterations: int = 200,
    weight: float = 0.7,
    crossover: float = 0.9,
    seed: Seed = None,
    callback: Callback | None = None,
) -> SearchResult:
    """Minimise a function over a box by differences between points (Storn and Price 1997).

    Each point x is tried against a mixture with ``a + weight (b - c)`` of three others, and
    replaced if that is no worse (the variant rand/1/bin).

    Args:
        function: as in `random_search`.
        bounds: as there.
        population: number of points, at least 4; 10 per dimension by default, 20 at least.
        iterations: number of generations.
        weight: factor of the difference.
        crossover: probability that a number comes from the mixture.
        seed: as there.
        callback: as there.

    Raises:
        TypeError, ValueError: an argument is not of the kind or in the range above.

    Example:
        >>> from gradsmith.optim.search import differential_evolution
        >>> found = differential_evolution(lambda x: ((x - 3) ** 2).sum(), [(-9, 9)] * 2, seed=0)
        >>> found.x.round(3).tolist()
        [3.0, 3.0]
    """
    name = "differential_evolution"
    low, high = box_of(name, bounds)
    dimensions = len(low)
    count = max(20, 10 * dimensions) if population is None else population
    check_counts(name, population=count, iterations=iterations)
    if count < 4:
        raise ValueError(f"{name}: population is {count}, expected at least 4")
    check_number(name, "weight", weight)
    check_shares(name, crossover=crossover)
    random, record = generator_of(name, seed), Record(name, function, callback)
    points = random.uniform(low, high, (count, dimensions))
    values = record.evaluate_all(points)
    for _ in range(iterations):
        for i in range(count):
            a, b, c = points[_others(random, count, i)]
            mixed = random.random(dimensions) < crossover
            mixed[random.integers(dimensions)] = True
            trial = np.where(mixed, a + weight * (b - c), points[i]).clip(low, high)
            value = record.evaluate(trial)
            if value <= values[i]:
                points[i], values[i] = trial, value
        if record.is_over():
            break
    return record.result()


def _others(random: np.random.Generator, count: int, own: int) -> Point:
    """Return three different numbers below ``count``, none of them ``own``."""
    drawn = random.choice(count - 1, 3, replace=False)
    return drawn + (drawn >= own)


def particle_swarm(
    function: Function,
    bounds: Bounds,
    *,
    population: int = 30,
    iterations: int = 200,
    inertia: float = 0.7298,
    cognitive: float = 1.4962,
    social: float = 1.4962,
    seed: Seed = None,
    callback: Callback | None = None,
) -> SearchResult:
    """Minimise a function over a box by particles that fly about their best places so far.

    ``v = inertia v + cognitive r1 (own best - x) + social r2 (best of all - x)`` (Kennedy and
    Eberhart 1995, with the constants of Clerc and Kennedy 2002). One that leaves the box stops at
    its wall.

    Args:
        function: as in `random_search`.
        bounds: as there.
        population: number of particles.
        iterations: number of moves of each.
        inertia: share of the velocity that is kept.
        cognitive: pull of a particle's own best place.
        social: pull of the best place of all.
        seed: as there.
        callback: as there.

    Raises:
        TypeError, ValueError: an argument is not of the kind or in the range above.
    """
    name = "particle_swarm"
    low, high = box_of(name, bounds)
    check_counts(name, population=population, iterations=iterations)
    for argument, value in (("inertia", inertia), ("cognitive", cognitive), ("social", social)):
        check_number(name, argument, value)
    random, record = generator_of(name, seed), Record(name, function, callback)
    points = random.uniform(low, high, (population, len(low)))
    velocity = random.uniform(-0.1, 0.1, points.shape) * (high - low)
    best, best_values = points.copy(), record.evaluate_all(points)
    for _ in range(iterations):
        own, common = random.random((2, *points.shape))
        velocity *= inertia
        velocity += cognitive * own * (best - points)
        velocity += social * common * (best[best_values.argmin()] - points)
        moved = points + velocity
        points = moved.clip(low, high)
        velocity[moved != points] = 0.0
        values = record.evaluate_all(points)
        better = values < best_values
        best[better], best_values[better] = points[better], values[better]
        if record.is_over():
            break
    return record.result()

# SPDX-License-Identifier: Apache-2.0
"""Gradient-free searches: known minima, tours by brute force, seeds, errors."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith.optim import search

Search = Callable[..., search.SearchResult]


def sphere(x: Any) -> float:
    return float(((x - 1.5) ** 2).sum())


def rastrigin(x: Any) -> float:
    return float(10 * len(x) + (x**2 - 10 * np.cos(2 * np.pi * x)).sum())


def rosenbrock(x: Any) -> float:
    return float((100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum())


BOX = [(-5.12, 5.12)] * 2
PLACES = np.random.default_rng(0).random((8, 2))
DISTANCES = np.linalg.norm(PLACES[:, None] - PLACES[None], axis=-1)


def length(tour: Any) -> float:
    return float(DISTANCES[tour, np.roll(tour, -1)].sum())


SHORTEST = min(length(np.array([0, *rest])) for rest in itertools.permutations(range(1, 8)))


def reversal(tour: Any, random: np.random.Generator) -> Any:
    first, last = sorted(random.choice(len(tour), 2, replace=False))
    changed = tour.copy()
    changed[first : last + 1] = tour[first : last + 1][::-1]
    return changed


# search: (box argument, extra options for a short run)
BOXED: dict[str, dict[str, Any]] = {
    "random_search": {"iterations": 20},
    "genetic_algorithm": {"iterations": 3, "population": 8},
    "differential_evolution": {"iterations": 3, "population": 6},
    "particle_swarm": {"iterations": 3, "population": 5},
    "simulated_annealing": {"iterations": 20},
    "tabu_search": {"iterations": 4, "neighbours": 5},
    "iterated_local_search": {"iterations": 3, "local_iterations": 6},
}
MOVING = ("simulated_annealing", "tabu_search", "iterated_local_search")


def run(name: str, function: Any, bounds: Any = BOX, **options: Any) -> search.SearchResult:
    found: Search = getattr(search, name)
    if name in MOVING:
        return found(function, bounds=bounds, **options)
    return found(function, bounds, **options)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("name", "function", "minimum", "tolerance"),
    [
        ("random_search", sphere, 1.5, 0.5),
        ("genetic_algorithm", sphere, 1.5, 1e-3),
        ("genetic_algorithm", rastrigin, 0.0, 1e-2),
        ("differential_evolution", rastrigin, 0.0, 1e-6),
        ("differential_evolution", rosenbrock, 1.0, 1e-6),
        ("particle_swarm", rastrigin, 0.0, 1e-4),
        ("particle_swarm", rosenbrock, 1.0, 0.05),
        ("simulated_annealing", sphere, 1.5, 0.02),
        ("simulated_annealing", rosenbrock, 1.0, 0.4),
        ("tabu_search", sphere, 1.5, 0.2),
        ("iterated_local_search", sphere, 1.5, 0.02),
        ("iterated_local_search", rastrigin, 0.0, 0.1),
    ],
)
def test_known_minima(
    name: str, function: Any, minimum: float, tolerance: float, seed: int
) -> None:
    found = run(name, function, seed=seed)
    np.testing.assert_allclose(found.x, minimum, atol=tolerance)
    assert found.value == function(found.x)


@pytest.mark.parametrize("name", MOVING)
def test_moves_of_a_tour(name: str) -> None:
    found = getattr(search, name)(length, np.arange(8), neighbour=reversal, seed=0)
    assert sorted(found.x) == list(range(8))
    assert found.value == pytest.approx(SHORTEST)


def test_ants_find_the_shortest_tour() -> None:
    found = search.ant_colony(DISTANCES, iterations=60, seed=1)
    assert sorted(found.x) == list(range(8))
    assert found.value == pytest.approx(SHORTEST)
    assert found.evaluations == 8 * 60
    one_way = np.full((5, 5), 9.0)
    one_way[np.arange(5), (np.arange(5) + 1) % 5] = 1.0
    assert search.ant_colony(one_way, seed=0).value == 5
    assert search.ant_colony(np.zeros((3, 3)), iterations=2, seed=0).value == 0


@pytest.mark.parametrize("name", BOXED)
def test_results_are_consistent_and_follow_the_seed(name: str) -> None:
    seen: list[Any] = []
    calls: list[Any] = []

    def function(x: Any) -> float:
        assert x.shape == (2,)
        assert (np.abs(x) <= 5.12).all()
        calls.append(x.copy())
        value = rastrigin(x)
        x[:] = np.nan  # the point is the function's own copy
        return value

    def note(iteration: int, x: Any, value: float) -> None:
        seen.append((iteration, x.tolist(), value))

    options = BOXED[name]
    found = run(name, function, seed=5, callback=note, **options)
    values = [rastrigin(x) for x in calls]
    assert found.evaluations == len(calls)
    assert found.value == min(values) == found.history[-1]
    assert found.x.tolist() == calls[int(np.argmin(values))].tolist()
    assert found.history == sorted(found.history, reverse=True)
    assert [each[0] for each in seen] == list(range(options["iterations"]))
    assert [each[2] for each in seen] == found.history
    again = run(name, rastrigin, seed=np.random.default_rng(5), **options)
    assert (again.x.tolist(), again.history) == (found.x.tolist(), found.history)
    assert run(name, rastrigin, seed=6, **options).history != found.history
    drawn = []
    for seed in (3, 3, 4):
        gs.manual_seed(seed)
        drawn.append(run(name, rastrigin, **options).history)
    assert drawn[0] == drawn[1] != drawn[2]
    stopped = run(name, rastrigin, seed=5, callback=lambda i, x, v: i == 1, **options)
    assert stopped.history == found.history[:2]


@pytest.mark.parametrize("name", BOXED)
def test_nan_is_never_best(name: str) -> None:
    found = run(name, lambda x: x[0] if x[0] > 0 else np.nan, seed=0, **BOXED[name])
    assert found.value >= 0


def test_tabu_points_are_left() -> None:
    """On a plateau with one way back, the search goes on instead of turning round."""
    visited: list[int] = []

    def function(x: Any) -> float:
        return float(-abs(x[0] - 3))

    def step(x: Any, random: np.random.Generator) -> Any:
        return np.clip(x + random.choice([-1, 1], x.shape), 0, 20)

    search.tabu_search(
        function,
        [5],
        neighbour=step,
        tenure=30,
        iterations=12,
        seed=0,
        callback=lambda i, x, v: visited.append(int(x[0])),
    )
    assert visited[-1] >= 15


E: list[tuple[Any, type[Exception], str]] = [
    (lambda: search.random_search(3, BOX), TypeError, "function is a int"),
    (lambda: search.random_search(sphere, BOX, callback=3), TypeError, "callback is a int"),
    (lambda: search.random_search(sphere, [1, 2]), ValueError, "bounds is"),
    (lambda: search.random_search(sphere, [(1, 0)]), ValueError, "low <= high"),
    (lambda: search.random_search(sphere, [(0, np.inf)]), ValueError, "finite"),
    (lambda: search.random_search(sphere, BOX, iterations=0), ValueError, "iterations is 0"),
    (lambda: search.random_search(sphere, BOX, seed=-1), ValueError, "seed is -1"),
    (lambda: search.random_search(sphere, BOX, seed=1.5), TypeError, "seed is a float"),
    (lambda: search.random_search(lambda x: "a", BOX), TypeError, "returned a str"),
    (lambda: search.genetic_algorithm(sphere, BOX, mutation=2), ValueError, "mutation is 2"),
    (lambda: search.genetic_algorithm(sphere, BOX, elite=50), ValueError, "elite is 50"),
    (lambda: search.differential_evolution(sphere, BOX, population=3), ValueError, "at least 4"),
    (lambda: search.differential_evolution(sphere, BOX, weight=-1), ValueError, "weight is -1"),
    (lambda: search.particle_swarm(sphere, BOX, inertia="a"), TypeError, "inertia is a str"),
    (lambda: search.simulated_annealing(sphere), ValueError, "neither start nor bounds"),
    (lambda: search.simulated_annealing(sphere, [1, 2]), TypeError, "start holds int64"),
    (lambda: search.simulated_annealing(sphere, [1.0], bounds=BOX), ValueError, "2 pairs"),
    (lambda: search.simulated_annealing(sphere, [1.0], cooling=1.5), ValueError, "cooling is 1.5"),
    (lambda: search.tabu_search(sphere, [1.0], neighbour=3), TypeError, "neighbour is a int"),
    (lambda: search.tabu_search(sphere, [1.0], tenure=0), ValueError, "tenure is 0"),
    (lambda: search.iterated_local_search(sphere, [1.0], step=-1), ValueError, "step is -1"),
    (lambda: search.ant_colony(np.zeros((2, 3))), ValueError, r"shape \(2, 3\)"),
    (lambda: search.ant_colony(-DISTANCES), ValueError, "negative"),
    (lambda: search.ant_colony(DISTANCES, evaporation=2), ValueError, "evaporation is 2"),
]


@pytest.mark.parametrize(("call", "error", "message"), E)
def test_errors(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()

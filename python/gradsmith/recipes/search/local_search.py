# SPDX-License-Identifier: Apache-2.0
"""Simulated annealing, tabu search and iterated local search escape from dents.

All move from a point to a neighbour. Annealing also takes a move that costs d with probability
``exp(-d / T)``, while T falls (Kirkpatrick, Gelatt and Vecchi 1983); tabu search takes the best of
several moves, but not back to the last points (Glover 1986); iterated local search descends, and
jumps away from where it got stuck (Lourenço et al. 2003). A plain descent is the yardstick. In the
plane a neighbour is a small step; of a round trip it is one with a part run backwards.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradsmith.optim import search
from gradsmith.optim.search import SearchResult
from gradsmith.recipes.run import Run
from gradsmith.recipes.search import tours
from gradsmith.recipes.search.functions import (
    SURFACES,
    TRACE_CAPTION,
    Tracer,
    plot_search,
)
from gradsmith.viz import canvas

CIRCLE = 20
# Of Rastrigin's function; between two dents it is about 20 higher.
HEAT = 5.0

# Moves in one descent, in the plane and of round trips.
MOVES, TOUR_MOVES = 60, 400


def _anneal(function: Any, count: int, moves: int, heat: float, **options: Any) -> SearchResult:
    cooling = 0.01 ** (1 / count)
    return search.simulated_annealing(
        function, temperature=heat, cooling=cooling, step=0.3, iterations=count, **options
    )


def _tabu(function: Any, count: int, moves: int, heat: float, **options: Any) -> SearchResult:
    return search.tabu_search(function, iterations=count // 20, **options)


def _iterate(function: Any, count: int, moves: int, heat: float, **options: Any) -> SearchResult:
    return search.iterated_local_search(
        function, local_iterations=moves, iterations=count // moves, **options
    )


def _descend(function: Any, count: int, moves: int, heat: float, **options: Any) -> SearchResult:
    return _iterate(function, count, count, heat, **options)


# Name -> search with about a number of evaluations.
METHODS: dict[str, Callable[..., SearchResult]] = {
    "annealing": _anneal,
    "tabu search": _tabu,
    "iterated local search": _iterate,
    "descent": _descend,
}
SEARCHES = [name for name in METHODS if name != "descent"]


def main(run: Run) -> None:
    """Search the plane, a circle and a square."""
    seeds = range(run.seed, run.seed + run.choose(full=11, quick=3))
    _search_plane(run, run.choose(full=4000, quick=2000), seeds)
    _search_tours(run, run.epochs(full=40000, quick=6000))


def _search_plane(run: Run, count: int, seeds: range) -> None:
    function, reach = SURFACES["rastrigin"]
    box = [(-reach, reach)] * 2
    medians = {}
    for method, minimise in METHODS.items():
        values = [
            minimise(function, count, MOVES, HEAT, bounds=box, seed=seed).value for seed in seeds
        ]
        medians[method] = float(np.median(values))
    for method in SEARCHES:
        run.figure(f"{method}: median on Rastrigin", medians[method], at_most=0.5, quick=1.1)
    run.figure("descent: median on Rastrigin", medians["descent"], at_least=1.5)
    figure, axes = canvas.new_grid(2, 2, 3.6)
    for ax, (method, minimise) in zip(axes.flat, METHODS.items(), strict=True):
        tracer = Tracer(function)
        minimise(tracer, 1000, MOVES, HEAT, bounds=box, seed=run.seed)
        plot_search(method, "rastrigin", tracer, ax)
    run.picture(
        "paths",
        figure,
        TRACE_CAPTION,
    )


def _search_tours(run: Run, count: int) -> None:
    for name, places in (
        ("circle", tours.on_circle(CIRCLE, run.seed)),
        ("square", tours.in_square(30, run.seed)),
    ):
        between = tours.distances(places)
        simple = tours.nearest_neighbour(between)
        shortest = tours.circle_length(CIRCLE) if name == "circle" else None
        yardstick = shortest or tours.length(simple, between)
        start = np.random.default_rng(run.seed).permutation(len(places))
        trips: dict[str, Any] = {"nearest neighbour": simple}
        for method in SEARCHES:
            found = METHODS[method](
                lambda tour, between=between: tours.length(tour, between),
                count,
                TOUR_MOVES,
                0.5,
                start=start,
                neighbour=tours.reverse_a_part,
                seed=run.seed,
            )
            trips[method] = found.x
            text = "shortest" if shortest else "that to nearest neighbours"
            bound = {"at_most": 1.0001 if shortest else 1.0, "quick": 1.15}
            run.figure(f"{method}: {name}, over {text}", found.value / yardstick, **bound)
        run.picture(name, tours.plot_tours(places, trips), f"Round trips on the {name}.")

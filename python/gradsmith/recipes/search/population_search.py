# SPDX-License-Identifier: Apache-2.0
"""Genetic algorithm, differential evolution and particle swarm among the dents of Rastrigin.

Each keeps many points on ``10 n + sum x_i^2 - 10 cos(2 pi x_i)``: a genetic algorithm breeds the
better ones (Holland 1975), differential evolution adds differences of points to points, ``a + F (b
- c)`` (Storn and Price 1997), particles fly about the best places seen (Kennedy and Eberhart 1995).
Random search with as many evaluations is the yardstick.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from gradsmith.optim import search
from gradsmith.optim.search import SearchResult
from gradsmith.recipes.run import Run
from gradsmith.recipes.search.functions import (
    SURFACES,
    TRACE_CAPTION,
    Tracer,
    plot_search,
)
from gradsmith.viz import canvas

OPTIONS = {"dimensions": 5}
POPULATION = 50

METHODS: dict[str, Callable[..., SearchResult]] = {
    "genetic algorithm": search.genetic_algorithm,
    # Numbers of Rastrigin's function can be found one by one: few at a time are exchanged.
    "differential evolution": functools.partial(search.differential_evolution, crossover=0.5),
    "particle swarm": search.particle_swarm,
}
# Largest median value on Rastrigin's function.
AT_MOST = {"genetic algorithm": 0.1, "differential evolution": 1e-3, "particle swarm": 2.5}


def minimise(method: str, function: Any, box: Any, generations: int, seed: int) -> SearchResult:
    """Run a method, or ``"random"`` with as many evaluations."""
    if method == "random":
        return search.random_search(function, box, iterations=POPULATION * generations, seed=seed)
    options = {"population": POPULATION, "iterations": generations, "seed": seed}
    return METHODS[method](function, box, **options)


def main(run: Run) -> None:
    """Compare the methods on three functions, and draw their ways in the plane."""
    dimensions = run.choose(full=run.option("dimensions"), quick=3)
    generations = run.epochs(full=300, quick=150)
    seeds = range(run.seed, run.seed + run.choose(full=7, quick=1))
    surfaces = run.choose(full=list(SURFACES), quick=["rastrigin"])
    rows, found = [], {}
    for surface in surfaces:
        function, reach = SURFACES[surface]
        box = [(-reach, reach)] * dimensions
        for method in run.progress([*METHODS, "random"], surface):
            results = [minimise(method, function, box, generations, seed) for seed in seeds]
            values = [each.value for each in results]
            found[surface, method] = results[0]
            rows.append([surface, method, float(np.median(values)), min(values), max(values)])
    run.table("Values", ["function", "method", "median", "best", "worst"], rows)
    medians = {(row[0], row[1]): row[2] for row in rows}
    for method, most in AT_MOST.items():
        value = medians["rastrigin", method]
        run.figure(f"{method}: median on Rastrigin", value, at_most=most, quick=5)
        share = value / medians["rastrigin", "random"]
        run.figure(f"{method}: against random search", share, at_most=0.5, quick=0.8)
    caption = f"Best value on Rastrigin's function in {dimensions} dimensions."
    run.picture("values", _plot_values(found), caption)
    run.picture(
        "paths",
        _plot_paths(run.seed),
        TRACE_CAPTION,
    )


def _plot_values(found: dict[tuple[str, str], SearchResult]) -> Any:
    ax = canvas.new_axes()
    for (surface, method), result in found.items():
        if surface == "rastrigin":
            evaluations = np.linspace(1, result.evaluations, len(result.history))
            ax.semilogy(evaluations, np.maximum(result.history, 1e-10), label=method)
    ax.set_xlabel("evaluations")
    ax.set_ylabel("best value")
    ax.legend()
    return ax.figure


def _plot_paths(seed: int) -> Any:
    figure, axes = canvas.new_grid(1, len(METHODS), 4.0)
    function, reach = SURFACES["rastrigin"]
    for ax, method in zip(axes[0], METHODS, strict=True):
        tracer = Tracer(function)
        minimise(method, tracer, [(-reach, reach)] * 2, 30, seed)
        plot_search(method, "rastrigin", tracer, ax)
    return figure

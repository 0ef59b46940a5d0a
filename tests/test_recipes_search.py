# SPDX-License-Identifier: Apache-2.0
"""The functions and tours of the search recipes, and their walks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import gradsmith as gs
from gradsmith.recipes.search import tours
from gradsmith.recipes.search.descent_paths import GOAL, METHODS, walk
from gradsmith.recipes.search.functions import (
    LANDSCAPES,
    SURFACES,
    Landscape,
    Tracer,
    ackley,
    rastrigin,
    valley,
)

MINIMA = {"bowl": (0, 0), "rosenbrock": (1, 1), "himmelblau": (3, 2), "beale": (3, 0.5)}


@pytest.mark.parametrize("name", LANDSCAPES)
def test_landscapes_are_0_at_their_minima_and_above_elsewhere(name: str) -> None:
    landscape = LANDSCAPES[name]
    assert landscape.height(*MINIMA[name]) == 0
    x, y = np.meshgrid(*(np.linspace(low, high, 50) for low, high in landscape.bounds))
    assert (landscape.height(x, y) >= 0).all()
    point = gs.tensor([1.5, -0.5], dtype="float64")
    assert landscape.height(point[0], point[1]).item() == pytest.approx(landscape.height(1.5, -0.5))


def test_known_values() -> None:
    assert rastrigin(np.zeros(4)) == 0
    assert rastrigin(np.array([1.0, -2.0])) == pytest.approx(5)
    assert ackley(np.zeros(3)) == pytest.approx(0, abs=1e-12)
    assert valley(np.ones(5)) == 0
    assert valley(np.array([0.0, 2.0])) == 401
    plane = np.ones((2, 3, 4))
    assert all(function(plane).shape == (3, 4) for function, _ in SURFACES.values())


@pytest.mark.parametrize("method", METHODS)
def test_walks_end_at_the_goal(method: str) -> None:
    landscape = Landscape(lambda x, y: x**2 + 2 * y**2, ((-1, 1), (-1, 1)), (0.9, -0.7), 0.1)
    path = walk(method, landscape, 500)
    assert path[0].tolist() == [0.9, -0.7]
    heights = landscape.height(*path.T)
    assert heights[-1] <= GOAL
    assert (heights[:-1] > GOAL).all()


def test_tracer_keeps_points_and_the_best_ones() -> None:
    tracer = Tracer(rastrigin)
    for x in ([3.0, 0.0], [2.0, 0.0], [4.0, 0.0], [0.0, 1.0]):
        tracer(np.array(x))
    assert len(tracer.points) == 4
    assert tracer.best_path().tolist() == [[3, 0], [2, 0], [0, 1]]


def test_lengths_of_tours() -> None:
    square = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    between = tours.distances(square)
    assert tours.length(np.arange(4), between) == pytest.approx(4)
    assert tours.length(np.array([0, 2, 1, 3]), between) == pytest.approx(2 + 2 * 2**0.5)
    line = tours.distances(np.array([[0.0, 0], [5, 0], [1, 0], [-2, 0]]))
    assert tours.nearest_neighbour(line).tolist() == [0, 2, 3, 1]


def test_the_circle_is_its_shortest_trip() -> None:
    between = tours.distances(tours.on_circle(7, seed=3))
    every = (np.array([0, *rest]) for rest in itertools.permutations(range(1, 7)))
    assert min(tours.length(each, between) for each in every) == pytest.approx(
        tours.circle_length(7)
    )


def test_a_reversed_part_changes_two_legs_at_most() -> None:
    random = np.random.default_rng(0)
    tour = np.arange(9)

    def legs(order: np.ndarray) -> set[frozenset[int]]:
        return {frozenset((int(a), int(b))) for a, b in zip(order, np.roll(order, -1), strict=True)}

    for _ in range(50):
        changed = tours.reverse_a_part(tour, random)
        assert sorted(changed) == list(range(9))
        assert len(legs(tour) - legs(changed)) <= 2
    assert tour.tolist() == list(range(9))

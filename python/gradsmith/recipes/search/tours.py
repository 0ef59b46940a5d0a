# SPDX-License-Identifier: Apache-2.0
"""The travelling salesman's problem: places, lengths of round trips, a simple trip, a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gradsmith.backend import Array
from gradsmith.viz import canvas


def on_circle(count: int, seed: int) -> Array:
    """Return places (count, 2) on the unit circle in random order; the shortest trip goes round."""
    angles = np.random.default_rng(seed).permutation(count) * (2 * np.pi / count)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def in_square(count: int, seed: int) -> Array:
    """Return random places (count, 2) in the unit square."""
    return np.random.default_rng(seed).random((count, 2))


def circle_length(count: int) -> float:
    """Return the length of the shortest trip through places on the unit circle."""
    return float(2 * count * np.sin(np.pi / count))


def distances(places: Array) -> Array:
    """Return the distances (N, N) between places (N, 2)."""
    return np.asarray(np.sqrt(((places[:, None] - places[None]) ** 2).sum(-1)))


def length(tour: Array, between: Array) -> float:
    """Return the length of a round trip, the places in order."""
    return float(between[tour, np.roll(tour, -1)].sum())


def nearest_neighbour(between: Array) -> Array:
    """Return the trip from place 0 that always goes on to the nearest open place."""
    tour, left = [0], set(range(1, len(between)))
    while left:
        tour.append(min(left, key=lambda place: float(between[tour[-1], place])))
        left.remove(tour[-1])
    return np.array(tour)


def reverse_a_part(tour: Array, random: np.random.Generator) -> Array:
    """Return a trip with a random part run backwards: two of its legs are other ones (2-opt)."""
    first, last = sorted(random.integers(len(tour) + 1, size=2))
    changed = tour.copy()
    changed[first:last] = tour[first:last][::-1]
    return changed


def plot_tours(places: Array, tours: Mapping[str, Array]) -> Any:
    """Draw round trips side by side, with their lengths."""
    between = distances(places)
    figure, axes = canvas.new_grid(1, len(tours), 3.2)
    for ax, (name, tour) in zip(axes[0], tours.items(), strict=True):
        ax.plot(*places[np.append(tour, tour[0])].T, marker="o", markersize=4)
        ax.set_title(f"{name}: {length(tour, between):.3f}", fontsize=9)
        ax.set_aspect("equal")
    return figure

# SPDX-License-Identifier: Apache-2.0
"""The standard functions that minimisers are tried on. All have their lowest value, 0, inside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradsmith.backend import Array

Bounds = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class Landscape:
    """A smooth function of two variables, for arrays and tensors.

    Attributes:
        height: (x, y) -> values.
        bounds: what to draw.
        start: where paths begin.
        rate: a learning rate for gradient descent.
    """

    height: Callable[[Any, Any], Any]
    bounds: Bounds
    start: tuple[float, float]
    rate: float


def _bowl(x: Any, y: Any) -> Any:
    return x**2 + 10 * y**2


def _rosenbrock(x: Any, y: Any) -> Any:
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def _himmelblau(x: Any, y: Any) -> Any:
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2


def _beale(x: Any, y: Any) -> Any:
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


LANDSCAPES = {
    "bowl": Landscape(_bowl, ((-5, 5), (-2.5, 2.5)), (-4.5, 1.5), 0.09),
    "rosenbrock": Landscape(_rosenbrock, ((-2, 2), (-1, 3)), (-1.2, 1.0), 1e-3),
    "himmelblau": Landscape(_himmelblau, ((-5, 5), (-5, 5)), (-0.5, -1.0), 0.01),
    "beale": Landscape(_beale, ((-1, 4), (-2, 2)), (2.0, -1.0), 2e-3),
}


def rastrigin(x: Array) -> Any:
    """Return ``10 n + sum(x^2 - 10 cos 2 pi x)`` over the first axis: a bowl full of dents."""
    return 10 * len(x) + (x**2 - 10 * np.cos(2 * np.pi * x)).sum(axis=0)


def ackley(x: Array) -> Any:
    """Return Ackley's function over the first axis: a funnel in a plain of small dents."""
    far = np.exp(-0.2 * np.sqrt((x**2).mean(axis=0)))
    return 20 + np.e - 20 * far - np.exp(np.cos(2 * np.pi * x).mean(axis=0))


def valley(x: Array) -> Any:
    """Return Rosenbrock's function over the first axis, lowest where all numbers are 1."""
    return ((1 - x[:-1]) ** 2 + 100 * (x[1:] - x[:-1] ** 2) ** 2).sum(axis=0)


# Name -> function of points (n,) or planes (n, ...), and how far its box reaches to each side.
SURFACES: dict[str, tuple[Callable[[Array], Any], float]] = {
    "rastrigin": (rastrigin, 5.12),
    "ackley": (ackley, 32.768),
    "rosenbrock": (valley, 2.048),
}


TRACE_CAPTION = "Where each looked, from early (blue) to late (yellow); its best points in white."


class Tracer:
    """A function that remembers the points it was asked for, as ``points``."""

    def __init__(self, function: Callable[[Array], Any]) -> None:
        """Keep the function."""
        self.points: list[Array] = []
        self._function = function

    def __call__(self, x: Array) -> float:
        """Return the value at a point."""
        self.points.append(x)
        return float(self._function(x))

    def best_path(self) -> Array:
        """Return the points (steps, n) that were better than all before."""
        values = self._function(np.stack(self.points, axis=1))
        lowest = np.minimum.accumulate(values)
        is_new = np.concatenate([[True], lowest[1:] < lowest[:-1]])
        path: Array = np.stack(self.points)[is_new]
        return path


def plot_search(name: str, surface: str, tracer: Tracer, ax: Any) -> None:
    """Draw where a search looked, and its best points: see ``TRACE_CAPTION``."""
    function, reach = SURFACES[surface]
    line = np.linspace(-reach, reach, 300)
    heights = function(np.stack(np.meshgrid(line, line)))
    extent = (-reach, reach, -reach, reach)
    ax.imshow(heights, extent=extent, origin="lower", cmap="gray", alpha=0.6)
    points = np.stack(tracer.points)
    ax.scatter(*points.T, c=np.arange(len(points)), s=4, cmap="plasma")
    ax.plot(*tracer.best_path().T, color="white", linewidth=1)
    ax.set_xlim(-reach, reach)
    ax.set_ylim(-reach, reach)
    ax.set_title(f"{name}: {len(points)} points", fontsize=9)

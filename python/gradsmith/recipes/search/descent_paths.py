# SPDX-License-Identifier: Apache-2.0
"""Seven minimisers walk over four standard functions.

Gradient descent follows ``-g``, momentum and Adam smooth it; Newton's method steps to the minimum
of the touching quadratic, ``-H^-1 g``; BFGS and L-BFGS build H^-1 from the gradients they meet;
conjugate gradients turn ``-g`` so that one direction does not spoil the last (Nocedal and Wright
2006). Curvature is worth it: where descent needs thousands of steps, these need a few dozen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradsmith import optim, viz
from gradsmith.backend import Array
from gradsmith.ops.creation import tensor
from gradsmith.recipes.run import Run
from gradsmith.recipes.search.functions import LANDSCAPES, Landscape
from gradsmith.tensor import Tensor
from gradsmith.viz import canvas

GOAL = 1e-8
# One line search a step, of so many evaluations.
SEARCH: dict[str, Any] = {"max_iter": 1, "max_eval": 30}

METHODS: dict[str, Callable[[list[Tensor], float], optim.Optimizer]] = {
    "gradient descent": lambda point, rate: optim.GD(point, lr=rate),
    "momentum": lambda point, rate: optim.SGD(point, lr=rate, momentum=0.9),
    "Adam": lambda point, rate: optim.Adam(point, lr=0.1),
    "Newton": lambda point, rate: optim.Newton(point, damping=1e-2, adaptive=True),
    "BFGS": lambda point, rate: optim.BFGS(point, **SEARCH),
    "L-BFGS": lambda point, rate: optim.LBFGS(point, line_search_fn="strong_wolfe", **SEARCH),
    "conjugate gradients": lambda point, rate: optim.ConjugateGradient(point, **SEARCH),
}
# Steps that the slowest function may take.
MOST_STEPS = {"Newton": 60, "BFGS": 60, "L-BFGS": 60, "conjugate gradients": 100}


def walk(method: str, landscape: Landscape, steps: int) -> Array:
    """Return the points (steps + 1, 2) of a minimiser, up to the goal."""
    point = tensor(landscape.start, dtype="float64", requires_grad=True)
    optimizer = METHODS[method]([point], landscape.rate)

    def height() -> Tensor:
        value: Tensor = landscape.height(point[0], point[1])
        return value

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = height()
        loss.backward()
        return loss

    path = [point.detach().numpy().copy()]
    while len(path) <= steps and landscape.height(*path[-1]) > GOAL:
        optimizer.step(height if isinstance(optimizer, optim.Newton) else closure)
        path.append(point.detach().numpy().copy())
    return np.stack(path)


def main(run: Run) -> None:
    """Walk, count steps and draw."""
    steps = run.epochs(full=40000, quick=250)
    chosen = run.choose(full=list(LANDSCAPES), quick=["bowl", "rosenbrock"])
    rows, slowest = [], dict.fromkeys(METHODS, 0)
    for name in chosen:
        landscape, paths = LANDSCAPES[name], {}
        for method in run.progress(METHODS, name):
            path = walk(method, landscape, steps)
            value = float(landscape.height(*path[-1]))
            slowest[method] = max(slowest[method], len(path) - 1)
            rows.append([name, method, len(path) - 1, value])
            paths[method] = path
        picture = viz.plot_optimizer_paths(landscape.height, paths, landscape.bounds)
        run.picture(name, picture, f"Ways down {name}, from {landscape.start}.")
        caption = f"Value on {name} by step: curvature pays."
        run.picture(f"{name}-values", _plot_values(landscape, paths), caption)
    run.table("Steps to a value of 1e-8", ["function", "method", "steps", "value"], rows)
    for method, most in MOST_STEPS.items():
        run.figure(f"{method}: steps on the slowest function", slowest[method], at_most=most)
    reached = [value <= GOAL for _, _, _, value in rows]
    run.figure("share of walks that arrive", np.mean(reached), at_least=1, quick=0.7)


def _plot_values(landscape: Landscape, paths: dict[str, Array]) -> Any:
    ax = canvas.new_axes()
    for method, path in paths.items():
        ax.loglog(np.arange(1, len(path) + 1), landscape.height(*path.T), label=method)
    ax.set_ylim(bottom=GOAL / 10)
    ax.set_xlabel("step")
    ax.set_ylabel("value")
    ax.legend(fontsize=8)
    return ax.figure

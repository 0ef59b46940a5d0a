# SPDX-License-Identifier: Apache-2.0
"""The loss around a minimum, and the ways optimisers take to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gradsmith.autograd import no_grad
from gradsmith.backend import Array
from gradsmith.nn import Module
from gradsmith.nn.module_tree import check_module
from gradsmith.ops import creation
from gradsmith.viz.canvas import as_array, new_axes


def _filter_normalised(weight: Array, rng: np.random.Generator) -> Array:
    """Return a random direction in which every filter is as long as the weight's."""
    direction = rng.standard_normal(weight.shape)
    if weight.ndim < 2:
        return np.zeros_like(direction)  # biases and norms, left out as in the paper
    axes = tuple(range(1, weight.ndim))
    length = np.sqrt(np.sum(weight.astype(np.float64) ** 2, axis=axes, keepdims=True))
    own = np.sqrt(np.sum(direction**2, axis=axes, keepdims=True))
    return np.asarray(direction * length / np.maximum(own, 1e-12))


def plot_loss_surface(
    model: Module,
    loss: Callable[[], Any],
    *,
    span: float = 1.0,
    steps: int = 21,
    seed: int = 0,
    ax: Any = None,
) -> Any:
    """Draw the loss on a plane through the weights, in two random directions.

    The directions are normalised by filters (Li et al., 2018), so that pictures of different
    networks compare. Weights are put back afterwards.

    Args:
        model: whose parameters are moved.
        loss: takes nothing, returns the loss of the model as it stands (a number or tensor).
        span: how far to go, in lengths of the filters.
        steps: points per side.
        seed: of the directions.

    Raises:
        TypeError: the model is no module.
        ValueError: steps < 2 or the model has no parameters.
    """
    check_module("plot_loss_surface", "model", model)
    parameters = list(model.parameters())
    if steps < 2 or not parameters:
        raise ValueError(
            f"plot_loss_surface: steps is {steps}, the model has {len(parameters)} parameters, "
            "expected >= 2 and some"
        )
    rng = np.random.default_rng(seed)
    before = [as_array("plot_loss_surface", "weight", each).copy() for each in parameters]
    ways = [[_filter_normalised(each, rng) for each in before] for _ in range(2)]
    line = np.linspace(-span, span, steps)
    heights = np.empty((steps, steps))
    with no_grad():
        try:
            for row, up in enumerate(line):
                for column, across in enumerate(line):
                    for parameter, start, u, v in zip(parameters, before, *ways, strict=True):
                        moved = (start + across * u + up * v).astype(np.float32)
                        parameter.copy_(creation.from_numpy(moved))
                    heights[row, column] = float(loss())
        finally:
            for parameter, start in zip(parameters, before, strict=True):
                parameter.copy_(creation.from_numpy(start))
    ax = new_axes("plot_loss_surface", ax)
    drawn = ax.contourf(line, line, heights, levels=30, cmap="viridis")
    ax.figure.colorbar(drawn, ax=ax, label="loss")
    ax.plot(0, 0, marker="x", color="red")
    return ax.figure


def plot_optimizer_paths(
    function: Callable[[Array, Array], Array],
    paths: Mapping[str, Any],
    bounds: tuple[tuple[float, float], tuple[float, float]],
    *,
    resolution: int = 200,
    ax: Any = None,
) -> Any:
    """Draw the level lines of a function of two variables and the paths taken over it.

    Args:
        function: takes arrays x and y, returns the values.
        paths: name of an optimiser: its points (steps, 2).
        bounds: ((x low, x high), (y low, y high)).
        resolution: points per side.

    Raises:
        ValueError: a path is not (steps, 2).
    """
    across, up = (np.linspace(low, high, resolution) for low, high in bounds)
    heights = np.asarray(function(*np.meshgrid(across, up)))
    ax = new_axes("plot_optimizer_paths", ax)
    # Level lines close together near the minimum, where the paths are.
    levels = heights.min() + (heights.max() - heights.min()) * np.linspace(0, 1, 25) ** 3
    ax.contour(across, up, heights, levels=np.unique(levels), cmap="viridis", linewidths=0.7)
    for name, path in paths.items():
        points = as_array("plot_optimizer_paths", f"path {name!r}", path, ndim=2)
        if points.shape[1] != 2 or len(points) == 0:
            raise ValueError(
                f"plot_optimizer_paths: path {name!r} has shape {points.shape}, expected (steps, 2)"
            )
        (drawn,) = ax.plot(*points.T, marker=".", markersize=3, linewidth=1, label=name)
        ax.plot(*points[-1], marker="*", markersize=9, color=drawn.get_color())
    ax.set_xlim(bounds[0])
    ax.set_ylim(bounds[1])
    if paths:
        ax.legend(fontsize=8)
    return ax.figure

# SPDX-License-Identifier: Apache-2.0
"""A self-organising map lays vectors out on a grid so that what is alike lies side by side.

The nearest unit and its neighbours on the grid move towards the input, ``w += lr h (x - w)`` with a
Gaussian ``h`` of the distance on the grid; rate and radius fall (Kohonen 1982). The quantisation
error says how well the units stand for the data; the topographic error, for how many inputs the two
nearest units do not touch, whether the grid kept its order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradsmith import viz
from gradsmith.data import DataLoader, TensorDataset
from gradsmith.models import SelfOrganizingMap
from gradsmith.nn import functional as F
from gradsmith.ops.random import rand
from gradsmith.recipes.run import Run
from gradsmith.recipes.scans import scan_rows
from gradsmith.tensor import Tensor
from gradsmith.viz import canvas

BATCH = 10
RATES, LAST_RADIUS = (0.5, 0.02), 0.6


def train(run: Run, chart: SelfOrganizingMap, x: Tensor, epochs: int, stage: str) -> None:
    """Train a map with a rate and a radius that fall geometrically."""
    loader = DataLoader(TensorDataset(x), BATCH, shuffle=True, seed=run.seed)
    first_radius = max(chart.rows, chart.columns) / 2
    for epoch in run.rounds(epochs, {"map": chart, "loader": loader}, stage, stage=stage):
        passed = epoch / max(epochs - 1, 1)
        rate = RATES[0] * (RATES[1] / RATES[0]) ** passed
        radius = first_radius * (LAST_RADIUS / first_radius) ** passed
        for (batch,) in loader:
            chart.update(batch, rate, radius)
        errors = (chart.quantization_error(x), chart.topographic_error(x))
        run.log(**{f"{stage}/quantisation": errors[0], f"{stage}/topographic": errors[1]})


def _tell(run: Run, name: str, before: float, at_most: float, quick: float) -> None:
    """Judge both errors; ``before`` is the topographic one of the untrained map."""
    found = run.history[f"{name}/quantisation"][-1]
    run.figure(f"{name}: quantisation error", found, at_most=at_most, quick=quick)
    torn = run.history[f"{name}/topographic"][-1]
    run.figure(f"{name}: topographic error untrained", before)
    run.figure(f"{name}: topographic error", torn, at_most=0.05)


def main(run: Run) -> None:
    """Unfold a grid over a square, then map digits."""
    device = run.device
    points = rand(1000, 2).to(device)
    square = SelfOrganizingMap(2, 10, 10).to(device)
    before = square.topographic_error(points)
    drawn = [_grid_of(square)]
    train(run, square, points, run.epochs(full=30, quick=8), "square")
    drawn.append(_grid_of(square))
    _tell(run, "square", before, 0.045, 0.05)
    run.picture("square", _plot_grids(points, drawn), "The grid before and after training.")
    images, digits = scan_rows(run, "train")
    chart = SelfOrganizingMap(64, 12, 12).to(device)
    before = chart.topographic_error(images)
    train(run, chart, images, run.epochs(full=30, quick=5), "digits")
    _tell(run, "digits", before, 1.25, 1.4)
    unseen, answers = scan_rows(run, "test")
    guesses = _labels(chart, images, digits)[chart(unseen).argmax(1)]
    right = (guesses == answers).float().mean()
    run.figure("test digits whose unit bears their name", right, at_least=0.9, quick=0.8)
    tiles = viz.image_grid(chart.weight.reshape(-1, 1, 8, 8), columns=chart.columns, padding=1)
    tiles = tiles.repeat(5, axis=0).repeat(5, axis=1)
    run.picture("digits", tiles, "The units' digits: neighbours are alike.")
    run.picture(
        "distances", _plot_distances(chart), "Distance to neighbours: walls between digits."
    )
    run.model(chart, (1, 64))


def _labels(chart: SelfOrganizingMap, x: Tensor, labels: Tensor) -> Tensor:
    """Return for each unit the commonest label of the five samples nearest to it."""
    nearest = F.rbf(chart.weight, x).sort(1).indices[:, :5]
    return F.one_hot(labels[nearest], 10).sum(1).argmax(1)


def _grid_of(chart: SelfOrganizingMap) -> Any:
    weights = chart.weight.cpu().numpy().copy()
    return weights.reshape(chart.rows, chart.columns, -1)


def _plot_grids(points: Tensor, grids: list[Any]) -> Any:
    figure, axes = canvas.new_grid(1, len(grids), 3.5)
    for ax, grid in zip(axes[0], grids, strict=True):
        ax.scatter(*points.cpu().numpy().T, s=2, color="lightgrey")
        for lines in (grid, grid.swapaxes(0, 1)):
            for line in lines:
                ax.plot(*line.T, color="tab:blue", linewidth=1)
    return figure


def _plot_distances(chart: SelfOrganizingMap) -> Any:
    """Draw the mean distance of each unit to those beside it (Ultsch and Siemon 1990)."""
    grid = _grid_of(chart)
    total, count = np.zeros(grid.shape[:2]), np.zeros(grid.shape[:2])
    for axis in (0, 1):
        steps = np.sqrt((np.diff(grid, axis=axis) ** 2).sum(-1))
        for side in ((0, 1), (1, 0)):
            margins = [(0, 0), (0, 0)]
            margins[axis] = side
            total += np.pad(steps, margins)
            count += np.pad(np.ones_like(steps), margins)
    ax = canvas.new_axes()
    ax.figure.colorbar(ax.imshow(total / count, cmap="bone_r"), ax=ax)
    return ax.figure

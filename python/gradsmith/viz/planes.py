# SPDX-License-Identifier: Apache-2.0
"""Pictures of a plane: decisions of a classifier, embeddings, latent codes, a grid world."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradsmith.backend import Array
from gradsmith.ops import creation
from gradsmith.tensor import Tensor
from gradsmith.viz.canvas import as_array, as_pictures, names_of, new_axes, predictions


def classes_of(op: str, output: Tensor) -> Array:
    """Return the classes that scores mean: argmax of (n, C), sign of (n,) or (n, 1) logits."""
    scores = as_array(op, "output", output)
    if scores.ndim == 2 and scores.shape[1] > 1:
        return np.asarray(scores.argmax(axis=1))
    if scores.size != len(scores):
        raise ValueError(
            f"{op}: the model gave shape {scores.shape}, expected (n, C), (n, 1) or (n,)"
        )
    return np.asarray(scores.reshape(-1) > 0).astype(np.int64)


def plot_decision_boundary(
    model: Any,
    x: Any,
    y: Any,
    *,
    resolution: int = 200,
    padding: float = 0.5,
    ax: Any = None,
) -> Any:
    """Draw the classes a model assigns to the plane, and the points it was to learn.

    Args:
        model: takes float32 (n, 2), gives scores (n, C), or logits (n, 1) or (n,) of two classes.
        x: points (n, 2).
        y: their classes (n,).
        resolution: pixels per side.
        padding: how far the picture reaches beyond the points.

    Raises:
        ValueError: x is not (n, 2), y has another length, or the output is none of these.
    """
    points = as_array("plot_decision_boundary", "x", x, ndim=2)
    labels = as_array("plot_decision_boundary", "y", y).reshape(-1)
    if points.shape[1] != 2 or len(points) != len(labels) or len(points) == 0:
        raise ValueError(
            f"plot_decision_boundary: x has shape {points.shape} and y {labels.shape}, expected "
            "(n, 2) and (n,)"
        )
    low, high = points.min(axis=0) - padding, points.max(axis=0) + padding
    across, up = (np.linspace(low[i], high[i], resolution, dtype=np.float32) for i in (0, 1))
    plane = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)
    classes = classes_of("plot_decision_boundary", predictions(model, creation.from_numpy(plane)))
    count = int(max(classes.max(), labels.max())) + 1
    ax = new_axes("plot_decision_boundary", ax)
    picture = classes.reshape(resolution, resolution)
    extent = (low[0], high[0], low[1], high[1])
    limits = {"vmin": -0.5, "vmax": max(count, 2) - 0.5}
    ax.imshow(
        picture, origin="lower", extent=extent, aspect="auto", alpha=0.35, cmap="tab10", **limits
    )
    size = min(90.0, max(14.0, 500 / len(points)))  # few points are drawn large
    ax.scatter(
        *points.T, c=labels, s=size, cmap="tab10", edgecolors="black", linewidths=0.4, **limits
    )
    return ax.figure


def principal_plane(points: Array) -> Array:
    """Return points (n, d) in the plane of their two largest principal components (n, 2)."""
    centred = points - points.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    plane = centred @ directions[:2].T
    return np.pad(plane, ((0, 0), (0, 2 - plane.shape[1])))


def plot_embeddings(
    points: Any, labels: Any = None, names: Sequence[str] | None = None, *, ax: Any = None
) -> Any:
    """Draw points (n, d) in two dimensions; more than two are projected on principal components.

    Args:
        points: (n, d).
        labels: classes (n,), which colour the points.
        names: a text beside each point.

    Raises:
        ValueError: shapes do not match.
    """
    values = as_array("plot_embeddings", "points", points, ndim=2).astype(np.float64)
    if len(values) == 0:
        raise ValueError("plot_embeddings: points are empty")
    plane = values if values.shape[1] == 2 else principal_plane(values)
    ax = new_axes("plot_embeddings", ax)
    if labels is None:
        ax.scatter(*plane.T, s=12)
    else:
        classes = as_array("plot_embeddings", "labels", labels, ndim=1)
        if len(classes) != len(plane):
            raise ValueError(f"plot_embeddings: {len(classes)} labels for {len(plane)} points")
        for each in np.unique(classes):
            ax.scatter(*plane[classes == each].T, s=12, label=str(each))
        ax.legend(fontsize=8)
    if names is not None:
        for name, place in zip(names_of("plot_embeddings", names, len(plane)), plane, strict=True):
            ax.annotate(name, place, fontsize=8)
    return ax.figure


def plot_latent_walk(
    decode: Callable[[Tensor], Tensor],
    *,
    steps: int = 12,
    span: float = 2.0,
    start: Any = None,
    end: Any = None,
    ax: Any = None,
) -> Any:
    """Draw what a decoder makes of a plane of latent codes, or of the line between two.

    Args:
        decode: takes codes (n, d), gives images (n, C, H, W).
        steps: images per side.
        span: without ``start`` and ``end``, two-dimensional codes from -span to span.
        start: first code (d,) of a line.
        end: its last code.

    Raises:
        ValueError: only one of start and end is given, their shapes differ, or steps < 2.
    """
    if steps < 2 or (start is None) != (end is None):
        raise ValueError(
            "plot_latent_walk: expected steps >= 2, and start and end together or neither"
        )
    if start is None:
        line = np.linspace(-span, span, steps, dtype=np.float32)
        codes = np.stack(np.meshgrid(line, line[::-1]), axis=-1).reshape(-1, 2)
        rows = steps
    else:
        first = as_array("plot_latent_walk", "start", start, ndim=1).astype(np.float32)
        last = as_array("plot_latent_walk", "end", end, ndim=1).astype(np.float32)
        if first.shape != last.shape:
            raise ValueError(
                f"plot_latent_walk: start and end have {first.size} and {last.size} values"
            )
        share = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
        codes = first * (1 - share) + last * share
        rows = 1
    images = as_pictures("plot_latent_walk", predictions(decode, creation.from_numpy(codes)))
    ax = new_axes("plot_latent_walk", ax, (6.0, 6.0 * rows / steps + 0.5))
    height, width = images.shape[1:3]
    tiles = images.reshape(rows, steps, height, width, 3).swapaxes(1, 2)
    ax.imshow(tiles.reshape(rows * height, steps * width, 3))
    ax.set_axis_off()
    return ax.figure


# Up, right, down, left: where an arrow points on the picture, whose rows count downwards.
_ARROWS = np.array([(0.0, -0.3), (0.3, 0.0), (0.0, 0.3), (-0.3, 0.0)])


def plot_value_grid(values: Any, policy: Any = None, walls: Any = None, *, ax: Any = None) -> Any:
    """Draw the values of a grid world, with the policy as arrows.

    Args:
        values: (rows, columns).
        policy: (rows, columns) of 0 up, 1 right, 2 down, 3 left; other numbers draw nothing.
        walls: (rows, columns), true where nobody can stand.

    Raises:
        ValueError: a shape is not that of values.
    """
    cells = as_array("plot_value_grid", "values", values, ndim=2).astype(np.float64)
    blocked = np.zeros(cells.shape, bool)
    if walls is not None:
        blocked = as_array("plot_value_grid", "walls", walls, ndim=2).astype(bool)
    actions = np.full(cells.shape, -1)
    if policy is not None:
        actions = as_array("plot_value_grid", "policy", policy, ndim=2)
    if blocked.shape != cells.shape or actions.shape != cells.shape:
        raise ValueError(
            f"plot_value_grid: values have shape {cells.shape}, policy {actions.shape}, walls "
            f"{blocked.shape}, expected one shape"
        )
    ax = new_axes("plot_value_grid", ax, (1.0 + 0.9 * cells.shape[1], 1.0 + 0.9 * cells.shape[0]))
    ax.imshow(np.where(blocked, np.nan, cells), cmap="RdYlGn")
    ax.set_facecolor("dimgrey")
    for (row, column), value in np.ndenumerate(cells):
        if blocked[row, column]:
            continue
        action = int(actions[row, column])
        lift = 0.25 if 0 <= action < 4 else 0.0
        ax.text(column, row + lift, f"{value:.2f}", ha="center", va="center", fontsize=8)
        if 0 <= action < 4:
            step = _ARROWS[action]
            ax.annotate(
                "",
                (column + step[0], row + step[1] - 0.1),
                (column - step[0] * 0.3, row - step[1] * 0.3 - 0.1),
                arrowprops={"arrowstyle": "->"},
            )
    ax.set_xticks([])
    ax.set_yticks([])
    return ax.figure

# SPDX-License-Identifier: Apache-2.0
"""Curves of a training and of a classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gradsmith.viz.canvas import as_array, names_of, new_axes, pyplot


def plot_history(history: Any, metrics: Sequence[str] | None = None) -> Any:
    """Draw loss and metrics over the epochs, training and validation in one plot each.

    Args:
        history: a `History`, or a dict of lists as its ``history`` is.
        metrics: what to draw, without the prefix ``val_``; all by default.

    Raises:
        TypeError: the history is none, nor a dict.
        ValueError: the history is empty or has no such metric.
    """
    curves = getattr(history, "history", history)
    if not isinstance(curves, Mapping):
        raise TypeError(f"plot_history: history is a {type(curves).__name__}, expected a History")
    known = [name for name in curves if not name.startswith("val_")]
    chosen = list(metrics) if metrics is not None else known
    missing = [name for name in chosen if name not in curves]
    if not chosen or missing:
        raise ValueError(f"plot_history: metrics are {missing or 'none'}, the history has {known}")
    figure, axes = pyplot().subplots(
        1, len(chosen), figsize=(4.5 * len(chosen), 3.5), squeeze=False, layout="constrained"
    )
    for ax, name in zip(axes[0], chosen, strict=True):
        for key, label in ((name, "training"), (f"val_{name}", "validation")):
            if key in curves:
                epochs = range(1, len(curves[key]) + 1)
                ax.plot(epochs, curves[key], label=label, marker="." if len(epochs) < 20 else "")
        ax.set_xlabel("epoch")
        ax.set_ylabel(name)
        ax.legend()
    return figure


def plot_curves(
    curves: Mapping[str, Any],
    *,
    points: Any = None,
    xlabel: str = "",
    ylabel: str = "",
    xscale: str = "linear",
    yscale: str = "linear",
    ax: Any = None,
) -> Any:
    """Draw several curves in one plot, with a legend.

    Args:
        curves: name -> values (n,), drawn over 0, 1, ..., or a pair of (n,): across and up.
        points: a pair of (m,), drawn as dots.
        xlabel: text at the axis across.
        ylabel: text at the axis up.
        xscale: ``"linear"`` or ``"log"``.
        yscale: the same, of the axis up.

    Raises:
        TypeError: curves are no dict.
        ValueError: a curve has other dimensions, or its lengths differ.
    """
    if not isinstance(curves, Mapping):
        raise TypeError(f"plot_curves: curves is a {type(curves).__name__}, expected a dict")
    ax = new_axes("plot_curves", ax)
    if points is not None:
        across, up = (as_array("plot_curves", "points", each, ndim=1) for each in points)
        ax.scatter(across, up, s=12, color="black", alpha=0.5)
    if len(curves) > 10:
        ax.set_prop_cycle(color=pyplot().get_cmap("tab20").colors)
    for name, curve in curves.items():
        if isinstance(curve, tuple):
            across, up = (as_array("plot_curves", name, each, ndim=1) for each in curve)
        else:
            up = as_array("plot_curves", name, curve, ndim=1)
            across = np.arange(len(up))
        ax.plot(across, up, label=name)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.set_xscale(xscale)
    ax.set_yscale(yscale)
    if curves:
        ax.legend(fontsize=8)
    return ax.figure


def plot_learning_rates(rates: Any, losses: Any = None, *, ax: Any = None) -> Any:
    """Draw a schedule (rate over steps), or with ``losses`` the loss over the rate, log scale.

    Raises:
        ValueError: the lengths differ or there is nothing to draw.
    """
    values = as_array("plot_learning_rates", "rates", rates, ndim=1)
    if not values.size:
        raise ValueError("plot_learning_rates: rates are empty")
    ax = new_axes("plot_learning_rates", ax)
    if losses is None:
        ax.plot(values)
        ax.set_xlabel("step")
        ax.set_ylabel("learning rate")
        return ax.figure
    height = as_array("plot_learning_rates", "losses", losses, ndim=1)
    if height.shape != values.shape:
        raise ValueError(
            f"plot_learning_rates: {height.size} losses for {values.size} rates, expected as many"
        )
    ax.plot(values, height)
    ax.set_xscale("log")
    ax.set_xlabel("learning rate")
    ax.set_ylabel("loss")
    return ax.figure


def _unit_curve(op: str, x: Any, y: Any, names: tuple[str, str], label: str, ax: Any) -> Any:
    across, up = as_array(op, names[0], x, ndim=1), as_array(op, names[1], y, ndim=1)
    if across.shape != up.shape or across.size < 2:
        raise ValueError(
            f"{op}: {names[0]} and {names[1]} have {across.size} and {up.size} values, expected as "
            "many, two at least"
        )
    ax = new_axes(op, ax)
    ax.plot(across, up, label=label or None)
    ax.set_xlim(-0.01, 1.01)
    ax.set_ylim(-0.01, 1.01)
    ax.set_xlabel(names[0])
    ax.set_ylabel(names[1])
    return ax


def plot_roc(
    false_positive_rate: Any, true_positive_rate: Any, label: str = "", *, ax: Any = None
) -> Any:
    """Draw a receiver operating characteristic with its area, and the diagonal of chance.

    The rates are those of `gradsmith.metrics.roc_curve`; ValueError if their lengths differ.
    """
    names = ("false positive rate", "true positive rate")
    area = 0.0
    if np.size(false_positive_rate) == np.size(true_positive_rate):
        fpr = as_array("plot_roc", names[0], false_positive_rate)
        tpr = as_array("plot_roc", names[1], true_positive_rate)
        area = abs(float(np.trapezoid(tpr, fpr)))
    text = f"{label} (area {area:.3f})".strip()
    ax = _unit_curve("plot_roc", false_positive_rate, true_positive_rate, names, text, ax)
    ax.plot([0, 1], [0, 1], linestyle=":", color="grey")
    ax.legend(loc="lower right")
    return ax.figure


def plot_precision_recall(precision: Any, recall: Any, label: str = "", *, ax: Any = None) -> Any:
    """Draw precision over recall, as `gradsmith.metrics.precision_recall_curve` gives them.

    ValueError if the lengths differ.
    """
    names = ("recall", "precision")
    ax = _unit_curve("plot_precision_recall", recall, precision, names, label, ax)
    if label:
        ax.legend(loc="lower left")
    return ax.figure


def plot_confusion_matrix(
    matrix: Any,
    class_names: Sequence[str] | None = None,
    *,
    normalize: bool = False,
    ax: Any = None,
) -> Any:
    """Draw counts (K, K), rows true classes, columns predicted ones.

    Args:
        matrix: as `gradsmith.metrics.confusion_matrix` gives it.
        class_names: K names; numbers by default.
        normalize: show shares of each row instead of counts.

    Raises:
        ValueError: the matrix is not square or the names are not K.
    """
    counts = as_array("plot_confusion_matrix", "matrix", matrix, ndim=2)
    if counts.shape[0] != counts.shape[1] or counts.size == 0:
        raise ValueError(f"plot_confusion_matrix: matrix has shape {counts.shape}, expected (K, K)")
    names = names_of("plot_confusion_matrix", class_names, len(counts))
    if normalize:
        counts = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = min(10.0, 2.5 + 0.45 * len(counts))
    ax = new_axes("plot_confusion_matrix", ax, (size, size))
    ax.imshow(counts, cmap="Blues", vmin=0)
    middle = counts.max() / 2
    for (row, column), value in np.ndenumerate(counts):
        text = f"{value:.2f}" if normalize else f"{value:g}"
        color = "white" if value > middle else "black"
        ax.text(column, row, text, ha="center", va="center", color=color, fontsize=8)
    ax.set_xticks(range(len(names)), names, rotation=90 if max(map(len, names)) > 3 else 0)
    ax.set_yticks(range(len(names)), names)
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")
    return ax.figure

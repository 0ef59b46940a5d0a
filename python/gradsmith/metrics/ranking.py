# SPDX-License-Identifier: Apache-2.0
"""Metrics of how well scores order samples: ROC and precision-recall curves, areas under them.

Curves go through every threshold, so the areas are exact; the objects keep all scores for that.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradsmith.backend import Array
from gradsmith.metrics.base import Metric, to_array
from gradsmith.metrics.classification import check_classes
from gradsmith.ops.options import check_flag

_AVERAGES = ("macro", "weighted", None)
Curve = tuple[Array, Array, Array]


def _binary(op: str, output: Any, target: Any) -> tuple[Array, Array]:
    """Return scores (N) and labels (N), bool."""
    scores, labels = to_array(output), to_array(target)
    if scores.shape != labels.shape:
        raise ValueError(
            f"{op}: output has shape {scores.shape}, target {labels.shape}, expected equal shapes"
        )
    if not np.isin(labels, (0, 1)).all():
        raise ValueError(f"{op}: target holds {labels.min()} to {labels.max()}, expected 0 and 1")
    return scores.reshape(-1).astype(np.float64), labels.reshape(-1) == 1


def _counts(scores: Array, labels: Array) -> Curve:
    """Return the false and true positives at each distinct score, the highest first."""
    order = np.argsort(-scores, kind="stable")
    scores, hits = scores[order], np.cumsum(labels[order])
    last = np.flatnonzero(np.append(np.diff(scores) != 0, len(scores) > 0))
    return 1 + last - hits[last], hits[last], scores[last]


def _share(counts: Array) -> Array:
    """Return counts over the last of them; NaN if that is 0 (there is nothing to be found)."""
    total = counts[-1] if len(counts) else 0
    return counts / total if total else np.full(len(counts), np.nan)


def roc_curve(output: Any, target: Any, drop_intermediate: bool = True) -> Curve:
    """Return false-positive rates, true-positive rates and thresholds, as scikit-learn does.

    Args:
        output: scores of any shape, the higher the more likely class 1.
        target: 0 or 1, of the same shape.
        drop_intermediate: whether to leave out points on straight pieces of the curve.

    Returns:
        Three arrays from (0, 0), whose threshold is infinity, to (1, 1); rates of a class that is
        missing are NaN.

    Raises:
        ValueError: the shapes differ, or a target is neither 0 nor 1.
    """
    false, true, thresholds = _counts(*_binary("roc_curve", output, target))
    if check_flag("roc_curve", "drop_intermediate", drop_intermediate) and len(false) > 2:
        bends = (np.diff(false, 2) != 0) | (np.diff(true, 2) != 0)
        kept = np.concatenate(([True], bends, [True]))
        false, true, thresholds = false[kept], true[kept], thresholds[kept]
    false, true = np.append(0, false), np.append(0, true)
    return _share(false), _share(true), np.append(np.inf, thresholds)


def precision_recall_curve(output: Any, target: Any) -> Curve:
    """Return precisions, recalls and rising thresholds, as scikit-learn does.

    Args:
        output: scores of any shape, the higher the more likely class 1.
        target: 0 or 1, of the same shape.

    Returns:
        Precisions and recalls (one more than thresholds: the last are 1 and 0); recalls are NaN
        if no target is 1.

    Raises:
        ValueError: the shapes differ, or a target is neither 0 nor 1.
    """
    false, true, thresholds = _counts(*_binary("precision_recall_curve", output, target))
    precisions = true / np.maximum(false + true, 1)
    return (
        np.append(precisions[::-1], 1.0),
        np.append(_share(true)[::-1], 0.0),
        thresholds[::-1],
    )


def _area_under_roc(scores: Array, labels: Array) -> float:
    if np.isnan(scores).any():
        return math.nan
    false, true, _ = roc_curve(scores, labels)
    return float(np.trapezoid(true, false))


def _average_precision(scores: Array, labels: Array) -> float:
    """Return the sum of precisions times the steps of the recall."""
    if np.isnan(scores).any():
        return math.nan
    precisions, recalls, _ = precision_recall_curve(scores, labels)
    return float(-np.sum(np.diff(recalls) * precisions[:-1]))


class _RankingMetric(Metric):
    """Keeps all scores and targets; subclasses measure those of one class."""

    def __init__(self, average: str | None = "macro", name: str = "") -> None:
        """Start empty.

        Args:
            average: for several classes: ``"macro"``, the mean over the classes, each against the
                rest; ``"weighted"`` by how often each is in the targets; None: an array (C).
            name: what logs show.

        Raises:
            ValueError: the average is unknown.
        """
        if average not in _AVERAGES:
            kind = type(self).__name__
            raise ValueError(f"{kind}: average is {average!r}, expected one of {_AVERAGES}")
        self.average = average
        super().__init__(name)

    def reset(self) -> None:
        """Forget all batches."""
        self.outputs: list[Array] = []
        self.targets: list[Array] = []

    def measure(self, scores: Array, labels: Array) -> float:
        """Return the metric of one class: scores (N), labels (N) bool."""
        raise NotImplementedError(f"{type(self).__name__} does not define measure")

    def update(self, output: Any, target: Any) -> None:
        """Take in scores of the target's shape for 0 and 1, or (N, C) with classes (N).

        Raises:
            ValueError: the shapes do not fit, or a target is neither 0 nor 1.
            TypeError, IndexError: a class is no integer, or out of range.
        """
        scores, labels = to_array(output), to_array(target)
        if scores.ndim == 2 and labels.shape == scores.shape[:1] and scores.shape[1] > 1:
            if labels.dtype.kind not in "iu":
                raise TypeError(f"{self.name}: target is {labels.dtype}, expected integers")
            check_classes(self.name, labels, scores.shape[1])
        else:
            scores, labels = _binary(self.name, scores, labels)
        if self.outputs and self.outputs[0].shape[1:] != scores.shape[1:]:
            raise ValueError(
                f"{self.name}: output has {scores.shape[1:]} scores per sample, before "
                f"{self.outputs[0].shape[1:]}"
            )
        self.outputs.append(scores.astype(np.float64))
        self.targets.append(labels.astype(np.int64))

    def result(self) -> Any:
        """Return the metric over all samples since `reset`; NaN where a class is missing."""
        if not any(len(each) for each in self.outputs):
            return math.nan
        scores, labels = np.concatenate(self.outputs), np.concatenate(self.targets)
        if scores.ndim == 1:
            return self.measure(scores, labels == 1)
        values = np.array([self.measure(row, labels == c) for c, row in enumerate(scores.T)])
        if self.average is None:
            return values
        weights = np.bincount(labels, minlength=len(values)) if self.average == "weighted" else None
        return float(np.average(values, weights=weights))


class AUROC(_RankingMetric):
    """The area under the ROC curve: the chance that a sample of a class scores above another."""

    def __init__(self, average: str | None = "macro", name: str = "auroc") -> None:
        """Start empty; the average is that over several classes: "macro", "weighted" or None."""
        super().__init__(average, name)

    def measure(self, scores: Array, labels: Array) -> float:
        """Return the area of one class."""
        return _area_under_roc(scores, labels)


class AveragePrecision(_RankingMetric):
    """The mean of the precisions, each weighted by the rise of the recall; no interpolation."""

    def __init__(self, average: str | None = "macro", name: str = "average_precision") -> None:
        """Start empty; the average is that over several classes: "macro", "weighted" or None."""
        super().__init__(average, name)

    def measure(self, scores: Array, labels: Array) -> float:
        """Return the average precision of one class."""
        return _average_precision(scores, labels)


def roc_auc(output: Any, target: Any, average: str | None = "macro") -> Any:
    """Return the area under the ROC curve of one batch (see `AUROC`)."""
    return AUROC(average, "roc_auc")(output, target)


def average_precision(output: Any, target: Any, average: str | None = "macro") -> Any:
    """Return the average precision of one batch (see `AveragePrecision`)."""
    return AveragePrecision(average)(output, target)

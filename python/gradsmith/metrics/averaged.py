# SPDX-License-Identifier: Apache-2.0
"""Precision, recall, F1 and intersection over union: one number per class, averaged or not.

They count per class what was predicted, what was there, and what was both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradsmith.backend import Array
from gradsmith.metrics.base import MeanMetric, Metric, to_array
from gradsmith.metrics.classification import check_classes, class_pair
from gradsmith.ops.options import check_int, check_number

_AVERAGES = ("binary", "macro", "micro", "weighted", None)


def _padded(counts: Array, classes: int) -> Array:
    """Return counts (..., C) of more classes, those new at 0."""
    return np.pad(counts, [(0, 0)] * (counts.ndim - 1) + [(0, classes - counts.shape[-1])])


def _quotient(dividend: Array, divisor: Array, otherwise: float) -> Array:
    return np.where(divisor > 0, dividend / np.maximum(divisor, 1), otherwise)


class AveragedMetric(Metric):
    """A ratio of counts per class; subclasses say which, in `ratio`.

    Outputs are scores (N, C, ...) with target classes (N, ...) or one-hot (N, C, ...), or predicted
    classes of the target's shape. With the average ``"binary"`` they are probabilities (or other
    numbers, with a threshold of their own) or predictions 0 and 1 of the target's shape.
    """

    default_name = ""

    def __init__(
        self,
        average: str | None = "binary",
        threshold: float = 0.5,
        zero_division: float = 0.0,
        ignore_index: int | None = None,
        name: str | None = None,
    ) -> None:
        """Start empty.

        Args:
            average: ``"binary"``: that of class 1; ``"macro"``: the mean over the classes seen in
                outputs or targets; ``"weighted"``: weighted by how often each is in the targets;
                ``"micro"``: all decisions together; None: an array (C).
            threshold: above which a number means class 1, with ``"binary"``.
            zero_division: the ratio where nothing was counted below the line; NaN leaves the class
                out of averages.
            ignore_index: a target whose positions are left out.
            name: what logs show.

        Raises:
            ValueError: the average is unknown.
        """
        kind = type(self).__name__
        if average not in _AVERAGES:
            raise ValueError(f"{kind}: average is {average!r}, expected one of {_AVERAGES}")
        self.average = average
        self.threshold = check_number(kind, "threshold", threshold)
        self.zero_division = check_number(kind, "zero_division", zero_division)
        self.ignore_index = ignore_index
        if ignore_index is not None:
            check_int(kind, "ignore_index", ignore_index)
        super().__init__(self.default_name if name is None else name)

    def reset(self) -> None:
        """Set all counts to zero."""
        self.counts = np.zeros((3, 0), np.int64)  # per class: right ones, outputs, targets

    def update(self, output: Any, target: Any) -> None:
        """Take in the outputs and targets of a batch.

        Raises:
            ValueError: the shapes do not fit.
            TypeError: the target holds no integers.
            IndexError: a class is negative, or neither 0 nor 1 with ``"binary"``.
        """
        if self.average == "binary":
            predicted, classes, count = *self._decisions(to_array(output), to_array(target)), 2
        else:
            predicted, classes = class_pair(self.name, output, target)
            scores = to_array(output)
            count = scores.shape[1] if scores.dtype.kind == "f" else 0
        if self.ignore_index is not None:
            kept = classes != self.ignore_index
            predicted, classes = predicted[kept], classes[kept]
        predicted, classes = predicted.reshape(-1), classes.reshape(-1)
        for each in (predicted, classes):
            check_classes(self.name, each, count or int(each.max(initial=0)) + 1)
        groups = (classes[predicted == classes], predicted, classes)
        size = max(count, self.counts.shape[1], *(int(g.max(initial=-1)) + 1 for g in groups))
        counts = np.stack([np.bincount(group, minlength=size) for group in groups])
        self.counts = _padded(self.counts, size) + counts

    def _decisions(self, output: Array, target: Array) -> tuple[Array, Array]:
        """Return outputs and targets of two classes as 0 and 1."""
        if output.shape != target.shape:
            raise ValueError(
                f"{self.name}: output has shape {output.shape}, target {target.shape}, expected "
                "equal shapes with average='binary'; give average='macro' for several classes"
            )
        predicted = output > self.threshold if output.dtype.kind == "f" else output
        classes = target > 0.5 if target.dtype.kind == "f" else target
        return predicted.astype(np.int64), classes.astype(np.int64)

    def ratio(self, hits: Array, predicted: Array, actual: Array) -> tuple[Array, Array]:
        """Return what is above and below the line, per class."""
        raise NotImplementedError(f"{type(self).__name__} does not define ratio")

    def per_class(self) -> Array:
        """Return the ratio of each class (C)."""
        return _quotient(*self.ratio(*self.counts), self.zero_division)

    def result(self) -> Any:
        """Return the average over all batches since `reset`, or an array; NaN before the first."""
        values = self.per_class()
        if self.average is None:
            return values
        if not len(values):
            return math.nan
        if self.average == "binary":
            return float(values[1])
        if self.average == "micro":
            totals = self.ratio(*self.counts.sum(1, keepdims=True))
            return float(_quotient(*totals, self.zero_division)[0])
        seen = (self.counts[1:].sum(0) > 0).astype(np.int64)
        weights = self.counts[2] if self.average == "weighted" else seen
        return _average(values, weights, self.zero_division)


def _average(values: Array, weights: Array, otherwise: float) -> float:
    """Return the weighted mean of what is not NaN."""
    kept = ~np.isnan(values)
    if not kept.any():
        return math.nan
    total = weights[kept].sum()
    return float((values[kept] * weights[kept]).sum() / total) if total else otherwise


class Precision(AveragedMetric):
    """The share of what was predicted as a class that is of it."""

    default_name = "precision"

    def ratio(self, hits: Array, predicted: Array, actual: Array) -> tuple[Array, Array]:
        """Return hits over what was predicted."""
        return hits, predicted


class Recall(AveragedMetric):
    """The share of what is of a class that was predicted as it."""

    default_name = "recall"

    def ratio(self, hits: Array, predicted: Array, actual: Array) -> tuple[Array, Array]:
        """Return hits over what was there."""
        return hits, actual


class F1Score(AveragedMetric):
    """The harmonic mean of precision and recall (van Rijsbergen 1979)."""

    default_name = "f1_score"

    def ratio(self, hits: Array, predicted: Array, actual: Array) -> tuple[Array, Array]:
        """Return twice the hits over what was predicted and what was there."""
        return 2 * hits, predicted + actual


class IoU(AveragedMetric):
    """Intersection over union of segmentations: per class, or the mean of those seen.

    The target classes are images (N, H, W), the outputs scores (N, C, H, W) or classes (N, H, W).
    """

    default_name = "iou"

    def __init__(
        self,
        average: str | None = "macro",
        threshold: float = 0.5,
        zero_division: float = 0.0,
        ignore_index: int | None = None,
        name: str | None = None,
    ) -> None:
        """Start empty (see `AveragedMetric`)."""
        super().__init__(average, threshold, zero_division, ignore_index, name)

    def ratio(self, hits: Array, predicted: Array, actual: Array) -> tuple[Array, Array]:
        """Return hits over what was predicted or there."""
        return hits, predicted + actual - hits


class PixelAccuracy(MeanMetric):
    """The share of positions whose class is right; those of ``ignore_index`` do not count."""

    def __init__(self, ignore_index: int | None = None, name: str = "pixel_accuracy") -> None:
        """Start empty."""
        self.ignore_index = ignore_index
        super().__init__(name)

    def sum_and_count(self, output: Array, target: Array) -> tuple[float, int]:
        """Return how many positions are right and how many count."""
        predicted, classes = class_pair(self.name, output, target)
        kept = np.ones(classes.shape, bool)
        if self.ignore_index is not None:
            kept = classes != self.ignore_index
        return float(((predicted == classes) & kept).sum()), int(kept.sum())


def precision(output: Any, target: Any, average: str | None = "binary", **options: Any) -> Any:
    """Return the precision of one batch (options: `Precision`)."""
    return Precision(average, **options)(output, target)


def recall(output: Any, target: Any, average: str | None = "binary", **options: Any) -> Any:
    """Return the recall of one batch (options: `Recall`)."""
    return Recall(average, **options)(output, target)


def f1_score(output: Any, target: Any, average: str | None = "binary", **options: Any) -> Any:
    """Return the F1 score of one batch (options: `F1Score`)."""
    return F1Score(average, **options)(output, target)


def iou(output: Any, target: Any, average: str | None = "macro", **options: Any) -> Any:
    """Return the intersection over union of one batch (options: `IoU`)."""
    return IoU(average, **options)(output, target)


def pixel_accuracy(output: Any, target: Any, ignore_index: int | None = None) -> float:
    """Return the share of positions whose class is right (see `PixelAccuracy`)."""
    return float(PixelAccuracy(ignore_index)(output, target))


def classification_report(
    output: Any,
    target: Any,
    target_names: Sequence[str] | None = None,
    digits: int = 2,
    zero_division: float = 0.0,
) -> str:
    """Return precision, recall, F1 and support of each class as a table in scikit-learn's layout.

    Args:
        output: scores (N, C, ...), or predicted classes of the target's shape.
        target: classes (N, ...).
        target_names: the names of all classes; without, the classes seen have rows.
        digits: decimals.
        zero_division: the number where nothing was counted below the line.

    Raises:
        ValueError: the shapes do not fit, or there are more classes than names.
        TypeError: the target holds no integers.

    Example:
        >>> import gradsmith as gs
        >>> print(gs.metrics.classification_report([0, 1, 1, 1], [0, 0, 1, 1], ["cat", "dog"]))
                      precision    recall  f1-score   support
        <BLANKLINE>
                 cat       1.00      0.50      0.67         2
                 dog       0.67      1.00      0.80         2
        <BLANKLINE>
            accuracy                           0.75         4
           macro avg       0.83      0.75      0.73         4
        weighted avg       0.83      0.75      0.73         4
        <BLANKLINE>
    """
    columns = [kind(None, zero_division=zero_division) for kind in (Precision, Recall, F1Score)]
    for metric in columns:
        metric.update(*class_pair("classification_report", output, target))
    counts = columns[0].counts
    if target_names is None:
        classes = np.flatnonzero(counts[1:].any(0))
        names = [str(each) for each in classes]
    elif counts.shape[1] <= len(target_names):
        classes, names = np.arange(len(target_names)), list(target_names)
    else:
        raise ValueError(
            f"classification_report: got {len(target_names)} target_names, expected at least "
            f"{counts.shape[1]}"
        )
    for metric in columns:
        metric.counts = _padded(metric.counts, max(len(names), counts.shape[1]))
    values = np.stack([metric.per_class() for metric in columns], 1)[classes]
    support = columns[0].counts[2][classes]
    return _table(names, values, support, float(counts[0].sum()), digits, zero_division)


def _table(
    names: list[str],
    values: Array,
    support: Array,
    hits: float,
    digits: int,
    zero_division: float,
) -> str:
    width = max(len("weighted avg"), digits, *(len(name) for name in names))
    total = int(support.sum())

    def row(name: str, cells: Any, count: int) -> str:
        numbers = "".join(f" {each:>9.{digits}f}" if each != "" else " " * 10 for each in cells)
        return f"{name:>{width}} {numbers} {count:>9}"

    titles = "".join(f" {each:>9}" for each in ("precision", "recall", "f1-score", "support"))
    averages = [
        [_average(column, weights, zero_division) for column in values.T]
        for weights in (np.ones(len(names), np.int64), support)
    ]
    share = hits / total if total else math.nan
    return "\n".join(
        (
            f"{'':>{width}} {titles}",
            "",
            *(row(*each) for each in zip(names, values, support, strict=True)),
            "",
            row("accuracy", ("", "", share), total),
            row("macro avg", averages[0], total),
            row("weighted avg", averages[1], total),
            "",
        )
    )

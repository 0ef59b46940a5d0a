# SPDX-License-Identifier: Apache-2.0
"""Metrics of predicted classes. Outputs hold scores (logits or probabilities) in dimension 1."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradsmith.backend import Array
from gradsmith.metrics.base import MeanMetric, Metric, check_same_shape, to_array
from gradsmith.ops.options import check_int, check_number


def _check_scores(op: str, output: Array) -> None:
    if output.ndim < 2 or output.shape[1] == 0:
        raise ValueError(f"{op}: output has shape {output.shape}, expected scores (N, C, ...)")


def _class_indices(op: str, output: Array, target: Array) -> Array:
    """Return the classes of a target given as indices (N, ...) or as scores (N, C, ...)."""
    if target.shape == output.shape:
        return np.asarray(target.argmax(axis=1))
    if target.shape != output.shape[:1] + output.shape[2:]:
        raise ValueError(
            f"{op}: target has shape {target.shape}, expected classes "
            f"{output.shape[:1] + output.shape[2:]} or scores {output.shape}"
        )
    if target.dtype.kind not in "iu":
        raise TypeError(f"{op}: target classes are {target.dtype}, expected integers")
    return target


def class_pair(op: str, output: Any, target: Any) -> tuple[Array, Array]:
    """Return predicted and true classes, as given or as those of the largest scores.

    Raises:
        ValueError: the shapes do not fit.
        TypeError: the target holds no integers.
    """
    predicted, classes = to_array(output), to_array(target)
    if predicted.dtype.kind == "f":
        _check_scores(op, predicted)
        return predicted.argmax(axis=1), _class_indices(op, predicted, classes)
    check_same_shape(op, predicted, classes)
    if classes.dtype.kind not in "iub":
        raise TypeError(f"{op}: target classes are {classes.dtype}, expected integers")
    return predicted.astype(np.int64), classes.astype(np.int64)


class Accuracy(MeanMetric):
    """The share of samples whose largest score is that of the target.

    Outputs: scores (N, C, ...). Targets: classes (N, ...), or scores or one-hot (N, C, ...).
    """

    def __init__(self, name: str = "accuracy") -> None:
        """Start empty."""
        super().__init__(name)

    def sum_and_count(self, output: Array, target: Array) -> tuple[float, int]:
        """Return how many are right and how many there are."""
        _check_scores(self.name, output)
        classes = _class_indices(self.name, output, target)
        # A NaN is no highest score; argmax would take it for one.
        right = (output.argmax(axis=1) == classes) & ~np.isnan(output).any(axis=1)
        return float(right.sum()), classes.size


class BinaryAccuracy(MeanMetric):
    """The share of elements where output > threshold says the same as target > 0.5.

    The threshold is 0.5 for probabilities; give 0.0 for logits. Shapes must be equal.
    """

    def __init__(self, threshold: float = 0.5, name: str = "binary_accuracy") -> None:
        """Start empty."""
        self.threshold = check_number("BinaryAccuracy", "threshold", threshold)
        super().__init__(name)

    def sum_and_count(self, output: Array, target: Array) -> tuple[float, int]:
        """Return how many are right and how many there are."""
        check_same_shape(self.name, output, target)
        # A NaN is above no threshold; counting it as class 0 would reward it.
        right = ((output > self.threshold) == (target > 0.5)) & ~np.isnan(output)
        return float(right.sum()), right.size


class TopKAccuracy(MeanMetric):
    """The share of samples whose class has fewer than ``k`` other classes with a higher score.

    Of classes with the same score the one with the lower number counts as higher.
    """

    def __init__(self, k: int = 5, name: str | None = None) -> None:
        """Start empty; ValueError unless ``k`` is positive."""
        if check_int("TopKAccuracy", "k", k) < 1:
            raise ValueError(f"TopKAccuracy: k is {k}, expected at least 1")
        self.k = k
        super().__init__(f"top_{k}_accuracy" if name is None else name)

    def sum_and_count(self, output: Array, target: Array) -> tuple[float, int]:
        """Return how many are right and how many there are."""
        _check_scores(self.name, output)
        if self.k > output.shape[1]:
            raise ValueError(f"{self.name}: k is {self.k}, but there are {output.shape[1]} classes")
        classes = _class_indices(self.name, output, target)
        check_classes(self.name, classes, output.shape[1])
        best = np.argsort(-output, axis=1, kind="stable")[:, : self.k]
        return float((best == classes[:, None]).any(axis=1).sum()), classes.size


def check_classes(op: str, classes: Array, num_classes: int) -> None:
    """Raise IndexError unless all classes lie in [0, ``num_classes``)."""
    if classes.size and not 0 <= classes.min() <= classes.max() < num_classes:
        raise IndexError(
            f"{op}: classes range from {classes.min()} to {classes.max()}, expected 0 to "
            f"{num_classes - 1}"
        )


class ConfusionMatrix(Metric):
    """How often a sample of class i (row) was taken for class j (column), int64 (C, C)."""

    def __init__(self, num_classes: int, name: str = "confusion_matrix") -> None:
        """Start with zeros; ValueError unless there is a class."""
        if check_int("ConfusionMatrix", "num_classes", num_classes) < 1:
            raise ValueError(f"ConfusionMatrix: num_classes is {num_classes}, expected at least 1")
        self.num_classes = num_classes
        super().__init__(name)

    def reset(self) -> None:
        """Set all counts to zero."""
        self.counts = np.zeros((self.num_classes, self.num_classes), dtype=np.int64)

    def update(self, output: Any, target: Any) -> None:
        """Take in scores (N, C, ...), or predicted classes of the target's shape."""
        predicted, classes = class_pair(self.name, output, target)
        check_classes(self.name, classes, self.num_classes)
        check_classes(self.name, predicted, self.num_classes)
        cells = classes.astype(np.int64) * self.num_classes + predicted
        counts = np.bincount(cells.reshape(-1), minlength=self.num_classes**2)
        self.counts += counts.reshape(self.counts.shape)

    def result(self) -> Array:
        """Return the counts (C, C); a copy."""
        return self.counts.copy()


def accuracy(output: Any, target: Any) -> float:
    """Return the share of samples whose largest score is that of the target (see `Accuracy`)."""
    return float(Accuracy()(output, target))


def binary_accuracy(output: Any, target: Any, threshold: float = 0.5) -> float:
    """Return the share of elements on the right side of the threshold (see `BinaryAccuracy`)."""
    return float(BinaryAccuracy(threshold)(output, target))


def top_k_accuracy(output: Any, target: Any, k: int = 5) -> float:
    """Return the share of samples whose class is among the best ``k`` (see `TopKAccuracy`)."""
    return float(TopKAccuracy(k)(output, target))


def confusion_matrix(output: Any, target: Any, num_classes: int) -> Array:
    """Return how often class i (row) was taken for class j (column), int64 (C, C)."""
    counts: Array = ConfusionMatrix(num_classes)(output, target)
    return counts

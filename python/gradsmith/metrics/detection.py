# SPDX-License-Identifier: Apache-2.0
"""Mean average precision of detected boxes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradsmith.backend import Array, float64, on_host
from gradsmith.metrics.base import Metric, to_array
from gradsmith.ops.boxes import box_iou
from gradsmith.tensor import wrap


def _boxes_of(op: str, what: str, given: Any, keys: tuple[str, ...]) -> list[Array]:
    """Return boxes (n, 4), labels (n) and what else the keys name, of one image."""
    if not isinstance(given, dict) or not set(keys) <= set(given):
        got = sorted(given) if isinstance(given, dict) else f"a {type(given).__name__}"
        raise TypeError(
            f"{op}: {what} of an image is {got}, expected a dict with {', '.join(keys)}"
        )
    boxes, *others = (to_array(given[key]) for key in keys)
    boxes = boxes.reshape(-1, 4) if boxes.size == 0 else boxes
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"{op}: {what} boxes have shape {boxes.shape}, expected (n, 4)")
    for key, each in zip(keys[1:], others, strict=True):
        if each.shape != boxes.shape[:1]:
            raise ValueError(
                f"{op}: {what} {key} have shape {each.shape}, expected {boxes.shape[:1]}"
            )
    labels = others[0]
    if labels.size and (labels.dtype.kind not in "iu" or labels.min() < 0):
        raise TypeError(f"{op}: {what} labels are {labels.dtype}, expected integers from 0")
    return [boxes.astype(float64), labels.astype(np.int64), *others[1:]]


class MeanAveragePrecision(Metric):
    """The mean over classes and thresholds of the average precision of detected boxes.

    A detection is right if it overlaps an object of its class by at least the threshold that no
    detection of a higher score has taken; of several such objects it takes that of the best overlap
    (COCO's rule). Precisions are made to fall with the recall, then read off at ``points`` evenly
    spaced recalls: 101 is COCO's interpolation, 11 that of Pascal VOC 2007, None takes the area
    under the curve (Pascal VOC 2010).

    An image's output is a dict of boxes (n, 4) as corners (x1, y1, x2, y2), scores (n) and labels
    (n), its target one of boxes and labels.
    """

    def __init__(
        self,
        iou_thresholds: float | Sequence[float] = 0.5,
        points: int | None = 101,
        average: str | None = "macro",
        name: str = "mean_average_precision",
    ) -> None:
        """Start empty.

        Args:
            iou_thresholds: one or several, between 0 and 1; COCO's are 0.50, 0.55, ..., 0.95.
            points: how many recalls to read precisions at.
            average: ``"macro"`` for the mean, None for an array with the mean over the thresholds
                of each class (NaN for those that no target has).
            name: what logs show.

        Raises:
            ValueError: a threshold is out of range, or an option unknown.
        """
        kind = type(self).__name__
        self.thresholds = np.atleast_1d(np.asarray(iou_thresholds, np.float64))
        if not self.thresholds.size or not ((self.thresholds > 0) & (self.thresholds <= 1)).all():
            raise ValueError(f"{kind}: iou_thresholds are {iou_thresholds}, expected 0 to 1")
        if points is not None and points < 2:
            raise ValueError(f"{kind}: points is {points}, expected at least 2, or None")
        if average not in ("macro", None):
            raise ValueError(f"{kind}: average is {average!r}, expected 'macro' or None")
        self.points = points
        self.average = average
        super().__init__(name)

    def reset(self) -> None:
        """Forget all images."""
        self.found: list[Array] = []  # per image (n, 2 + thresholds): label, score, right or not
        self.objects = np.zeros(0, np.int64)  # per class

    def update(self, output: Sequence[Any], target: Sequence[Any]) -> None:
        """Take in the detections and objects of some images.

        Raises:
            ValueError: the numbers of images differ, or shapes do not fit.
            TypeError: an image is no dict with the keys, or labels are no integers.
        """
        if len(output) != len(target):
            raise ValueError(
                f"{self.name}: got {len(output)} outputs and {len(target)} targets, expected as "
                "many"
            )
        for given, wanted in zip(output, target, strict=True):
            boxes, labels, scores = _boxes_of(
                self.name, "output", given, ("boxes", "labels", "scores")
            )
            objects, classes = _boxes_of(self.name, "target", wanted, ("boxes", "labels"))
            order = np.argsort(-scores, kind="stable")
            right = self._matched(boxes[order], labels[order], objects, classes)
            self.found.append(np.column_stack((labels[order], scores[order], right)))
            counts = np.bincount(classes, minlength=len(self.objects))
            counts[: len(self.objects)] += self.objects
            self.objects = counts

    def _matched(self, boxes: Array, labels: Array, objects: Array, classes: Array) -> Array:
        """Return which detections, by falling score, are right at each threshold."""
        right = np.zeros((len(boxes), len(self.thresholds)), bool)
        if not len(boxes) or not len(objects):
            return right
        overlaps = on_host(box_iou(wrap(boxes), wrap(objects))._array)
        overlaps = np.where(labels[:, None] == classes, overlaps, 0.0)
        for column, threshold in enumerate(self.thresholds):
            free = np.ones(len(objects), bool)
            for row, each in enumerate(overlaps):
                best = int(np.argmax(np.where(free, each, -1.0)))
                if free[best] and each[best] >= threshold:
                    free[best] = False
                    right[row, column] = True
        return right

    def _precision(self, right: Array, objects: int) -> float:
        """Return the average precision of a class: which of its detections, best first, are."""
        hits = np.cumsum(right)
        recalls = hits / objects
        precisions = hits / np.arange(1, len(right) + 1)
        falling = np.maximum.accumulate(precisions[::-1])[::-1]
        if self.points is None:
            return float(np.sum(np.diff(recalls, prepend=0.0) * falling))
        places = np.searchsorted(recalls, np.linspace(0, 1, self.points))
        return float(np.append(falling, 0.0)[places].mean())

    def result(self) -> Any:
        """Return the mean over all images since `reset`; NaN if no target has an object."""
        empty = np.zeros((0, 2 + len(self.thresholds)))
        found = np.concatenate((empty, *self.found))
        found = found[np.argsort(-found[:, 1], kind="stable")]
        values = np.full(len(self.objects), np.nan)
        for label in np.flatnonzero(self.objects):
            rows = found[found[:, 0] == label, 2:]
            values[label] = np.mean(
                [self._precision(column, int(self.objects[label])) for column in rows.T]
            )
        if self.average is None:
            return values
        return float(np.nanmean(values)) if self.objects.any() else math.nan


def mean_average_precision(output: Sequence[Any], target: Sequence[Any], **options: Any) -> Any:
    """Return the mean average precision of some images (options: `MeanAveragePrecision`)."""
    return MeanAveragePrecision(**options)(output, target)

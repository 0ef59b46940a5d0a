# SPDX-License-Identifier: Apache-2.0
"""What the detectors share: anchors from sizes, choosing among boxes, judging and drawing."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradsmith import metrics, viz
from gradsmith.backend import Array
from gradsmith.images import nms
from gradsmith.recipes.run import Run
from gradsmith.recipes.shapes import KINDS, Scenes
from gradsmith.viz.canvas import pyplot

_MOST_BOXES = 100


def centred_iou(sizes: Array, anchors: Array) -> Array:
    """Return the overlaps (N, K) of boxes of sizes (N, 2) and (K, 2) with one centre."""
    common = np.minimum(sizes[:, None], anchors).prod(-1)
    return np.asarray(common / (sizes.prod(-1)[:, None] + anchors.prod(-1) - common))


def anchors_of(sizes: Array, count: int, seed: int, rounds: int = 100) -> Array:
    """Return the widths and heights (count, 2) that sizes (N, 2) cluster around, by area.

    k-means with the distance ``1 - IoU`` of boxes with one centre (Redmon and Farhadi, 2017,
    section 2): squared distances would weigh errors of large boxes more.
    """
    rng = np.random.default_rng(seed)
    anchors = sizes[rng.choice(len(sizes), count, replace=False)]
    for _ in range(rounds):
        nearest = centred_iou(sizes, anchors).argmax(1)
        moved = np.stack(
            [
                sizes[nearest == k].mean(0) if (nearest == k).any() else anchors[k]
                for k in range(count)
            ]
        )
        if np.array_equal(moved, anchors):
            break
        anchors = moved
    return np.asarray(anchors[anchors.prod(1).argsort()])


def chosen(
    boxes: Array, scores: Array, side: int, *, least: float = 0.01, overlap: float = 0.45
) -> dict[str, Array]:
    """Return the boxes of an image that remain after non-maximum suppression by class.

    Args:
        boxes: corners (B, 4), or for each class (B, C, 4).
        scores: (B, C).
        side: of the image, outside of which boxes are cut off.
        least: boxes of smaller scores are dropped.
        overlap: from which of two boxes of a class the worse one is dropped.

    Returns:
        ``boxes`` (n, 4), ``scores`` (n) and ``labels`` (n), the best first.
    """
    where, labels = np.nonzero(scores > least)
    found = (boxes[where] if boxes.ndim == 2 else boxes[where, labels]).clip(0, side)
    points = scores[where, labels]
    kept = nms(found, points, overlap, labels=labels)[:_MOST_BOXES]
    return {"boxes": found[kept], "scores": points[kept], "labels": labels[kept]}


def precision_of(found: list[dict[str, Array]], testing: Scenes, **options: Any) -> Any:
    """Return the mean average precision of what was found in each scene."""
    true = [testing.boxes(number) for number in range(len(testing))]
    return metrics.mean_average_precision(found, true, **options)


def tell_detector(
    run: Run,
    found: list[dict[str, Array]],
    testing: Scenes,
    *,
    at_least: float,
    quick: float,
    drawn: float = 0.4,
) -> None:
    """Tell the precision of what a detector found, by class, and draw some scenes.

    ``drawn`` is the score from which boxes are drawn.
    """
    run.figure("mAP@0.5", precision_of(found, testing), at_least=at_least, quick=quick)
    run.figure("mAP@0.75", precision_of(found, testing, iou_thresholds=0.75))
    each = precision_of(found, testing, average=None)
    rows = [[name, float(value)] for name, value in zip(KINDS, each, strict=True)]
    run.table("Average precision at overlap 0.5", ["class", "AP"], rows)
    picture = draw_found(testing.images, found, KINDS, drawn)
    run.picture("boxes", picture, f"Unseen scenes with the boxes of scores above {drawn:g}.")


def draw_found(
    images: Array, found: list[dict[str, Array]], names: Any, least: float = 0.4, count: int = 8
) -> Any:
    """Draw images with the boxes found in them whose scores are not below ``least``."""
    columns = min(4, count)
    rows = -(-count // columns)
    size = (3 * columns, 3 * rows)
    figure, axes = pyplot().subplots(rows, columns, figsize=size, squeeze=False)
    for ax, image, given in zip(axes.flat, images, found, strict=False):
        sure = given["scores"] >= least
        labels = [str(names[label]) for label in given["labels"][sure]]
        viz.plot_boxes(image, given["boxes"][sure], labels, given["scores"][sure], ax=ax)
    figure.tight_layout()
    return figure

# SPDX-License-Identifier: Apache-2.0
"""The loss of YOLO version 2 (Redmon and Farhadi 2016): boxes predicted by the cells of a grid.

A cell (row i, column j) of an S x S grid predicts a box per anchor from numbers (x, y, w, h, o) and
class scores: centre ``(j + sigmoid(x), i + sigmoid(y)) / S``, size ``anchor * exp(w, h)``,
objectness ``sigmoid(o)``. Sizes and places are shares of the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradsmith.autograd import no_grad
from gradsmith.backend import Array, like, on_host
from gradsmith.ops.boxes import box_iou
from gradsmith.ops.elementwise import where
from gradsmith.ops.joining import cat
from gradsmith.ops.loss import mse_loss
from gradsmith.ops.loss_checks import check_at_least, check_floating
from gradsmith.ops.loss_class import cross_entropy
from gradsmith.ops.options import names_errors
from gradsmith.ops.shape import permute, reshape
from gradsmith.ops.softmax import softmax
from gradsmith.tensor import Tensor, as_array, wrap

_NAME = "yolo_loss"


@dataclass
class _Objects:
    """The objects of a batch (K), one per responsible predictor, as arrays of the host."""

    cells: Array  # (4, K): image, anchor, row, column
    numbers: Array  # (K), which of the image's objects
    labels: Array  # (K)
    boxes: Array  # (K, 4): centre and size as the network should give them
    corners: Array  # (N, most objects of an image, 4), zeros where there are fewer


def _host(value: Any) -> Array:
    return on_host(value._array if isinstance(value, Tensor) else as_array(value))


def _checked_anchors(op: str, anchors: Any, channels: int) -> Array:
    array = _host(anchors).astype(np.float64)
    if array.ndim != 2 or array.shape[1] != 2 or not (array > 0).all():
        raise ValueError(
            f"{op}: anchors have shape {array.shape}, expected positive widths and heights (A, 2)"
        )
    if not len(array) or channels % len(array) or channels // len(array) < 6:
        raise ValueError(
            f"{op}: predictions have {channels} channels, expected A (5 + C) with "
            f"{len(array)} anchors"
        )
    return array


def _checked_objects(number: int, target: Any, classes: int) -> Array:
    """Return the objects (n, 5) of an image in float64."""
    array = _host(target).astype(np.float64)
    if array.size == 0:
        return np.zeros((0, 5))
    if array.ndim != 2 or array.shape[1] != 5:
        raise ValueError(
            f"{_NAME}: targets[{number}] has shape {array.shape}, expected (n, 5): class, centre "
            "x, y, width, height"
        )
    labels, centres, sizes = array[:, 0], array[:, 1:3], array[:, 3:]
    if not np.isin(labels, np.arange(classes)).all():
        raise IndexError(
            f"{_NAME}: targets[{number}] has classes {labels.min():g} to {labels.max():g}, "
            f"expected 0 to {classes - 1}"
        )
    inside = (centres >= 0).all() and (centres < 1).all()
    if not (inside and (sizes > 0).all() and (sizes <= 1).all()):
        raise ValueError(
            f"{_NAME}: targets[{number}] has places or sizes outside of the image, expected "
            "shares of its width and height"
        )
    return array


def _corners(boxes: Array) -> Array:
    return np.concatenate((boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2), 1)


def _nearest_anchor(sizes: Array, anchors: Array) -> Array:
    """Return for each object the anchor of the best overlap, both around one centre."""
    shared = [_corners(np.concatenate((np.zeros_like(each), each), 1)) for each in (sizes, anchors)]
    return on_host(box_iou(wrap(shared[0]), wrap(shared[1])).argmax(1)._array)


def _assigned(targets: list[Array], anchors: Array, grid: int) -> _Objects:
    """Give each object its predictor; of two that claim the same one the first has it."""
    images = np.repeat(np.arange(len(targets)), [len(each) for each in targets])
    numbers = np.concatenate([np.arange(len(each)) for each in targets])
    objects = np.concatenate(targets)
    nearest = _nearest_anchor(objects[:, 3:], anchors) if len(objects) else images
    places = objects[:, 1:3] * grid
    columns, rows = places.astype(np.int64).T
    cells = np.stack((images, nearest, rows, columns))
    _, first = np.unique(cells, axis=1, return_index=True)
    corners = np.zeros((len(targets), max((len(each) for each in targets), default=0), 4))
    for image, each in enumerate(targets):
        corners[image, : len(each)] = _corners(each[:, 1:])
    wanted = np.concatenate((places % 1, np.log(objects[:, 3:] / anchors[nearest])), 1)
    labels = objects[:, 0].astype(np.int64)
    return _Objects(cells[:, first], numbers[first], labels[first], wanted[first], corners)


def _predicted_corners(cells: Tensor, anchors: Tensor) -> Tensor:
    """Return the corners (N, A, S, S, 4) of all predicted boxes."""
    grid = cells.shape[2]
    rows, columns = np.meshgrid(np.arange(grid), np.arange(grid), indexing="ij")
    place = like(np.stack((columns, rows), -1), cells._array)
    centres = (cells[..., :2].sigmoid() + wrap(place).to(cells.dtype)) / grid
    halves = cells[..., 2:4].exp() * reshape(anchors, (1, -1, 1, 1, 2)) * 0.5
    return cat((centres - halves, centres + halves), -1)


def _overlaps(cells: Tensor, anchors: Tensor, corners: Tensor) -> Tensor:
    """Return the overlap (N, A, S, S, M) of each predicted box with each object."""
    images, count = corners.shape[:2]
    with no_grad():
        flat = reshape(_predicted_corners(cells.detach(), anchors), (images, -1, 4))
        return reshape(box_iou(flat, corners), (*cells.shape[:4], count))


def _checked_predictions(op: str, predictions: Tensor) -> Tensor:
    if check_floating(op, "predictions", predictions).ndim != 4:
        raise ValueError(
            f"{op}: predictions have shape {predictions.shape}, expected (N, A (5 + C), S, S)"
        )
    if predictions.shape[2] != predictions.shape[3]:
        raise ValueError(
            f"{op}: predictions have shape {predictions.shape}, expected a square grid"
        )
    return predictions


def _cells(predictions: Tensor, anchors: Array) -> Tensor:
    """Return the numbers of each anchor in each cell (N, A, S, S, 5 + C)."""
    images, channels, grid, _ = predictions.shape
    cells = reshape(predictions, (images, len(anchors), channels // len(anchors), grid, grid))
    return permute(cells, (0, 1, 3, 4, 2))


@names_errors
def yolo_boxes(predictions: Tensor, anchors: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Return the boxes that version 2 of YOLO predicts, how sure it is of each, and its classes.

    Args:
        predictions: (N, A (5 + C), S, S); each anchor's channels are x, y, w, h, o, class scores.
        anchors: widths and heights (A, 2), shares of the image.

    Returns:
        Corners (x1, y1, x2, y2) as shares of the image (N, B, 4) with B = A S S, objectness (N, B),
        and probabilities of the classes if there is an object (N, B, C).

    Raises:
        ValueError: the shapes do not fit.
        TypeError: the predictions are not floating.
    """
    op = "yolo_boxes"
    images, channels, grid, _ = _checked_predictions(op, predictions).shape
    shapes = _checked_anchors(op, anchors, channels)
    cells = _cells(predictions, shapes)
    sizes = wrap(like(shapes, predictions._array)).to(predictions.dtype)
    count = len(shapes) * grid * grid
    flat = reshape(cells, (images, count, channels // len(shapes)))
    corners = reshape(_predicted_corners(cells, sizes), (images, count, 4))
    return corners, flat[..., 4].sigmoid(), softmax(flat[..., 5:], -1)


@names_errors
def yolo_loss(
    predictions: Tensor,
    targets: Sequence[Any],
    anchors: Any,
    coordinate_weight: float = 1.0,
    object_weight: float = 5.0,
    no_object_weight: float = 1.0,
    class_weight: float = 1.0,
    ignore_threshold: float = 0.6,
) -> Tensor:
    """Return the loss of version 2 of YOLO, averaged over the images.

    For each object one predictor is responsible: the cell its centre lies in, with the anchor of
    the best overlap. It adds the squared errors of (sigmoid x, sigmoid y, w, h), of its objectness
    against the overlap of its box with the object, and the cross-entropy of its class scores. All
    others add the square of their objectness, unless their box overlaps an object by more than
    the threshold. Of two objects with one predictor the first counts.

    Args:
        predictions: (N, A (5 + C), S, S); each anchor's channels are x, y, w, h, o, class scores.
        targets: for each image its objects (n, 5): class, centre x, y, width, height, all but the
            class as shares of the image. May be empty.
        anchors: widths and heights (A, 2), shares of the image.
        coordinate_weight: weight of the places and sizes.
        object_weight: weight of the objectness of responsible predictors.
        no_object_weight: weight of the objectness of the others.
        class_weight: weight of the classes.
        ignore_threshold: overlap from which a predictor without an object is left alone.

    Raises:
        ValueError: shapes do not fit, or places, sizes or options are out of range.
        TypeError: the predictions are not floating.
        IndexError: a class is out of range.
    """
    images, channels, grid, _ = _checked_predictions(_NAME, predictions).shape
    if len(targets) != images or not images:
        raise ValueError(
            f"{_NAME}: predictions have shape {predictions.shape} with {len(targets)} targets, "
            "expected images, and a target for each"
        )
    shapes = _checked_anchors(_NAME, anchors, channels)
    depth = channels // len(shapes)
    objects = _assigned(
        [_checked_objects(n, each, depth - 5) for n, each in enumerate(targets)], shapes, grid
    )
    options = (coordinate_weight, object_weight, no_object_weight, class_weight)
    names = ("coordinate_weight", "object_weight", "no_object_weight", "class_weight")
    weights = [check_at_least(_NAME, *each) for each in zip(names, options, strict=True)]
    threshold = check_at_least(_NAME, "ignore_threshold", ignore_threshold)
    terms = _terms(_cells(predictions, shapes), objects, shapes, threshold)
    total = terms[0] * weights[0]
    for term, weight in zip(terms[1:], weights[1:], strict=True):
        total = total + term * weight
    return total / images


def _terms(cells: Tensor, objects: _Objects, anchors: Array, threshold: float) -> list[Tensor]:
    """Return the errors of coordinates, objects, no objects and classes, summed up."""

    def here(array: Array) -> Tensor:
        return wrap(like(array, cells._array))

    anchor_sizes, wanted = (here(each).to(cells.dtype) for each in (anchors, objects.boxes))
    overlaps = _overlaps(cells, anchor_sizes, here(objects.corners).to(cells.dtype))
    free = np.ones(cells.shape[:4], bool)
    free[tuple(objects.cells)] = False
    silent = here(free)
    objectness = cells[..., 4].sigmoid()
    if objects.corners.shape[1]:
        silent = silent.logical_and(overlaps.amax(-1).le(threshold))
    no_object = where(silent, objectness.square(), 0.0).sum()
    place = tuple(here(index) for index in objects.cells)
    chosen = cells[place]
    boxes = cat((chosen[:, :2].sigmoid(), chosen[:, 2:4]), 1)
    reached = overlaps[(*place, here(objects.numbers))]
    return [
        mse_loss(boxes, wanted, "sum"),
        mse_loss(objectness[place], reached, "sum"),
        no_object,
        cross_entropy(chosen[:, 5:], here(objects.labels), reduction="sum"),
    ]

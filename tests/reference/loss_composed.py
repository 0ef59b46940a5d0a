# SPDX-License-Identifier: Apache-2.0
"""Losses that are composed of other functions, by their formulas; loops where those have sums.

Gradients are not defined here: gradcheck finds them from the values.
"""

import itertools
import math

import numpy as np

from . import Array, Ids
from .loss import _reduce
from .softmax import log_softmax


def pseudo_huber(x: Array, t: Array, reduction: str = "mean", delta: float = 1.0) -> Array:
    return _reduce(delta**2 * (np.sqrt(1 + ((x - t) / delta) ** 2) - 1), reduction)


def log_cosh(x: Array, t: Array, reduction: str = "mean") -> Array:
    return _reduce(np.log(np.cosh(x - t)), reduction)


def poisson_nll(
    x: Array,
    t: Array,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Array:
    losses = np.exp(x) - t * x if log_input else x - t * np.log(x + eps)
    if full:
        many = np.where(t > 1, t, 1)
        stirling = many * np.log(many) - many + np.log(2 * np.pi * many) / 2
        losses = losses + np.where(t > 1, stirling, 0)
    return _reduce(losses, reduction)


def gaussian_nll(
    x: Array, t: Array, var: Array, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Array:
    var = np.maximum(var, eps)
    constant = np.log(2 * np.pi) / 2 if full else 0.0
    return _reduce((np.log(var) + (x - t) ** 2 / var) / 2 + constant, reduction)


def hinge(x: Array, t: Ids, reduction: str = "mean", power: int = 1) -> Array:
    return _reduce(np.maximum(0, 1 - t * x) ** power, reduction)


def soft_margin(x: Array, t: Ids, reduction: str = "mean") -> Array:
    return _reduce(np.log(1 + np.exp(-t * x)), reduction)


def multi_margin(
    x: Array,
    t: Ids,
    p: int = 1,
    margin: float = 1.0,
    weight: Array | None = None,
    reduction: str = "mean",
) -> Array:
    losses = np.zeros(len(x))
    for n, row in enumerate(x):
        others = [max(0, margin - row[t[n]] + s) ** p for c, s in enumerate(row) if c != t[n]]
        losses[n] = sum(others) * (1 if weight is None else weight[t[n]]) / len(row)
    return _reduce(losses, reduction)


def multilabel_margin(x: Array, t: Ids, reduction: str = "mean") -> Array:
    losses = np.zeros(len(x))
    for n, row in enumerate(x):
        listed = list(itertools.takewhile(lambda label: label >= 0, t[n]))
        others = [c for c in range(len(row)) if c not in listed]
        losses[n] = sum(max(0, 1 - row[i] + row[c]) for i in listed for c in others) / len(row)
    return _reduce(losses, reduction)


def multilabel_soft_margin(x: Array, t: Array, weight: Array, reduction: str = "mean") -> Array:
    losses = weight * (t * np.log(1 + np.exp(-x)) + (1 - t) * np.log(1 + np.exp(x)))
    return _reduce(losses.mean(-1), reduction)


def margin_ranking(
    x1: Array, x2: Array, t: Ids, margin: float = 0.0, reduction: str = "mean"
) -> Array:
    return _reduce(np.maximum(0, -t * (x1 - x2) + margin), reduction)


def hinge_embedding(x: Array, t: Ids, margin: float = 1.0, reduction: str = "mean") -> Array:
    return _reduce(np.where(t == 1, x, np.maximum(0, margin - x)), reduction)


def cosine_embedding(
    x1: Array, x2: Array, t: Ids, margin: float = 0.0, reduction: str = "mean"
) -> Array:
    lengths = np.sqrt(((x1**2).sum(-1) + 1e-12) * ((x2**2).sum(-1) + 1e-12))
    cosine = (x1 * x2).sum(-1) / lengths
    return _reduce(np.where(t == 1, 1 - cosine, np.maximum(0, cosine - margin)), reduction)


def contrastive(
    x1: Array, x2: Array, t: Ids, margin: float = 1.0, reduction: str = "mean"
) -> Array:
    d = np.linalg.norm(x1 - x2, axis=-1)
    return _reduce((1 - t) * d**2 / 2 + t * np.maximum(0, margin - d) ** 2 / 2, reduction)


def triplet_margin(
    a: Array,
    p: Array,
    n: Array,
    margin: float = 1.0,
    order: float = 2.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Array:
    def distance(x: Array, y: Array) -> Array:
        return np.asarray(np.sum(np.abs(x - y + 1e-6) ** order, -1) ** (1 / order))

    far = np.minimum(distance(a, n), distance(p, n)) if swap else distance(a, n)
    return _reduce(np.maximum(0, distance(a, p) - far + margin), reduction)


def rbf_distance(d: Array, t: Ids, offset: float = 0.1, reduction: str = "mean") -> Array:
    competing = np.log(np.exp(-offset) + np.exp(-d).sum(1))
    return _reduce(d[np.arange(len(d)), t] + competing, reduction)


def binary_focal(
    x: Array, t: Array, alpha: float = 0.5, gamma: float = 2.0, reduction: str = "mean"
) -> Array:
    p = 1 / (1 + np.exp(-x))
    hits = alpha * t * (1 - p) ** gamma * np.log(p)
    misses = (1 - alpha) * (1 - t) * p**gamma * np.log(1 - p)
    return _reduce(-hits - misses, reduction)


def class_focal(
    x: Array, t: Ids, alpha: Array, gamma: float = 2.0, reduction: str = "mean"
) -> Array:
    log_p = np.take_along_axis(log_softmax(x, 1), t[:, None], 1)[:, 0]
    return _reduce(-alpha[t] * (1 - np.exp(log_p)) ** gamma * log_p, reduction)


def dice(p: Array, t: Array, smooth: float = 1.0, reduction: str = "mean") -> Array:
    axes = tuple(range(2, p.ndim))
    sizes = (p**2).sum(axes) + (t**2).sum(axes)
    return _reduce(1 - (2 * (p * t).sum(axes) + smooth) / (sizes + smooth), reduction)


def jaccard(p: Array, t: Array, smooth: float = 1.0, reduction: str = "mean") -> Array:
    axes = tuple(range(2, p.ndim))
    union = (p + t - p * t).sum(axes)
    return _reduce(1 - ((p * t).sum(axes) + smooth) / (union + smooth), reduction)


def total_variation(x: Array, isotropic: bool = True, reduction: str = "mean") -> Array:
    losses = np.zeros(len(x))
    for n, c, i, j in np.ndindex(x.shape):
        down = x[n, c, i + 1, j] - x[n, c, i, j] if i + 1 < x.shape[2] else 0.0
        right = x[n, c, i, j + 1] - x[n, c, i, j] if j + 1 < x.shape[3] else 0.0
        losses[n] += np.hypot(down, right) if isotropic else abs(down) + abs(right)
    return _reduce(losses, reduction)


def gram(x: Array) -> Array:
    rows = x.reshape(*x.shape[:2], -1)
    return np.einsum("ncp,ndp->ncd", rows, rows) / rows[0].size


def vae_kl(mu: Array, logvar: Array, reduction: str = "mean") -> Array:
    terms = 1 + logvar - mu**2 - np.exp(logvar)
    return _reduce(-terms.reshape(len(mu), -1).sum(1) / 2, reduction)


def sparsity_kl(h: Array, rho: float = 0.05) -> Array:
    m = h.mean(0)
    return np.sum(rho * np.log(rho / m) + (1 - rho) * np.log((1 - rho) / (1 - m)))


def iou(a: Array, b: Array) -> float:
    """The overlap of two boxes (x1, y1, x2, y2)."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return width * height / (areas - width * height) if areas else 0.0


def yolo(
    predictions: Array,
    targets: list[Array],
    anchors: Array,
    weights: tuple[float, float, float, float] = (1.0, 5.0, 1.0, 1.0),
    threshold: float = 0.6,
) -> Array:
    """Cell by cell, predictor by predictor."""
    count, _, size, _ = predictions.shape
    cells = predictions.reshape(count, len(anchors), -1, size, size)
    total = 0.0
    for n, a, i, j in itertools.product(*map(range, (count, len(anchors), size, size))):
        x, y, w, h, o, *scores = cells[n, a, :, i, j]
        x, y, o = (1 / (1 + math.exp(-each)) for each in (x, y, o))
        box = _corners((j + x) / size, (i + y) / size, *(anchors[a] * np.exp([w, h])))
        overlaps = [iou(box, _corners(*each[1:])) for each in targets[n]]
        owners = [_predictor(each, anchors, size) for each in targets[n]]
        if (a, i, j) not in owners:
            total += weights[2] * o**2 * (max(overlaps, default=0.0) <= threshold)
            continue
        first = owners.index((a, i, j))
        label, cx, cy, width, height = targets[n][first]
        wanted = (cx * size - j, cy * size - i, *np.log(np.array([width, height]) / anchors[a]))
        total += weights[0] * sum((u - v) ** 2 for u, v in zip((x, y, w, h), wanted, strict=True))
        total += weights[1] * (o - overlaps[first]) ** 2
        total += weights[3] * -log_softmax(np.array([scores]), 1)[0, int(label)]
    return np.asarray(total / count)


def yolo_boxes(predictions: Array, anchors: Array) -> tuple[Array, Array, Array]:
    """Cell by cell: corners, objectness, classes."""
    count, _, size, _ = predictions.shape
    cells = predictions.reshape(count, len(anchors), -1, size, size)
    boxes, sure, classes = [], [], []
    for n, a, i, j in itertools.product(*map(range, (count, len(anchors), size, size))):
        x, y, w, h, o, *scores = cells[n, a, :, i, j]
        x, y, o = (1 / (1 + math.exp(-each)) for each in (x, y, o))
        boxes.append(_corners((j + x) / size, (i + y) / size, *(anchors[a] * np.exp([w, h]))))
        sure.append(o)
        classes.append(np.exp(scores) / np.exp(scores).sum())
    return tuple(
        np.array(each).reshape(count, -1, *np.shape(each[0])) for each in (boxes, sure, classes)
    )


def _corners(x: float, y: float, w: float, h: float) -> Array:
    return np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2])


def _predictor(target: Array, anchors: Array, size: int) -> tuple[int, int, int]:
    _, x, y, *shape = target
    overlaps = [iou(_corners(0, 0, *shape), _corners(0, 0, *anchor)) for anchor in anchors]
    return int(np.argmax(overlaps)), int(y * size), int(x * size)

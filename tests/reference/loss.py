# SPDX-License-Identifier: Apache-2.0
"""Losses with reduction "none", "mean" or "sum" (kl_div also "batchmean").

Elementwise losses take x and target of one shape; their backward returns (dx, dtarget).
Classification losses take x (N, C, d1, ...) and class indices (N, d1, ...), or (C) and ();
their backward returns dx. Formulas: Huber 1964; Girshick 2015 (smooth L1); Szegedy 2016 (label
smoothing). dy has the shape of the result.
"""

import numpy as np

from . import Array, Ids
from .elementwise import log_sigmoid, sigmoid
from .softmax import log_softmax, softmax


def _reduce(values: Array, reduction: str) -> Array:
    if reduction == "none":
        return values
    if reduction == "batchmean":
        return np.asarray(np.sum(values) / values.shape[0])
    return np.asarray(np.mean(values) if reduction == "mean" else np.sum(values))


def _reduce_backward(dy: Array, x: Array, reduction: str) -> Array:
    """Gradient of the unreduced values, in the shape of x."""
    divisor = {"none": 1, "sum": 1, "mean": x.size, "batchmean": x.shape[0] if x.ndim else 1}
    return np.zeros_like(x) + dy / divisor[reduction]


def mse(x: Array, target: Array, reduction: str = "mean") -> Array:
    return _reduce((x - target) ** 2, reduction)


def mse_backward(
    dy: Array, x: Array, target: Array, reduction: str = "mean"
) -> tuple[Array, Array]:
    dx = _reduce_backward(dy, x, reduction) * 2 * (x - target)
    return dx, -dx


def l1(x: Array, target: Array, reduction: str = "mean") -> Array:
    return _reduce(np.abs(x - target), reduction)


def l1_backward(dy: Array, x: Array, target: Array, reduction: str = "mean") -> tuple[Array, Array]:
    dx = _reduce_backward(dy, x, reduction) * np.sign(x - target)
    return dx, -dx


def huber(x: Array, target: Array, reduction: str = "mean", delta: float = 1.0) -> Array:
    """d^2 / 2 up to |d| = delta, then delta (|d| - delta / 2)."""
    distance = np.abs(x - target)
    far = delta * (distance - 0.5 * delta)
    return _reduce(np.where(distance <= delta, 0.5 * distance**2, far), reduction)


def huber_backward(
    dy: Array, x: Array, target: Array, reduction: str = "mean", delta: float = 1.0
) -> tuple[Array, Array]:
    dx = _reduce_backward(dy, x, reduction) * np.clip(x - target, -delta, delta)
    return dx, -dx


def smooth_l1(x: Array, target: Array, reduction: str = "mean", beta: float = 1.0) -> Array:
    """d^2 / (2 beta) below |d| = beta, then |d| - beta / 2; beta = 0 is l1."""
    if beta == 0:
        return l1(x, target, reduction)
    return huber(x, target, reduction, beta) / beta


def smooth_l1_backward(
    dy: Array, x: Array, target: Array, reduction: str = "mean", beta: float = 1.0
) -> tuple[Array, Array]:
    if beta == 0:
        return l1_backward(dy, x, target, reduction)
    return huber_backward(dy / beta, x, target, reduction, beta)


def _clamped_log(x: Array) -> Array:
    """log x, no lower than -100."""
    return np.log(np.maximum(x, np.exp(-100.0)))


def bce(x: Array, target: Array, weight: Array | None = None, reduction: str = "mean") -> Array:
    """-(t log x + (1 - t) log(1 - x)) of probabilities x; both logs no lower than -100."""
    scale = 1.0 if weight is None else weight
    values = -(target * _clamped_log(x) + (1 - target) * _clamped_log(1 - x))
    return _reduce(scale * values, reduction)


def bce_backward(
    dy: Array,
    x: Array,
    target: Array,
    weight: Array | None = None,
    reduction: str = "mean",
) -> tuple[Array, Array]:
    """dx = (x - t) / (x (1 - x)), its denominator no lower than 1e-12."""
    dvalues = _reduce_backward(dy, x, reduction) * (1.0 if weight is None else weight)
    dx = dvalues * (x - target) / np.maximum(x * (1 - x), 1e-12)
    return dx, dvalues * (_clamped_log(1 - x) - _clamped_log(x))


def bce_with_logits(
    x: Array,
    target: Array,
    weight: Array | None = None,
    reduction: str = "mean",
    pos_weight: Array | None = None,
) -> Array:
    """-(pos_weight t log sigmoid(x) + (1 - t) log sigmoid(-x)); the weights broadcast."""
    scale = 1.0 if weight is None else weight
    positive = 1.0 if pos_weight is None else pos_weight
    values = -(positive * target * log_sigmoid(x) + (1 - target) * log_sigmoid(-x))
    return _reduce(scale * values, reduction)


def bce_with_logits_backward(
    dy: Array,
    x: Array,
    target: Array,
    weight: Array | None = None,
    reduction: str = "mean",
    pos_weight: Array | None = None,
) -> tuple[Array, Array]:
    dvalues = _reduce_backward(dy, x, reduction) * (1.0 if weight is None else weight)
    positive = 1.0 if pos_weight is None else pos_weight
    dx = dvalues * ((1 - target) * sigmoid(x) - positive * target * sigmoid(-x))
    return dx, dvalues * (log_sigmoid(-x) - positive * log_sigmoid(x))


def kl_div(x: Array, target: Array, reduction: str = "mean", log_target: bool = False) -> Array:
    """t (log t - x) of log-probabilities x, 0 where t = 0; log_target: target holds log t."""
    if log_target:
        return _reduce(np.exp(target) * (target - x), reduction)
    log_t = np.log(np.where(target == 0, 1, target))
    return _reduce(target * (log_t - x), reduction)


def kl_div_backward(
    dy: Array, x: Array, target: Array, reduction: str = "mean", log_target: bool = False
) -> tuple[Array, Array]:
    dvalues = _reduce_backward(dy, x, reduction)
    if log_target:
        t = np.exp(target)
        return -dvalues * t, dvalues * t * (target - x + 1)
    return -dvalues * target, dvalues * (np.log(target) + 1 - x)


def _class_axis(x: Array) -> int:
    return 1 if x.ndim > 1 else 0


def _class_shares(
    x: Array,
    target: Ids | Array,
    weight: Array | None,
    ignore_index: int,
    label_smoothing: float,
) -> tuple[Array, Array]:
    """How much -log p of each class counts, in the shape of x, and the weight of each position.

    Index targets are one-hot, spread by label_smoothing over all classes; a position weighs
    weight[target], an ignored one 0. Probability targets (same shape as x) weigh 1 each.
    """
    axis = _class_axis(x)
    classes = x.shape[axis]
    class_weight = np.ones(classes) if weight is None else weight
    if np.issubdtype(target.dtype, np.integer):
        kept = target != ignore_index
        safe = np.where(kept, target, 0)
        distribution = np.moveaxis(np.eye(classes)[safe], -1, axis)
        position_weight = kept * class_weight[safe]
    else:
        kept = np.ones(np.sum(x, axis=axis).shape, dtype=bool)
        distribution = np.asarray(target, np.float64)
        position_weight = np.ones(kept.shape)
    distribution = (1 - label_smoothing) * distribution + label_smoothing / classes
    per_class = np.expand_dims(class_weight, tuple(range(1, x.ndim - axis)))
    return distribution * per_class * np.expand_dims(kept, axis), position_weight


def _weighted(shares: Array, values: Array) -> Array:
    """shares * values where a share of 0 silences even an infinite value."""
    return np.where(shares == 0, 0, shares * np.where(shares == 0, 0, values))


def _reduce_positions(values: Array, position_weight: Array, x: Array, reduction: str) -> Array:
    per_position = np.sum(values, axis=_class_axis(x))
    if reduction == "none":
        return np.asarray(per_position)
    with np.errstate(invalid="ignore"):  # the mean over no positions is NaN
        divisor = np.sum(position_weight) if reduction == "mean" else 1.0
        return np.asarray(np.sum(per_position) / divisor)


def _reduce_positions_backward(
    dy: Array, position_weight: Array, x: Array, reduction: str
) -> Array:
    """dy of each position, with a class axis of size 1."""
    with np.errstate(invalid="ignore", divide="ignore"):
        dy = dy / np.sum(position_weight) if reduction == "mean" else dy
    return np.expand_dims(np.broadcast_to(dy, position_weight.shape), _class_axis(x))


def nll(
    x: Array,
    target: Ids,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Array:
    """-weight[t] x[t] of log-probabilities x; "mean" divides by the sum of the weights used."""
    shares, position_weight = _class_shares(x, target, weight, ignore_index, 0.0)
    return _reduce_positions(_weighted(shares, -x), position_weight, x, reduction)


def nll_backward(
    dy: Array,
    x: Array,
    target: Ids,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Array:
    shares, position_weight = _class_shares(x, target, weight, ignore_index, 0.0)
    return _weighted(-shares, _reduce_positions_backward(dy, position_weight, x, reduction))


def cross_entropy(
    x: Array,
    target: Ids | Array,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Array:
    """nll of log_softmax(x); target holds class indices, or probabilities in the shape of x."""
    shares, position_weight = _class_shares(x, target, weight, ignore_index, label_smoothing)
    log_p = log_softmax(x, _class_axis(x))
    return _reduce_positions(_weighted(shares, -log_p), position_weight, x, reduction)


def cross_entropy_backward(
    dy: Array,
    x: Array,
    target: Ids | Array,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Array:
    """dx_c = softmax(x)_c * (sum of shares) - share_c."""
    axis = _class_axis(x)
    shares, position_weight = _class_shares(x, target, weight, ignore_index, label_smoothing)
    dx = softmax(x, axis) * np.sum(shares, axis=axis, keepdims=True) - shares
    return _weighted(dx, _reduce_positions_backward(dy, position_weight, x, reduction))


def sequence_cross_entropy(
    x: Array, target: Ids, lengths: Ids, weight: Array | None, ignore_index: int, reduction: str
) -> Array:
    """x (N, T, C), target (N, T): the cross-entropy of each sequence's own steps, one by one."""
    steps = [(i, t) for i in range(len(x)) for t in range(lengths[i])]
    logits = np.stack([x[step] for step in steps])
    labels = np.stack([target[step] for step in steps])
    if reduction != "none":
        return cross_entropy(logits, labels, weight, ignore_index, reduction)
    y = np.zeros(target.shape)
    y[tuple(np.transpose(steps))] = cross_entropy(logits, labels, weight, ignore_index, "none")
    return y

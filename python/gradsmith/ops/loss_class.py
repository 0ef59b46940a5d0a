# SPDX-License-Identifier: Apache-2.0
"""Losses of class scores: cross-entropy of logits, negative log-likelihood of log-probabilities.

The classes are dimension 1 of the input, or dimension 0 of a single unbatched one.
"""

from __future__ import annotations

import math
from typing import Any

from gradsmith.autograd import Node, cast_up, is_grad_enabled, record
from gradsmith.backend import EXTENSIONS, FLOATING, Array
from gradsmith.ops.creation import arange
from gradsmith.ops.elementwise import add, div, eq, logical_and, mul, ne, neg, sub, to, where
from gradsmith.ops.loss_checks import reduced
from gradsmith.ops.options import check_int, check_number
from gradsmith.ops.reduce import sum
from gradsmith.ops.shape import reshape, unsqueeze
from gradsmith.ops.softmax import log_softmax, softmax
from gradsmith.tensor import Tensor, array_of, constant_array_of, wrap


def _class_axis(x: Tensor) -> int:
    return 1 if x.ndim > 1 else 0


def _weight_array(op: str, weight: Tensor | None) -> Array | None:
    """Return the array of class weights, which are constants of the loss of class indices."""
    return None if weight is None else constant_array_of(op, weight, "weight")


def _per_class(weight: Tensor, x: Tensor) -> Tensor:
    """Return the class weights (C) in a shape that broadcasts along the classes of x."""
    trailing = (1,) * (x.ndim - _class_axis(x) - 1)
    return reshape(to(weight, x.dtype), (x.shape[_class_axis(x)], *trailing))


def _class_shares(
    x: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, label_smoothing: float
) -> Tensor:
    """Return how much -log p of each class counts, in the shape of x."""
    axis = _class_axis(x)
    classes = x.shape[axis]
    labels = unsqueeze(target, axis)
    numbers = reshape(arange(classes, device=x.device), (classes,) + (1,) * (x.ndim - axis - 1))
    hits = to(eq(labels, numbers), x.dtype)
    shares = add(mul(hits, 1 - label_smoothing), label_smoothing / classes if classes else 0.0)
    if weight is not None:
        shares = mul(shares, _per_class(weight, x))
    return where(ne(labels, ignore_index), shares, 0.0)


def _cross_entropy_backward(node: Node, dy: Tensor) -> Any:
    x, target, weight, ignore_index, reduction, label_smoothing, statistics = node.saved
    total_weight = statistics[2]
    if not is_grad_enabled():
        dx = EXTENSIONS[type(dy._array)].cross_entropy_backward(
            x._array,
            target._array,
            None if weight is None else weight._array,
            ignore_index,
            reduction,
            label_smoothing,
            *statistics,
            dy._array,
        )
        return (wrap(dx),)
    axis = _class_axis(x)
    shares = _class_shares(x, target, weight, ignore_index, label_smoothing)
    slope = sub(mul(softmax(x, axis), sum(shares, axis, keepdim=True)), shares)
    if reduction == "none":
        return (mul(slope, unsqueeze(dy, axis)),)
    if reduction == "mean":
        divisor = wrap(total_weight)
        # Without a position that counts, all shares are 0; 0 / 0 would not leave them that.
        dy = to(div(dy, where(eq(divisor, 0.0), 1.0, divisor)), dy.dtype)
    return (mul(slope, dy),)


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Return the negative logarithm of the probability that the softmax of the input gives.

    Args:
        input: logits (N, C), (N, C, d1, ...) or (C).
        target: class indices (N), (N, d1, ...) or (), or probabilities in the shape of the input.
        weight: (C), factor of each class's loss; a constant with class indices.
        ignore_index: a target that counts for nothing; only for class indices.
        reduction: ``"mean"`` (divides by the sum of the targets' weights, or by the number of
            positions if the targets are probabilities), ``"sum"`` or ``"none"``.
        label_smoothing: share of the target in [0, 1] that is spread evenly over all classes.

    Raises:
        ValueError: the shapes do not fit, or an option is out of range.
        TypeError: the input is not floating, or the target is bool or of another floating dtype.
        IndexError: a class index is out of range and not ``ignore_index``.
    """
    op = "cross_entropy"
    input, target = cast_up(input), cast_up(target)
    x, labels = array_of(op, input), array_of(op, target, "target")
    ignore_index = check_int(op, "ignore_index", ignore_index)
    label_smoothing = check_number(op, "label_smoothing", label_smoothing)
    if labels.dtype in FLOATING:
        return _soft_cross_entropy(input, target, weight, ignore_index, reduction, label_smoothing)
    y, *statistics = EXTENSIONS[type(x)].cross_entropy_forward(
        x, labels, _weight_array(op, weight), ignore_index, reduction, label_smoothing
    )
    options = (ignore_index, reduction, label_smoothing, statistics)
    return record(_cross_entropy_backward, y, (input,), (input, target, weight, *options))


def _soft_cross_entropy(
    x: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
) -> Tensor:
    """Return the cross-entropy of target probabilities, composed of other functions."""
    op = "cross_entropy"
    if x.shape != target.shape or not x.ndim:
        raise ValueError(
            f"{op}: input has shape {x.shape} and target {target.shape}, expected probabilities in "
            "the shape of the input (class indices are integers)"
        )
    if x.dtype != target.dtype:
        raise TypeError(f"{op}: target is {target.dtype}, expected {x.dtype} as input is")
    if ignore_index >= 0:
        raise ValueError(
            f"{op}: ignore_index is {ignore_index}, expected none with probabilities as target"
        )
    if not 0 <= label_smoothing <= 1:
        raise ValueError(
            f"{op}: label_smoothing is {label_smoothing}, expected a number from 0 to 1"
        )
    axis = _class_axis(x)
    classes = x.shape[axis]
    if weight is not None and array_of(op, weight, "weight").shape != (classes,):
        raise ValueError(f"{op}: weight has shape {weight.shape}, expected ({classes},)")
    shares = target
    if label_smoothing:
        shares = add(mul(target, 1 - label_smoothing), label_smoothing / max(classes, 1))
    if weight is not None:
        shares = mul(shares, _per_class(weight, x))
    log_p = log_softmax(x, axis)
    # A class that has no share is silent, also where its probability is 0.
    silent = logical_and(eq(shares, 0.0), eq(log_p, -math.inf))
    losses = neg(sum(mul(shares, where(silent, 0.0, log_p)), axis))
    return reduced(op, losses, reduction)


def _nll_slope_backward(node: Node, ddx: Tensor) -> Any:
    """The slope is linear in dy, with the loss itself as its transpose."""
    _, target, weight, ignore_index, reduction, _ = node.saved
    return (nll_loss(ddx, target, weight, ignore_index, reduction),)


def _nll_loss_backward(node: Node, dy: Tensor) -> Any:
    x, target, weight, ignore_index, reduction, total_weight = node.saved
    dx = EXTENSIONS[type(dy._array)].nll_loss_backward(
        x._array,
        target._array,
        None if weight is None else weight._array,
        ignore_index,
        reduction,
        total_weight,
        dy._array,
    )
    return (record(_nll_slope_backward, dx, (dy,), node.saved),)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """Return minus the log-probability of each target class.

    Args:
        input: log-probabilities (N, C), (N, C, d1, ...) or (C).
        target: class indices (N), (N, d1, ...) or ().
        weight: (C), factor of each class's loss; a constant.
        ignore_index: a target that counts for nothing.
        reduction: ``"mean"`` (divides by the sum of the targets' weights), ``"sum"`` or
            ``"none"``.

    Raises:
        ValueError: the shapes do not fit, or the reduction is unknown.
        TypeError: the input is not floating, or the target holds no integers.
        IndexError: a class index is out of range and not ``ignore_index``.
    """
    op = "nll_loss"
    input = cast_up(input)
    x, labels = array_of(op, input), array_of(op, target, "target")
    ignore_index = check_int(op, "ignore_index", ignore_index)
    y, total_weight = EXTENSIONS[type(x)].nll_loss_forward(
        x, labels, _weight_array(op, weight), ignore_index, reduction
    )
    saved = (input, target, weight, ignore_index, reduction, total_weight)
    return record(_nll_loss_backward, y, (input,), saved)

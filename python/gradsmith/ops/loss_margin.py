# SPDX-License-Identifier: Apache-2.0
"""Losses that ask for a margin between scores: of two classes, of several, of pairs."""

from __future__ import annotations

from gradsmith.backend import FLOATING
from gradsmith.ops.creation import arange
from gradsmith.ops.elementwise import to, where
from gradsmith.ops.elementwise_activation import relu
from gradsmith.ops.elementwise_gates import soft_margin
from gradsmith.ops.indexing import gather
from gradsmith.ops.loss import binary_cross_entropy_with_logits
from gradsmith.ops.loss_checks import (
    check_alike,
    check_classes,
    check_floating,
    reduced,
    signs_of,
)
from gradsmith.ops.options import check_int, check_number, names_errors
from gradsmith.ops.shape import unsqueeze
from gradsmith.tensor import Tensor, array_of


def _shortfall(op: str, input: Tensor, target: Tensor) -> Tensor:
    """Return how much each score lacks to a margin of 1 on its side, ``max(0, 1 - t x)``."""
    signs = signs_of(op, target, check_floating(op, "input", input).shape, input)
    return relu(1 - signs * input)


@names_errors
def hinge_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Return ``max(0, 1 - target input)``, the loss of support vector machines (Vapnik 1995).

    Args:
        input: scores of any shape.
        target: labels -1 and 1 of the same shape, of any dtype.
        reduction: ``"mean"`` or ``"sum"`` over all elements, or ``"none"``.

    Raises:
        ValueError: the shapes differ, a label is neither, or the reduction is unknown.
        TypeError: the input is not floating.
    """
    return reduced("hinge_loss", _shortfall("hinge_loss", input, target), reduction)


@names_errors
def squared_hinge_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Return ``max(0, 1 - target input)**2`` (arguments and errors: `hinge_loss`)."""
    op = "squared_hinge_loss"
    return reduced(op, _shortfall(op, input, target).square(), reduction)


@names_errors
def soft_margin_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Return ``log(1 + exp(-target input))``, the logistic loss of labels -1 and 1.

    Arguments and errors: `hinge_loss`.
    """
    op = "soft_margin_loss"
    signs = signs_of(op, target, check_floating(op, "input", input).shape, input)
    return reduced(op, soft_margin(input, signs), reduction)


def _rows(op: str, input: Tensor) -> Tensor:
    """Return scores (N, C) as they are, (C) as (1, C)."""
    if check_floating(op, "input", input).ndim not in (1, 2):
        raise ValueError(f"{op}: input has shape {input.shape}, expected (N, C) or (C)")
    return unsqueeze(input, 0) if input.ndim == 1 else input


@names_errors
def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return the mean over classes of ``max(0, margin - x[target] + x[c])**p``, c not the target.

    Args:
        input: scores (N, C) or (C).
        target: class indices (N) or ().
        p: 1 or 2.
        margin: by how much the target's score shall exceed the others.
        weight: (C), factor of each class's loss; a constant.
        reduction: ``"mean"`` or ``"sum"`` over the samples, or ``"none"``.

    Raises:
        ValueError: the shapes do not fit, or an option is out of range.
        TypeError: the input is not floating, or the target holds no integers.
        IndexError: a class index is out of range.
    """
    op = "multi_margin_loss"
    rows = _rows(op, input)
    classes = rows.shape[1]
    labels = check_classes(op, "target", target, classes)
    if labels.shape != input.shape[:-1]:
        raise ValueError(
            f"{op}: input has shape {input.shape} and target {target.shape}, expected classes "
            f"{input.shape[:-1]}"
        )
    if check_int(op, "p", p) not in (1, 2):
        raise ValueError(f"{op}: p is {p}, expected 1 or 2")
    labels = labels.reshape(-1, 1)
    short = relu(rows - gather(rows, 1, labels) + check_number(op, "margin", margin))
    if p == 2:
        short = short.square()
    if weight is not None:
        short = short * _class_weight(op, weight, rows)[labels]
    others = arange(classes, device=rows.device).ne(labels)
    losses = where(others, short, 0.0).sum(1) / max(classes, 1)
    return reduced(op, losses.reshape(input.shape[:-1]), reduction)


def _class_weight(op: str, weight: Tensor, rows: Tensor) -> Tensor:
    if array_of(op, weight, "weight").dtype != rows.dtype:
        raise TypeError(f"{op}: weight is {weight.dtype}, expected {rows.dtype} as input is")
    if weight.shape != rows.shape[1:]:
        raise ValueError(f"{op}: weight has shape {weight.shape}, expected {rows.shape[1:]}")
    return weight


@names_errors
def multilabel_margin_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Return the sum of ``max(0, 1 - x[t] + x[c]) / C`` over classes t in and c not in the target.

    Args:
        input: scores (N, C) or (C).
        target: class indices in the shape of the input, each row's up to its first -1.
        reduction: ``"mean"`` or ``"sum"`` over the samples, or ``"none"``.

    Raises:
        ValueError: the shapes differ, or the reduction is unknown.
        TypeError: the input is not floating, or the target holds no integers.
        IndexError: a class index is out of range.
    """
    op = "multilabel_margin_loss"
    rows = _rows(op, input)
    if array_of(op, target, "target").shape != input.shape:
        raise ValueError(
            f"{op}: input has shape {input.shape} and target {target.shape}, expected equal shapes"
        )
    classes = rows.shape[1]
    ends = target.lt(0).to("int64").cumsum(-1).reshape(rows.shape)
    listed = ends.eq(0)
    labels = check_classes(
        op, "target", where(listed, target.reshape(rows.shape), target.new_zeros(())), classes
    )
    names = unsqueeze(labels, 2).eq(arange(classes, device=rows.device))  # (N, place, class)
    names = names.logical_and(unsqueeze(listed, 2))
    counted = unsqueeze(listed, 2).logical_and(unsqueeze(names.any(1), 1).logical_not())
    short = relu(unsqueeze(rows, 1) - unsqueeze(gather(rows, 1, labels), 2) + 1)
    losses = where(counted, short, 0.0).sum((1, 2)) / max(classes, 1)
    return reduced(op, losses.reshape(input.shape[:-1]), reduction)


@names_errors
def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """Return the mean over classes of the binary cross-entropy of logits.

    Args:
        input: logits (..., C).
        target: tensor of the same shape, of its dtype or of integers, usually zeros and ones.
        weight: (C), factor of each class's loss.
        reduction: ``"mean"`` or ``"sum"`` over the samples, or ``"none"``.

    Raises:
        ValueError: the shapes do not fit, or the reduction is unknown.
        TypeError: the dtypes differ or are not floating.
    """
    op = "multilabel_soft_margin_loss"
    if array_of(op, target, "target").dtype not in FLOATING:
        target = to(target, array_of(op, input).dtype)
    check_alike(op, input=input, target=target)
    if not input.ndim:
        raise ValueError(f"{op}: input has shape (), expected (..., C)")
    losses = binary_cross_entropy_with_logits(input, target, weight, reduction="none")
    return reduced(op, losses.mean(-1), reduction)


@names_errors
def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: str = "mean"
) -> Tensor:
    """Return ``max(0, margin - target (input1 - input2))``: which of two shall score higher.

    Args:
        input1: scores of any shape.
        input2: scores of the same shape and dtype.
        target: 1 where the first shall be higher, -1 where the second; of any dtype.
        margin: by how much.
        reduction: ``"mean"`` or ``"sum"`` over all elements, or ``"none"``.

    Raises:
        ValueError: the shapes differ, a label is neither, or the reduction is unknown.
        TypeError: the dtypes differ or are not floating.
    """
    op = "margin_ranking_loss"
    check_alike(op, input1=input1, input2=input2)
    signs = signs_of(op, target, input1.shape, input1)
    short = check_number(op, "margin", margin) - signs * (input1 - input2)
    return reduced(op, short.clamp(min=0.0), reduction)


@names_errors
def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """Return the distance of similar pairs, ``max(0, margin - distance)`` of others.

    Args:
        input: distances of any shape.
        target: 1 for similar pairs, -1 for others; the same shape, of any dtype.
        margin: how far apart others shall be.
        reduction: ``"mean"`` or ``"sum"`` over all elements, or ``"none"``.

    Raises:
        ValueError: the shapes differ, a label is neither, or the reduction is unknown.
        TypeError: the input is not floating.
    """
    op = "hinge_embedding_loss"
    signs = signs_of(op, target, check_floating(op, "input", input).shape, input)
    apart = (check_number(op, "margin", margin) - input).clamp(min=0.0)
    return reduced(op, where(signs.gt(0), input, apart), reduction)

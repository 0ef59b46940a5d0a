# SPDX-License-Identifier: Apache-2.0
"""Losses of dense predictions, where one class is rare: focal, Dice and Jaccard."""

from __future__ import annotations

from typing import Any

from gradsmith.ops.creation import arange
from gradsmith.ops.elementwise import where
from gradsmith.ops.elementwise_activation import logsigmoid
from gradsmith.ops.indexing import gather
from gradsmith.ops.loss_checks import (
    check_alike,
    check_at_least,
    check_classes,
    check_floating,
    check_positive,
    check_shares,
    reduced,
)
from gradsmith.ops.options import names_errors
from gradsmith.ops.shape import flatten, unsqueeze
from gradsmith.ops.softmax import log_softmax
from gradsmith.tensor import Tensor, array_of

_FOCAL = "focal_loss"


def _binary_focal(x: Tensor, target: Tensor, alpha: Any, gamma: float) -> Tensor:
    """Return -(1 - p)^gamma log p of targets 1 and -p^gamma log(1 - p) of targets 0.

    The powers are taken as exponentials of logarithms, whose slopes are finite everywhere.
    """
    check_shares(_FOCAL, "target", target)
    log_p, log_rest = logsigmoid(x), logsigmoid(-x)
    hits = target * (log_rest * gamma).exp() * log_p
    misses = (1 - target) * (log_p * gamma).exp() * log_rest
    if alpha is not None:
        share = check_at_least(_FOCAL, "alpha", alpha)
        if share > 1:
            raise ValueError(f"{_FOCAL}: alpha is {share}, expected a number from 0 to 1")
        hits, misses = hits * share, misses * (1 - share)
    return -(hits + misses)


def _class_focal(x: Tensor, target: Tensor, alpha: Any, gamma: float) -> Tensor:
    """Return -(1 - p)^gamma log p of the softmax's probability p of the target class."""
    labels = check_classes(_FOCAL, "target", target, x.shape[1])
    log_p = gather(log_softmax(x, 1), 1, unsqueeze(labels, 1)).squeeze(1)
    losses = -log_p
    if gamma:
        rest = -log_p.expm1()
        certain = rest.detach().eq(0)  # where a power below 1 would have an infinite slope
        losses = where(certain, 0.0, where(certain, 1.0, rest).pow(gamma) * losses)
    if alpha is None:
        return losses
    if array_of(_FOCAL, alpha, "alpha").shape != x.shape[1:2]:
        raise ValueError(f"{_FOCAL}: alpha has shape {alpha.shape}, expected {x.shape[1:2]}")
    weights: Tensor = alpha.to(x.dtype)[labels]
    return losses * weights


@names_errors
def focal_loss(
    input: Tensor,
    target: Tensor,
    alpha: Tensor | float | None = None,
    gamma: float = 2.0,
    reduction: str = "mean",
) -> Tensor:
    """Return the cross-entropy times ``(1 - p)**gamma``, p the probability of the target.

    What is already recognised counts little (Lin et al. 2017, whose alpha is 0.25).

    Args:
        input: logits: of any shape for two classes, (N, C, ...) for several.
        target: for two classes a floating tensor of the same shape, usually of zeros and ones;
            for several class indices (N, ...).
        alpha: for two classes a number: the weight of positive targets, others weigh
            ``1 - alpha``; for several a tensor (C) of weights. None: all weigh 1.
        gamma: how strongly; 0 gives the cross-entropy.
        reduction: ``"mean"`` or ``"sum"`` over all elements or positions, or ``"none"``.

    Raises:
        ValueError: the shapes do not fit, or an option is out of range.
        TypeError: the input is not floating, or ``alpha`` is of the wrong kind.
        IndexError: a class index is out of range.
    """
    gamma = check_at_least(_FOCAL, "gamma", gamma)
    check_floating(_FOCAL, "input", input)
    if array_of(_FOCAL, target, "target").dtype.kind not in "iu":
        check_alike(_FOCAL, input=input, target=target)
        return reduced(_FOCAL, _binary_focal(input, target, alpha, gamma), reduction)
    if input.ndim < 2 or target.shape != input.shape[:1] + input.shape[2:]:
        raise ValueError(
            f"{_FOCAL}: input has shape {input.shape} and target {target.shape}, expected (N, C, "
            "...) and class indices (N, ...), or a floating target in the shape of the input"
        )
    return reduced(_FOCAL, _class_focal(input, target, alpha, gamma), reduction)


def _regions(op: str, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return shares of membership (N, C, positions) of input and target."""
    if check_floating(op, "input", input).ndim < 3:
        raise ValueError(f"{op}: input has shape {input.shape}, expected (N, C, d1, ...)")
    check_shares(op, "input", input)
    if array_of(op, target, "target").dtype.kind in "iu":
        if target.shape != input.shape[:1] + input.shape[2:]:
            raise ValueError(
                f"{op}: input has shape {input.shape} and target {target.shape}, expected class "
                f"indices {input.shape[:1] + input.shape[2:]}"
            )
        labels = unsqueeze(flatten(check_classes(op, "target", target, input.shape[1]), 1), 1)
        classes = arange(input.shape[1], device=input.device).reshape(-1, 1)
        return flatten(input, 2), labels.eq(classes).to(input.dtype)
    check_alike(op, input=input, target=target)
    check_shares(op, "target", target)
    return flatten(input, 2), flatten(target, 2)


@names_errors
def dice_loss(
    input: Tensor, target: Tensor, smooth: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """Return ``1 - (2 sum(p t) + smooth) / (sum(p**2) + sum(t**2) + smooth)`` per class.

    The sums go over the positions of an image (Milletari et al. 2016, eq. 3).

    Args:
        input: probabilities (N, C, d1, ...).
        target: probabilities or zeros and ones of the same shape and dtype, or class indices
            (N, d1, ...).
        smooth: defines the loss of a class that is nowhere, positive.
        reduction: ``"mean"`` or ``"sum"`` over images and classes, or ``"none"``: (N, C).

    Raises:
        ValueError: the shapes do not fit, a value lies outside [0, 1], an option is out of range.
        TypeError: the input is not floating, or the dtypes do not fit.
        IndexError: a class index is out of range.
    """
    op = "dice_loss"
    p, t = _regions(op, input, target)
    smooth = check_positive(op, "smooth", smooth)
    sizes = p.square().sum(2) + t.square().sum(2)
    return reduced(op, 1 - ((p * t).sum(2) * 2.0 + smooth) / (sizes + smooth), reduction)


@names_errors
def jaccard_loss(
    input: Tensor, target: Tensor, smooth: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """Return ``1 - (sum(p t) + smooth) / (sum(p) + sum(t) - sum(p t) + smooth)`` per class.

    One minus the intersection over the union (Rahman and Wang 2016). Arguments and errors:
    `dice_loss`.
    """
    op = "jaccard_loss"
    p, t = _regions(op, input, target)
    smooth = check_positive(op, "smooth", smooth)
    common = (p * t).sum(2)
    union = p.sum(2) + t.sum(2) - common
    return reduced(op, 1 - (common + smooth) / (union + smooth), reduction)

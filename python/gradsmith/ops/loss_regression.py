# SPDX-License-Identifier: Apache-2.0
"""Losses of predicted numbers, and of the parameters of their distributions."""

from __future__ import annotations

import math

from gradsmith.ops.creation import full_like
from gradsmith.ops.elementwise import where
from gradsmith.ops.elementwise_activation import softplus
from gradsmith.ops.loss import mse_loss
from gradsmith.ops.loss_checks import check_alike, check_at_least, check_positive, reduced
from gradsmith.ops.options import check_flag, check_number, names_errors
from gradsmith.ops.shape import unsqueeze
from gradsmith.tensor import Tensor, array_of


def _sum_of_squares(op: str, input: Tensor, target: Tensor) -> Tensor:
    check_alike(op, input=input, target=target)
    return mse_loss(input, target, "sum")


@names_errors
def sum_squared_error(input: Tensor, target: Tensor) -> Tensor:
    """Return the sum of the squared differences over all elements.

    Raises:
        ValueError: the shapes differ.
        TypeError: the dtypes differ or are not floating.
    """
    return _sum_of_squares("sum_squared_error", input, target)


@names_errors
def half_sum_squared_error(input: Tensor, target: Tensor) -> Tensor:
    """Return half the sum of the squared differences, whose slope is the difference.

    Raises:
        ValueError: the shapes differ.
        TypeError: the dtypes differ or are not floating.
    """
    return _sum_of_squares("half_sum_squared_error", input, target) * 0.5


@names_errors
def pseudo_huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0
) -> Tensor:
    """Return ``delta**2 (sqrt(1 + (d / delta)**2) - 1)`` of the difference d.

    The smooth Huber loss (Charbonnier 1994): half the square near 0, slope ``delta`` far away.

    Args:
        input: floating tensor of any shape.
        target: tensor of the same shape and dtype.
        reduction: ``"mean"`` or ``"sum"`` over all elements, or ``"none"``.
        delta: where it turns from a square into a line.

    Raises:
        ValueError: the shapes differ, the reduction is unknown, or ``delta`` is not positive.
        TypeError: the dtypes differ or are not floating.
    """
    op = "pseudo_huber_loss"
    check_alike(op, input=input, target=target)
    width = check_positive(op, "delta", delta)
    ratio = ((input - target) / width).square()
    # sqrt(1 + r) - 1 without its cancellation for small r.
    return reduced(op, ratio * width**2 / ((1 + ratio).sqrt() + 1), reduction)


@names_errors
def log_cosh_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Return ``log(cosh(input - target))``, exact near 0 and for differences of any size.

    Args:
        input: floating tensor of any shape.
        target: tensor of the same shape and dtype.
        reduction: ``"mean"`` or ``"sum"`` over all elements, or ``"none"``.

    Raises:
        ValueError: the shapes differ, or the reduction is unknown.
        TypeError: the dtypes differ or are not floating.
    """
    op = "log_cosh_loss"
    check_alike(op, input=input, target=target)
    difference = input - target
    small = difference.detach().abs().lt(1)
    # log cosh d = log(1 + 2 sinh(d / 2)^2), which does not cancel, but overflows for large d.
    near = (where(small, difference, 0.0) * 0.5).sinh().square() * 2.0
    size = difference.abs()
    far = size + softplus(size * -2.0) - math.log(2.0)
    return reduced(op, where(small, near.log1p(), far), reduction)


@names_errors
def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Tensor:
    """Return the negative log-likelihood of counts under Poisson distributions.

    Args:
        input: logarithms of the rates, or the rates, of any shape.
        target: counts, a tensor of the same shape and dtype.
        log_input: whether the input holds logarithms: ``exp(input) - target input``, else
            ``input - target log(input + eps)``.
        full: whether to add Stirling's approximation of ``log(target!)`` for targets above 1.
        eps: keeps the logarithm of a rate finite.
        reduction: ``"mean"`` or ``"sum"`` over all elements, or ``"none"``.

    Raises:
        ValueError: the shapes differ, or the reduction is unknown.
        TypeError: the dtypes differ or are not floating.
    """
    op = "poisson_nll_loss"
    check_alike(op, input=input, target=target)
    eps = check_number(op, "eps", eps)
    if check_flag(op, "log_input", log_input):
        losses = input.exp() - target * input
    else:
        losses = input - target * (input + eps).log()
    if check_flag(op, "full", full):
        many = target.detach().gt(1)
        counts = where(many, target, 1.0)
        stirling = counts * counts.log() - counts + (counts * (2 * math.pi)).log() * 0.5
        losses = losses + where(many, stirling, 0.0)
    return reduced(op, losses, reduction)


def _variances(op: str, input: Tensor, var: Tensor | float) -> Tensor:
    """Return variances that broadcast to the input."""
    if not isinstance(var, Tensor):
        return full_like(input, check_at_least(op, "var", var))
    if array_of(op, var, "var").dtype != input.dtype:
        raise TypeError(f"{op}: var is {var.dtype}, expected {input.dtype} as input is")
    if var.shape == input.shape[:-1] and input.ndim:
        var = unsqueeze(var, -1)
    pairs = zip(var.shape, input.shape, strict=False)
    if var.ndim != input.ndim or not all(size in (1, full) for size, full in pairs):
        raise ValueError(
            f"{op}: input has shape {input.shape} and var {var.shape}, expected the input's with "
            "any sizes 1, or without its last size"
        )
    if var.numel() and var.detach().lt(0).any().item():
        raise ValueError(f"{op}: var has negative elements, expected variances")
    return var


@names_errors
def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """Return the negative log-likelihood ``(log var + (input - target)**2 / var) / 2``.

    Args:
        input: means of normal distributions, of any shape.
        target: tensor of the same shape and dtype.
        var: variances in that shape, or one for all along some dimensions (of size 1 there; the
            last may be missing), or a number.
        full: whether to add the constant ``log(2 pi) / 2``.
        eps: smallest variance; smaller ones count as it, which their gradient does not see.
        reduction: ``"mean"`` or ``"sum"`` over all elements, or ``"none"``.

    Raises:
        ValueError: the shapes do not fit, a variance is negative, or the reduction is unknown.
        TypeError: the dtypes differ or are not floating.
    """
    op = "gaussian_nll_loss"
    check_alike(op, input=input, target=target)
    eps = check_number(op, "eps", eps)
    variances = _variances(op, input, var)
    small = variances.detach().lt(eps)
    variances = variances + where(small, eps - variances.detach(), 0.0)
    losses = (variances.log() + (input - target).square() / variances) * 0.5
    if check_flag(op, "full", full):
        losses = losses + 0.5 * math.log(2 * math.pi)
    return reduced(op, losses, reduction)

# SPDX-License-Identifier: Apache-2.0
"""Elementwise losses of an input and a target of one shape; `loss_class` has those of classes.

Value and first derivative are one fused kernel each. With ``create_graph`` the derivative is
written in differentiable functions instead, which gives the higher ones. A loss never broadcasts
its target.
"""

from __future__ import annotations

from typing import Any

from gradsmith.autograd import Node, cast_up, is_grad_enabled, record
from gradsmith.backend import EXTENSIONS
from gradsmith.ops.elementwise import add, div, mul, neg, sub
from gradsmith.ops.elementwise_activation import logsigmoid
from gradsmith.ops.elementwise_math import exp, log, sigmoid
from gradsmith.ops.elementwise_round import clamp, sign
from gradsmith.ops.loss_checks import check_alike, reduced
from gradsmith.ops.options import check_number
from gradsmith.ops.reduce import sum, sum_to
from gradsmith.ops.shape import expand
from gradsmith.tensor import Tensor, array_of, wrap

_BCE_LOGITS = "binary_cross_entropy_with_logits"


def _input_slope(op: str, x: Tensor, target: Tensor, positive: Any, option: float) -> Tensor:
    """Return the derivative of each element's loss along the input."""
    if op == "mse_loss":
        return mul(sub(x, target), 2.0)
    if op == "huber_loss":
        return clamp(sub(x, target), -option, option)
    if op == "smooth_l1_loss" and option > 0:
        return clamp(div(sub(x, target), option), -1.0, 1.0)
    if op in ("l1_loss", "smooth_l1_loss"):
        return sign(sub(x, target))
    if op == "binary_cross_entropy":
        return div(sub(x, target), clamp(mul(x, sub(1, x)), min=1e-12))
    if op == _BCE_LOGITS:
        if positive is None:
            return sub(sigmoid(x), target)
        pull = mul(mul(target, positive), sigmoid(neg(x)))
        return sub(mul(sub(1, target), sigmoid(x)), pull)
    return neg(exp(target) if option else target)


def _target_slope(op: str, x: Tensor, target: Tensor, positive: Any, option: float) -> Tensor:
    """Return the derivative of each element's loss along the target."""
    if op == "binary_cross_entropy":
        return sub(clamp(log(sub(1, x)), min=-100.0), clamp(log(x), min=-100.0))
    if op == _BCE_LOGITS:
        if positive is None:
            return neg(x)
        return sub(logsigmoid(neg(x)), mul(logsigmoid(x), positive))
    if op == "kl_div":
        if option:
            return mul(exp(target), add(sub(target, x), 1))
        return sub(add(log(target), 1), x)
    return neg(_input_slope(op, x, target, positive, option))


def _pointwise_loss_backward(node: Node, dy: Tensor) -> Any:
    op, x, target, positive, reduction, option = node.saved
    if not is_grad_enabled() and not node.needs(2):
        weights = None if positive is None else positive._array
        dx, dtarget = EXTENSIONS[type(dy._array)].pointwise_loss_backward(
            op,
            x._array,
            target._array,
            weights,
            dy._array,
            reduction,
            option,
            node.needs(0),
            node.needs(1),
        )
        return None if dx is None else wrap(dx), None if dtarget is None else wrap(dtarget), None
    if reduction == "mean" and x.numel():
        dy = div(dy, x.numel())
    arguments = (op, x, target, positive, option)
    dpositive = None
    if node.needs(2):
        dpositive = sum_to(neg(mul(mul(dy, target), logsigmoid(x))), positive.shape)
    return (
        mul(_input_slope(*arguments), dy) if node.needs(0) else None,
        mul(_target_slope(*arguments), dy) if node.needs(1) else None,
        dpositive,
    )


def _pointwise_loss(
    op: str,
    input: Tensor,
    target: Tensor,
    reduction: str,
    option: float = 0.0,
    pos_weight: Tensor | None = None,
) -> Tensor:
    input, target, pos_weight = cast_up(input), cast_up(target), cast_up(pos_weight)
    x, labels = array_of(op, input), array_of(op, target, "target")
    weights = None if pos_weight is None else array_of(op, pos_weight, "pos_weight")
    y = EXTENSIONS[type(x)].pointwise_loss_forward(op, x, labels, weights, reduction, option)
    saved = (op, input, target, pos_weight, reduction, option)
    return record(_pointwise_loss_backward, y, (input, target, pos_weight), saved)


def _difference_loss(
    op: str,
    input: Tensor,
    target: Tensor,
    reduction: str,
    weight: Tensor | None,
    option: float = 0.0,
) -> Tensor:
    """Return the loss of differences, weighted by element; but for Huber's a weighted mean."""
    if weight is None:
        return _pointwise_loss(op, input, target, reduction, option)
    check_alike(op, input=input, weight=weight)
    losses = mul(_pointwise_loss(op, input, target, "none", option), weight)
    if reduction == "mean" and op != "huber_loss":
        return div(sum(losses), sum(weight))
    return reduced(op, losses, reduction)


def mse_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", weight: Tensor | None = None
) -> Tensor:
    """Return the squared difference of input and target.

    Args:
        input: floating tensor of any shape.
        target: tensor of the same shape and dtype.
        reduction: ``"mean"`` (divides by the sum of the weights) or ``"sum"`` over all elements, or
            ``"none"``.
        weight: factor of each element's loss, of the same shape and dtype.

    Raises:
        ValueError: the shapes differ, or the reduction is unknown.
        TypeError: the dtypes differ or are not floating.
    """
    return _difference_loss("mse_loss", input, target, reduction, weight)


def l1_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", weight: Tensor | None = None
) -> Tensor:
    """Return the absolute difference of input and target (arguments and errors: `mse_loss`)."""
    return _difference_loss("l1_loss", input, target, reduction, weight)


def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """Return half the squared difference up to ``delta``, and a line of slope ``delta`` beyond.

    Args:
        input: floating tensor of any shape.
        target: tensor of the same shape and dtype.
        reduction: ``"mean"`` or ``"sum"`` over all elements, or ``"none"``.
        delta: where the line begins.
        weight: factor of each element's loss, of the same shape and dtype; as in PyTorch, the mean
            divides by the number of elements.

    Raises:
        ValueError: the shapes differ, the reduction is unknown, or ``delta`` is not positive.
        TypeError: the dtypes differ or are not floating.
    """
    option = check_number("huber_loss", "delta", delta)
    return _difference_loss("huber_loss", input, target, reduction, weight, option)


def smooth_l1_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", beta: float = 1.0
) -> Tensor:
    """Return the Huber loss divided by ``beta``: slope 1 beyond it; the L1 loss for ``beta`` 0.

    Raises:
        ValueError: the shapes differ, the reduction is unknown, or ``beta`` is negative.
        TypeError: the dtypes differ or are not floating.
    """
    option = check_number("smooth_l1_loss", "beta", beta)
    return _pointwise_loss("smooth_l1_loss", input, target, reduction, option)


def _weighted(op: str, losses: Tensor, weight: Tensor, reduction: str) -> Tensor:
    """Return unreduced losses times a weight that broadcasts to them, reduced."""
    if array_of(op, weight, "weight").dtype != losses.dtype:
        raise TypeError(f"{op}: weight is {weight.dtype}, expected {losses.dtype} as input is")
    try:
        factors = expand(weight, losses.shape)
    except ValueError:
        raise ValueError(
            f"{op}: weight of shape {weight.shape} does not broadcast to the input's {losses.shape}"
        ) from None
    return reduced(op, mul(losses, factors), reduction)


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """Return ``-(target log(input) + (1 - target) log(1 - input))`` of probabilities.

    The logarithms are cut at -100, so that a certain and wrong answer has a finite loss.

    Args:
        input: probabilities in [0, 1], of any shape.
        target: tensor of the same shape and dtype, usually of zeros and ones.
        weight: factor of each element's loss; broadcasts to the input.
        reduction: ``"mean"`` or ``"sum"`` over all elements, or ``"none"``.

    Raises:
        ValueError: the shapes differ, an input lies outside [0, 1], or the reduction is unknown.
        TypeError: the dtypes differ or are not floating.
    """
    op = "binary_cross_entropy"
    if weight is None:
        return _pointwise_loss(op, input, target, reduction)
    return _weighted(op, _pointwise_loss(op, input, target, "none"), weight, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    pos_weight: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return the binary cross-entropy of ``sigmoid(input)``, exact for logits of any size.

    Args:
        input: logits of any shape.
        target: tensor of the same shape and dtype, usually of zeros and ones.
        weight: factor of each element's loss; broadcasts to the input.
        pos_weight: factor of the term of positive targets; broadcasts to the input.
        reduction: ``"mean"`` or ``"sum"`` over all elements, or ``"none"``.

    Raises:
        ValueError: the shapes differ, a weight does not broadcast to the input, or the reduction is
            unknown.
        TypeError: the dtypes differ or are not floating.
    """
    if weight is None:
        return _pointwise_loss(_BCE_LOGITS, input, target, reduction, pos_weight=pos_weight)
    losses = _pointwise_loss(_BCE_LOGITS, input, target, "none", pos_weight=pos_weight)
    return _weighted(_BCE_LOGITS, losses, weight, reduction)


def kl_div(
    input: Tensor, target: Tensor, reduction: str = "mean", log_target: bool = False
) -> Tensor:
    """Return the divergence ``target (log(target) - input)`` of log-probabilities, 0 at target 0.

    Args:
        input: log-probabilities of any shape.
        target: probabilities of the same shape and dtype, or their logarithms.
        reduction: ``"batchmean"`` (the sum divided by the size of dimension 0, which is the
            definition), ``"mean"`` or ``"sum"`` over all elements, or ``"none"``.
        log_target: whether the target holds logarithms.

    Raises:
        ValueError: the shapes differ, or the reduction is unknown.
        TypeError: the dtypes differ or are not floating.
    """
    option = float(bool(log_target))
    if reduction != "batchmean":
        return _pointwise_loss("kl_div", input, target, reduction, option)
    total = _pointwise_loss("kl_div", input, target, "sum", option)
    return div(total, input.shape[0]) if input.ndim else total

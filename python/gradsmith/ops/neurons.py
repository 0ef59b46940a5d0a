# SPDX-License-Identifier: Apache-2.0
"""Neurons that compare their input with stored patterns: radial basis functions, competition."""

from __future__ import annotations

from gradsmith.autograd import no_grad
from gradsmith.ops.elementwise import add, div, gt, mul, neg, sub, to, where
from gradsmith.ops.elementwise_math import exp, square
from gradsmith.ops.embedding import one_hot
from gradsmith.ops.gemm import matmul
from gradsmith.ops.options import check_number, names_errors
from gradsmith.ops.reduce import argmax, argmin, sum
from gradsmith.ops.shape import reshape, transpose, unsqueeze
from gradsmith.tensor import Tensor, array_of

METRICS = ("euclidean", "dot")


def _check_patterns(op: str, input: Tensor, patterns: Tensor, argument: str) -> None:
    shape, stored = array_of(op, input).shape, array_of(op, patterns, argument).shape
    if len(stored) != 2 or not shape or shape[-1] != stored[1]:
        raise ValueError(
            f"{op}: input has shape {shape} and {argument} {stored}, expected (..., D) and (K, D)"
        )


@names_errors
def rbf(input: Tensor, centers: Tensor, width: Tensor | None = None) -> Tensor:
    """Return the squared distances to the centres, or the Gaussians of them.

    Without a width ``d = sum (x_i - c_ki)^2``, the output layer of LeNet-5 (LeCun 1998); with one
    ``exp(-d / (2 width_k^2))`` (Broomhead and Lowe 1988).

    Args:
        input: (..., D).
        centers: (K, D).
        width: (K) or None.

    Returns:
        (..., K).

    Raises:
        ValueError: the shapes do not match.
    """
    _check_patterns("rbf", input, centers, "centers")
    distances = sum(square(sub(unsqueeze(input, -2), centers)), -1)
    if width is None:
        return distances
    if array_of("rbf", width, "width").shape != centers.shape[:1]:
        raise ValueError(f"rbf: width has shape {width.shape}, expected {centers.shape[:1]}")
    return exp(neg(div(distances, mul(square(width), 2.0))))


def _winners(op: str, input: Tensor, weight: Tensor, metric: str) -> Tensor:
    if metric not in METRICS:
        raise ValueError(f"{op}: metric is {metric!r}, expected one of {', '.join(METRICS)}")
    if metric == "dot":
        return argmax(matmul(input, transpose(weight, 0, 1)), -1)
    return argmin(rbf(input, weight), -1)


@names_errors
def winner_take_all(input: Tensor, weight: Tensor, metric: str = "euclidean") -> Tensor:
    """Return 1 for the unit whose weights match the input best and 0 for the others.

    Args:
        input: (..., D).
        weight: (K, D).
        metric: ``"euclidean"`` for the smallest distance, ``"dot"`` for the largest product.

    Returns:
        (..., K) in the input's dtype, off the tape; the first of equals wins.

    Raises:
        ValueError: the shapes do not match, or the metric is unknown.
    """
    _check_patterns("winner_take_all", input, weight, "weight")
    winners = _winners("winner_take_all", input.detach(), weight.detach(), metric)
    return to(one_hot(winners, weight.shape[0]), input.dtype)


@names_errors
def kohonen_step(input: Tensor, weight: Tensor, lr: float, metric: str = "euclidean") -> Tensor:
    """Return the weights after Kohonen's rule: winners move by ``lr (x - w)`` (Kohonen 1982).

    A winner of several inputs of the batch moves by the mean of what they ask for; the others stay.

    Args:
        input: (..., D).
        weight: (K, D).
        lr: learning rate.
        metric: as in `winner_take_all`.

    Raises:
        ValueError: the shapes do not match, or the metric is unknown.
    """
    check_number("kohonen_step", "lr", lr)
    with no_grad():
        won = winner_take_all(input, weight, metric)
        chosen = reshape(won, (-1, weight.shape[0]))
        rows = reshape(input, (-1, weight.shape[1]))
        counts = unsqueeze(sum(chosen, 0), 1)
        means = div(matmul(transpose(chosen, 0, 1), rows), where(gt(counts, 0), counts, 1.0))
        moved = add(weight, mul(sub(means, weight), lr))
        return where(gt(counts, 0), moved, weight)

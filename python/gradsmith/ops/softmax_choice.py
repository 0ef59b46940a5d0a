# SPDX-License-Identifier: Apache-2.0
"""One choice out of a dimension as a one-hot vector: the largest, or one drawn at random."""

from __future__ import annotations

from typing import Any

from gradsmith.autograd import Node, record
from gradsmith.autograd.mode import in_float32
from gradsmith.backend import EXTENSIONS, compute_dtype
from gradsmith.ops.elementwise import add, as_floating, div, neg, to
from gradsmith.ops.elementwise_math import log
from gradsmith.ops.indexing import scatter
from gradsmith.ops.options import check_flag, check_number, names_errors
from gradsmith.ops.random import fill_uniform
from gradsmith.ops.reduce import argmax
from gradsmith.ops.softmax import softmax
from gradsmith.tensor import Tensor, array_of, wrap

_SMALLEST = 2.0**-25  # half the step of the uniform numbers, whose logarithm has to be finite


@names_errors
def hardmax(input: Tensor, dim: int = -1) -> Tensor:
    """Return 1 at the first maximum along ``dim`` and 0 elsewhere, off the tape.

    Raises:
        IndexError: there is no such dimension.
    """
    array_of("hardmax", input)
    x = as_floating(input).detach()
    zeros = EXTENSIONS[type(x._array)].zeros(x.shape, x.dtype)
    return scatter(wrap(zeros), dim, argmax(x, dim, keepdim=True), 1.0)


def _straight_through_backward(node: Node, dy: Tensor) -> Any:
    return (dy,)


@in_float32
@names_errors
def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """Return a random point of the simplex, near the corner that the logits' softmax would draw.

    ``softmax((logits + g) / tau)`` with g of the Gumbel distribution (Jang 2016, Maddison 2016).

    Args:
        logits: logarithms of weights, floating.
        tau: temperature; the smaller, the closer to one-hot.
        hard: return the one-hot corner itself; its gradient is that of the soft point.
        eps: without effect, as in PyTorch.
        dim: the dimension that adds up to 1.

    Raises:
        ValueError: ``tau`` is not positive.
        IndexError: there is no such dimension.
    """
    op = "gumbel_softmax"
    array = array_of(op, logits)
    if not check_number(op, "tau", tau) > 0:
        raise ValueError(f"{op}: tau is {tau}, expected a number > 0")
    check_flag(op, "hard", hard)
    dtype = compute_dtype(array.dtype)
    draws = EXTENSIONS[type(array)].empty(array.shape, dtype)
    fill_uniform(op, draws, _SMALLEST, 1.0, None)
    noise = neg(log(neg(log(wrap(draws)))))
    soft = to(softmax(div(add(to(logits, dtype), noise), tau), dim), array.dtype)
    if not hard:
        return soft
    return record(_straight_through_backward, hardmax(soft, dim)._array, (soft,))

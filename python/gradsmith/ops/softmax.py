# SPDX-License-Identifier: Apache-2.0
"""Softmax, its logarithm, and the logarithm of a sum of exponentials.

The gradients come from single-pass kernels with rules of their own, so they serve derivatives of
any order. All save their result only.
"""

from __future__ import annotations

import math
from typing import Any

from gradsmith.autograd import OUTPUT, Node, cast_up, no_grad, record
from gradsmith.backend import EXTENSIONS, as_dtype
from gradsmith.ops.elementwise import add, as_floating, eq, mul, neg, sub, to, where
from gradsmith.ops.elementwise_math import exp, log
from gradsmith.ops.options import check_int, names_errors
from gradsmith.ops.reduce import Dim, amax, spread, sum
from gradsmith.ops.shape import reshape
from gradsmith.tensor import Tensor, array_of


def _prepared(op: str, input: Tensor, dim: Any, dtype: Any) -> Tensor:
    """Return the input in the dtype asked for."""
    array_of(op, input)
    check_int(op, "dim", dim)
    return cast_up(input) if dtype is None else to(input, as_dtype(dtype))


def _softmax_slope_backward(node: Node, ddx: Tensor) -> Any:
    """From dx = y (dy - sum of y dy)."""
    y, dy, dim = node.saved
    projection = sum(mul(y, ddx), dim, keepdim=True)
    dy_sum = sum(mul(y, dy), dim, keepdim=True)
    d_y = sub(mul(ddx, sub(dy, dy_sum)), mul(dy, projection)) if node.needs(0) else None
    return d_y, mul(y, sub(ddx, projection)) if node.needs(1) else None


def _softmax_slope(y: Tensor, dy: Tensor, dim: int) -> Tensor:
    dx = EXTENSIONS[type(y._array)].softmax_backward(y._array, dy._array, dim)
    return record(_softmax_slope_backward, dx, (y, dy), (y, dy, dim))


def _softmax_backward(node: Node, dy: Tensor) -> Any:
    y, dim = node.saved
    return (_softmax_slope(y, dy, dim),)


@names_errors
def softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """Return exponentials divided by their sum along ``dim``: positive numbers that add up to 1.

    Args:
        input: floating tensor.
        dim: the dimension along which the result adds up to 1.
        dtype: convert the input to this dtype first.

    Raises:
        TypeError: the dtype is not floating.
        IndexError: there is no such dimension.
    """
    x = _prepared("softmax", input, dim, dtype)
    y = EXTENSIONS[type(x._array)].softmax_forward(x._array, dim)
    return record(_softmax_backward, y, (x,), (OUTPUT, dim))


@names_errors
def softmin(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """Return the softmax of ``-input`` along ``dim`` (see `softmax`)."""
    return softmax(neg(_prepared("softmin", input, dim, dtype)), dim)


def _log_softmax_slope_backward(node: Node, ddx: Tensor) -> Any:
    """From dx = dy - exp(y) sum of dy."""
    y, dy, dim = node.saved
    weighted = mul(ddx, exp(y))
    d_dy = sub(ddx, sum(weighted, dim, keepdim=True)) if node.needs(1) else None
    return neg(mul(weighted, sum(dy, dim, keepdim=True))) if node.needs(0) else None, d_dy


def _log_softmax_slope(y: Tensor, dy: Tensor, dim: int) -> Tensor:
    dx = EXTENSIONS[type(y._array)].log_softmax_backward(y._array, dy._array, dim)
    return record(_log_softmax_slope_backward, dx, (y, dy), (y, dy, dim))


def _log_softmax_backward(node: Node, dy: Tensor) -> Any:
    y, dim = node.saved
    return (_log_softmax_slope(y, dy, dim),)


@names_errors
def log_softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """Return the logarithm of the softmax along ``dim``, without leaving the range of the dtype.

    Args:
        input: floating tensor.
        dim: the dimension along which the exponentials of the result add up to 1.
        dtype: convert the input to this dtype first.

    Raises:
        TypeError: the dtype is not floating.
        IndexError: there is no such dimension.
    """
    x = _prepared("log_softmax", input, dim, dtype)
    y = EXTENSIONS[type(x._array)].log_softmax_forward(x._array, dim)
    return record(_log_softmax_backward, y, (x,), (OUTPUT, dim))


def _logsumexp_backward(node: Node, dy: Tensor) -> Any:
    """dx = softmax(x) dy; where all of x is -inf the share of each is 0."""
    x, y, dim = node.saved
    shift = where(eq(y, -math.inf), 0.0, y)
    return (mul(exp(sub(x, spread(shift, x.shape, dim))), spread(dy, x.shape, dim)),)


@names_errors
def logsumexp(input: Tensor, dim: Dim, keepdim: bool = False) -> Tensor:
    """Return the logarithm of the sum of exponentials over ``dim``; -inf where all are -inf.

    Args:
        input: tensor; integers become the default dtype.
        dim: the dimension or dimensions to reduce.
        keepdim: keep them with size 1.

    Raises:
        IndexError: there is no such dimension.
    """
    array_of("logsumexp", input)
    x = as_floating(cast_up(input))
    with no_grad():
        if 0 in x.shape:
            y = log(sum(exp(x), dim, keepdim))
        else:
            largest = amax(x, dim, keepdim=True)
            # An infinite maximum must not be subtracted from itself.
            shift = where(eq(mul(largest, 0.0), 0.0), largest, 0.0)
            total = sum(exp(sub(x, shift)), dim, keepdim)
            y = add(log(total), reshape(shift, total.shape))
    return record(_logsumexp_backward, y._array, (x,), (x, OUTPUT, dim))

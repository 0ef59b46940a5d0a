# SPDX-License-Identifier: Apache-2.0
"""Elementwise functions of several tensors built from the basic ones, and comparisons of wholes."""

from __future__ import annotations

import math
from typing import Any

from gradsmith.autograd import Node, record
from gradsmith.backend import DTYPES, EXTENSIONS, FLOATING, Array, on_host
from gradsmith.ops.elementwise import (
    add,
    as_floating,
    div,
    eq,
    isfinite,
    isnan,
    le,
    logical_and,
    logical_or,
    maximum,
    mul,
    neg,
    sub,
    to,
    where,
)
from gradsmith.ops.elementwise_math import exp, log1p, sigmoid, sqrt, square
from gradsmith.ops.elementwise_round import abs
from gradsmith.ops.options import check_flag, names_errors
from gradsmith.ops.reduce import sum_to
from gradsmith.tensor import Tensor, array_of


@names_errors
def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """Return ``input + weight * (end - input)``; the weight is a number or a tensor."""
    return add(input, mul(weight, sub(end, input)))


@names_errors
def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """Return ``input + value * tensor1 * tensor2``."""
    product = mul(tensor1, tensor2)
    return add(input, product if value == 1 else mul(product, value))


@names_errors
def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """Return ``input + value * tensor1 / tensor2``."""
    quotient = div(tensor1, tensor2)
    return add(input, quotient if value == 1 else mul(quotient, value))


@names_errors
def hypot(input: Tensor, other: Tensor) -> Tensor:
    """Return ``sqrt(input ** 2 + other ** 2)`` without overflow on the way."""
    largest = maximum(abs(input), abs(other)).detach()
    scale = where(logical_and(isfinite(largest), largest > 0), largest, 1.0)
    return mul(scale, sqrt(add(square(div(input, scale)), square(div(other, scale)))))


def _logaddexp_backward(node: Node, dy: Tensor) -> Any:
    a, b = node.saved
    da = sum_to(mul(dy, sigmoid(sub(a, b))), a.shape) if node.needs(0) else None
    return da, sum_to(mul(dy, sigmoid(sub(b, a))), b.shape) if node.needs(1) else None


@names_errors
def logaddexp(input: Tensor, other: Tensor) -> Tensor:
    """Return ``log(exp(input) + exp(other))`` without overflow on the way."""
    array_of("logaddexp", input)
    array_of("logaddexp", other, "other")
    a, b = as_floating(input), as_floating(other)
    dtype = max(a.dtype, b.dtype, key=DTYPES.index)
    a, b = to(a, dtype), to(b, dtype)
    return record(_logaddexp_backward, _logaddexp(a.detach(), b.detach()), (a, b), (a, b))


def _logaddexp(a: Tensor, b: Tensor) -> Array:
    # Equal operands are apart because the difference of two infinities is NaN.
    apart = add(maximum(a, b), log1p(exp(neg(abs(sub(a, b))))))
    return where(eq(a, b), add(a, math.log(2)), apart)._array


@names_errors
def nan_to_num(
    input: Tensor, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """Return the tensor with NaN and infinities replaced.

    Args:
        input: any tensor; integers stay as they are.
        nan: what stands for NaN.
        posinf: what stands for infinity (default: the largest number of the dtype).
        neginf: what stands for minus infinity (default: the smallest).
    """
    array = array_of("nan_to_num", input)
    if array.dtype not in FLOATING:
        return input
    import ml_dtypes

    largest = float(ml_dtypes.finfo(array.dtype).max)  # type: ignore[no-untyped-call]
    out = where(isnan(input), nan, input)
    out = where(eq(input, math.inf), largest if posinf is None else posinf, out)
    return where(eq(input, -math.inf), -largest if neginf is None else neginf, out)


@names_errors
def isclose(
    input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    """Return where ``|input - other| <= atol + rtol * |other|``.

    Raises:
        ValueError: a tolerance is negative, or the shapes do not broadcast.
    """
    check_flag("isclose", "equal_nan", equal_nan)
    if not (rtol >= 0 and atol >= 0):
        raise ValueError(f"isclose: rtol is {rtol} and atol {atol}, expected numbers >= 0")
    array_of("isclose", input)
    array_of("isclose", other, "other")
    x, y = as_floating(input.detach()), as_floating(other.detach())
    near = le(abs(sub(x, y)), add(mul(abs(y), rtol), atol))
    close = logical_or(eq(x, y), logical_and(near, isfinite(y)))
    return logical_or(close, logical_and(isnan(x), isnan(y))) if equal_nan else close


def _all(input: Tensor) -> bool:
    array = input._array
    return bool(on_host(EXTENSIONS[type(array)].all(array)))


@names_errors
def allclose(
    input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Return whether all elements are close (see `isclose`)."""
    return _all(isclose(input, other, rtol, atol, equal_nan))


@names_errors
def equal(input: Tensor, other: Tensor) -> bool:
    """Return whether two tensors have the same shape and elements."""
    if array_of("equal", input).shape != array_of("equal", other, "other").shape:
        return False
    return _all(eq(input, other))

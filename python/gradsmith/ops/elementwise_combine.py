# SPDX-License-Identifier: Apache-2.0
"""Elementwise functions of several tensors built from the basic ones, and comparisons of wholes."""

from __future__ import annotations

import math
from typing import Any

from gradsmith.autograd import OUTPUT, Node, record
from gradsmith.backend import EXTENSIONS, FLOATING, Array, float64, on_host
from gradsmith.ops.elementwise import (
    add,
    as_floating,
    div,
    eq,
    ge,
    gt,
    isfinite,
    isinf,
    isnan,
    le,
    logical_and,
    logical_or,
    maximum,
    mul,
    neg,
    pow,
    sub,
    to,
    where,
)
from gradsmith.ops.elementwise_compare import operands
from gradsmith.ops.elementwise_math import exp, log1p, run_ternary, sigmoid
from gradsmith.ops.elementwise_operands import floating_operands
from gradsmith.ops.elementwise_round import abs
from gradsmith.ops.options import check_flag, check_number, names_errors
from gradsmith.ops.reduce import sum_to
from gradsmith.tensor import Tensor, array_of


def _fits_one_kernel(*operands: Any) -> bool:
    """Return whether all are floating tensors of one dtype."""
    dtypes = {each.dtype if isinstance(each, Tensor) else None for each in operands}
    return len(dtypes) == 1 and dtypes <= set(FLOATING)


def _lerp_backward(node: Node, dy: Tensor) -> Any:
    weight, shape, end_shape = node.saved
    da = sum_to(mul(dy, 1 - weight), shape) if node.needs(0) else None
    return da, sum_to(mul(dy, weight), end_shape) if node.needs(1) else None


def _lerp_by_backward(node: Node, dy: Tensor) -> Any:
    a, b, weight = node.saved
    share = mul(dy, weight)
    da = sum_to(sub(dy, share), a.shape) if node.needs(0) else None
    db = sum_to(share, b.shape) if node.needs(1) else None
    return da, db, sum_to(mul(dy, sub(b, a)), weight.shape) if node.needs(2) else None


@names_errors
def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """Return ``input + weight * (end - input)``; the weight is a number or a tensor."""
    if isinstance(weight, (int, float)):
        a, b = floating_operands("lerp", input, end)
        array = EXTENSIONS[type(a._array)].lerp(a._array, b._array, weight)
        return record(_lerp_backward, array, (a, b), (weight, a.shape, b.shape))
    if not _fits_one_kernel(input, end, weight):
        return add(input, mul(weight, sub(end, input)))
    operands = (input, end, weight)
    return record(_lerp_by_backward, run_ternary("lerp_by", *operands), operands, operands)


def _addcmul_backward(node: Node, dy: Tensor) -> Any:
    a, b, value, shape = node.saved
    dinput = sum_to(dy, shape) if node.needs(0) else None
    scaled = dy if value == 1 else mul(dy, value)
    da = sum_to(mul(scaled, b), a.shape) if node.needs(1) else None
    return dinput, da, sum_to(mul(scaled, a), b.shape) if node.needs(2) else None


@names_errors
def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """Return ``input + value * tensor1 * tensor2``."""
    if _fits_one_kernel(input, tensor1, tensor2) and isinstance(value, (int, float)):
        array = run_ternary("addcmul", input, tensor1, tensor2, value)
        saved = (tensor1, tensor2, value, input.shape)
        return record(_addcmul_backward, array, (input, tensor1, tensor2), saved)
    product = mul(tensor1, tensor2)
    return add(input, product if value == 1 else mul(product, value))


def _addcdiv_backward(node: Node, dy: Tensor) -> Any:
    a, b, value, shape = node.saved
    dinput = sum_to(dy, shape) if node.needs(0) else None
    quotient = div(dy if value == 1 else mul(dy, value), b)
    da = sum_to(quotient, a.shape) if node.needs(1) else None
    return dinput, da, sum_to(neg(product_over(quotient, a, b)), b.shape) if node.needs(2) else None


@names_errors
def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """Return ``input + value * tensor1 / tensor2``."""
    if _fits_one_kernel(input, tensor1, tensor2) and isinstance(value, (int, float)):
        array = run_ternary("addcdiv", input, tensor1, tensor2, value)
        saved = (tensor1, tensor2, value, input.shape)
        return record(_addcdiv_backward, array, (input, tensor1, tensor2), saved)
    quotient = div(tensor1, tensor2)
    return add(input, quotient if value == 1 else mul(quotient, value))


def _product_over_backward(node: Node, dy: Tensor) -> Any:
    a, b, c, y = node.saved
    da = sum_to(product_over(dy, b, c), a.shape) if node.needs(0) else None
    db = sum_to(product_over(dy, a, c), b.shape) if node.needs(1) else None
    return da, db, sum_to(neg(product_over(dy, y, c)), c.shape) if node.needs(2) else None


def product_over(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Return ``a * (b / c)``."""
    array = run_ternary("product_over", a, b, c)
    return record(_product_over_backward, array, (a, b, c), (a, b, c, OUTPUT))


def _hypot_backward(node: Node, dy: Tensor) -> Any:
    a, b, y = node.saved
    da = sum_to(product_over(dy, a, y), a.shape) if node.needs(0) else None
    return da, sum_to(product_over(dy, b, y), b.shape) if node.needs(1) else None


@names_errors
def hypot(input: Tensor, other: Tensor) -> Tensor:
    """Return ``sqrt(input ** 2 + other ** 2)`` without overflow on the way."""
    a, b = floating_operands("hypot", input, other)
    array = EXTENSIONS[type(a._array)].hypot(a._array, b._array)
    return record(_hypot_backward, array, (a, b), (a, b, OUTPUT))


# Of a sum of exponentials: the natural logarithm of its base.
_NATURAL, _BINARY = 1.0, math.log(2)


def _logaddexp_backward(node: Node, dy: Tensor) -> Any:
    a, b, unit = node.saved
    # Two equal infinities share the gradient; their difference would be NaN.
    apart = where(logical_and(eq(a, b), isinf(a)), 0.0, sub(a, b))
    apart = apart if unit == _NATURAL else mul(apart, unit)
    da = sum_to(mul(dy, sigmoid(apart)), a.shape) if node.needs(0) else None
    return da, sum_to(mul(dy, sigmoid(neg(apart))), b.shape) if node.needs(1) else None


def _log_of_sum(op: str, input: Tensor, other: Tensor, unit: float) -> Tensor:
    array_of(op, input)
    array_of(op, other, "other")
    a, b = floating_operands(op, input, other)
    array = _logaddexp(a.detach(), b.detach(), unit)
    return record(_logaddexp_backward, array, (a, b), (a, b, unit))


def _logaddexp(a: Tensor, b: Tensor, unit: float) -> Array:
    # Equal operands are apart because the difference of two infinities is NaN.
    distance = neg(abs(sub(a, b)))
    more = log1p(exp(distance if unit == _NATURAL else mul(distance, unit)))
    apart = add(maximum(a, b), more if unit == _NATURAL else div(more, unit))
    return where(eq(a, b), add(a, math.log(2) / unit), apart)._array


@names_errors
def logaddexp(input: Tensor, other: Tensor) -> Tensor:
    """Return ``log(exp(input) + exp(other))`` without overflow on the way."""
    return _log_of_sum("logaddexp", input, other, _NATURAL)


@names_errors
def logaddexp2(input: Tensor, other: Tensor) -> Tensor:
    """Return ``log2(2 ** input + 2 ** other)`` without overflow on the way."""
    return _log_of_sum("logaddexp2", input, other, _BINARY)


@names_errors
def fmax(input: Tensor, other: Tensor) -> Tensor:
    """Return the larger of each pair, or what is no NaN; of equal ones the first."""
    array_of("fmax", input)
    array_of("fmax", other, "other")
    return where(logical_or(ge(input, other), isnan(other)), input, other)


@names_errors
def fmin(input: Tensor, other: Tensor) -> Tensor:
    """Return the smaller of each pair, or what is no NaN; of equal ones the first."""
    array_of("fmin", input)
    array_of("fmin", other, "other")
    return where(logical_or(le(input, other), isnan(other)), input, other)


@names_errors
def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """Return 0 below 0, 1 above and ``values`` at 0, off the tape; 0 for NaN.

    Raises:
        TypeError: the dtypes differ.
    """
    array = array_of("heaviside", input)
    at_zero = array_of("heaviside", values, "values")
    if array.dtype != at_zero.dtype:
        raise TypeError(
            f"heaviside: values is {at_zero.dtype}, expected {array.dtype} as the input"
        )
    return where(eq(input, 0), values.detach(), to(gt(input, 0), array.dtype))


@names_errors
def float_power(input: Any, exponent: Any) -> Tensor:
    """Return ``input ** exponent`` in float64."""
    base, power = operands("float_power", input, exponent)
    return pow(to(base, float64), to(power, float64))


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

    Raises:
        TypeError: a replacement is no number.
    """
    array = array_of("nan_to_num", input)
    for name, value in (("nan", nan), ("posinf", posinf), ("neginf", neginf)):
        if value is not None:
            check_number("nan_to_num", name, value)
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

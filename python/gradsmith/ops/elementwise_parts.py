# SPDX-License-Identifier: Apache-2.0
"""What numbers are made of: sign, mantissa and exponent, the next number, common divisors."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from gradsmith.autograd import Node, record, record_many
from gradsmith.backend import (
    EXTENSIONS,
    FLOATING,
    DType,
    bfloat16,
    compute_dtype,
    float16,
    float32,
    float64,
    int32,
    int64,
    like,
    on_host,
    uint8,
)
from gradsmith.ops.elementwise import (
    add,
    eq,
    floor_divide,
    gt,
    isfinite,
    isnan,
    logical_and,
    logical_not,
    logical_or,
    lt,
    mul,
    ne,
    neg,
    pow,
    sub,
    to,
    where,
)
from gradsmith.ops.elementwise_compare import (
    bitwise_and,
    bitwise_or,
    bitwise_right_shift,
    bitwise_xor,
    gcd,
)
from gradsmith.ops.elementwise_math import run_ternary
from gradsmith.ops.elementwise_operands import floating_operands
from gradsmith.ops.elementwise_round import abs, zeros_as
from gradsmith.ops.options import names_errors
from gradsmith.ops.promotion import result_type
from gradsmith.ops.reduce import sum_to
from gradsmith.tensor import Tensor, array_of, wrap

# Of a format: bits of the mantissa, and the exponent's bias for mantissas in [0.5, 1).
_FORMATS: dict[DType, tuple[int, int]] = {float32: (23, 126), float64: (52, 1022)}


def _wide(input: Tensor) -> Tensor:
    """Return the tensor off the tape, in a dtype whose bits `_bits` reads."""
    return to(input.detach(), compute_dtype(input.dtype))


def _bits(input: Tensor) -> Tensor:
    """Return the memory of a float32 or float64 tensor as integers of its size."""
    array = input._array
    return wrap(array.view(int32 if array.dtype == float32 else int64))


def _from_bits(bits: Tensor, like: Tensor) -> Tensor:
    return wrap(bits._array.view(like._array.dtype))


@names_errors
def signbit(input: Tensor) -> Tensor:
    """Return where the sign is negative, which -0.0 and NaN may have too."""
    if array_of("signbit", input).dtype not in FLOATING:
        return lt(input, 0)
    return lt(_bits(_wide(input)), 0)


def _copysign_slope_backward(node: Node, ddx: Tensor) -> Any:
    x, other = node.saved
    return _copysign_slope(ddx, x, other), zeros_as(x)


def _copysign_slope(dy: Tensor, x: Tensor, other: Tensor) -> Tensor:
    array = run_ternary("copysign_backward", dy, x, other)
    return record(_copysign_slope_backward, array, (dy, x), (x, other))


def _copysign_backward(node: Node, dy: Tensor) -> Any:
    x, other = node.saved
    return (sum_to(_copysign_slope(dy, x, other), x.shape),)


@names_errors
def copysign(input: Any, other: Any) -> Tensor:
    """Return the magnitude of ``input`` with the sign of ``other``; the slope at 0 is 0."""
    x, sign = floating_operands("copysign", input, other)
    array = EXTENSIONS[type(x._array)].copysign(x._array, sign._array)
    return record(_copysign_backward, array, (x,), (x, sign))


@names_errors
def nextafter(input: Tensor, other: Tensor) -> Tensor:
    """Return the next number after ``input`` in the direction of ``other``, off the tape.

    Raises:
        TypeError: the tensors are not floating.
    """
    array_of("nextafter", input)
    array_of("nextafter", other, "other")
    dtype = result_type(input, other)
    if dtype not in FLOATING:
        raise TypeError(f"nextafter: got {dtype}, expected a floating dtype")
    if dtype == float16:  # has denormal numbers where float32, whose bits are read below, has none
        ends = (on_host(to(each, dtype)._array) for each in (input, other))
        return wrap(like(np.nextafter(*ends), input._array))
    x, y = _wide(to(input, dtype)), _wide(to(other, dtype))
    bits = _bits(x)
    # The last bit of a bfloat16 is bit 16 of the float32 that holds it.
    step = 1 << 16 if dtype == bfloat16 else 1
    sign_bit = -(1 << (8 * x.dtype.itemsize - 1))
    grows = eq(gt(y, x), gt(x, 0))
    moved = add(bits, to(where(grows, step, -step), bits.dtype))
    from_zero = to(where(lt(y, 0), sign_bit + step, step), bits.dtype)
    result = _from_bits(where(eq(x, 0), from_zero, moved), x)
    result = where(eq(x, y), y, result)
    return to(where(logical_or(isnan(x), isnan(y)), math.nan, result), dtype)


@names_errors
def ldexp(input: Tensor, other: Tensor) -> Tensor:
    """Return ``input * 2 ** other``."""
    x, exponent = floating_operands("ldexp", input, other)
    return mul(x, pow(2.0, exponent))


class MantissaAndExponent(NamedTuple):
    """Parts of a number: ``mantissa * 2 ** exponent``."""

    mantissa: Tensor
    exponent: Tensor


def _frexp_backward(node: Node, dmantissa: Tensor, dexponent: Tensor) -> Any:
    (exponent,) = node.saved
    return (ldexp(dmantissa, neg(exponent)),)


@names_errors
def frexp(input: Tensor) -> MantissaAndExponent:
    """Return mantissas in [0.5, 1) times the sign, and exponents (int32); exponent 0 of 0 and inf.

    Raises:
        TypeError: the tensor is not floating.

    >>> import gradsmith as gs
    >>> gs.frexp(gs.tensor(3.0)).mantissa.item()
    0.75
    """
    dtype = array_of("frexp", input).dtype
    if dtype not in FLOATING:
        raise TypeError(f"frexp: got {dtype}, expected a floating dtype")
    x = _wide(input)
    width, bias = _FORMATS[x._array.dtype]
    every = (1 << (8 * x.dtype.itemsize - 1 - width)) - 1
    # Numbers without a leading 1 get one by a multiplication.
    small = lt(abs(x), 2.0 ** (1 - bias))
    bits = _bits(where(small, mul(x, 2.0 ** (width + 1)), x))
    field = bitwise_and(bitwise_right_shift(bits, width), every)
    exponent = sub(sub(field, bias), mul(to(small, int32), width + 1))
    mantissa = _from_bits(bitwise_or(bitwise_and(bits, ~(every << width)), bias << width), x)
    plain = logical_and(isfinite(x), ne(x, 0))
    mantissa = to(where(plain, mantissa, x), dtype)
    exponent = to(where(plain, exponent, 0), int32)
    outs = record_many(_frexp_backward, (mantissa._array, exponent._array), (input,), (exponent,))
    return MantissaAndExponent(*outs)


@names_errors
def lcm(input: Tensor, other: Tensor) -> Tensor:
    """Return the least common multiple of integers, >= 0; 0 where one of them is 0.

    Raises:
        TypeError: the tensors hold no integers.
    """
    divisor = gcd(input, other)
    quotient = floor_divide(input, where(eq(divisor, 0), 1, divisor))
    return abs(mul(quotient, other))


@names_errors
def bitwise_not(input: Tensor) -> Tensor:
    """Return the bits of integers inverted, or ``logical_not`` of bools.

    Raises:
        TypeError: the tensor is floating.
    """
    dtype = array_of("bitwise_not", input).dtype
    if dtype in FLOATING:
        raise TypeError(f"bitwise_not: got {dtype}, expected bool or integers")
    if dtype.kind == "b":
        return logical_not(input)
    return bitwise_xor(input, 255 if dtype == uint8 else -1)

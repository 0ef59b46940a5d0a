# SPDX-License-Identifier: Apache-2.0
"""Magnitude, sign, rounding and bounds of one tensor, each beside its backward rule.

They keep the dtype of any number. Piecewise constant functions have a gradient of zeros.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradsmith.autograd import Node, record
from gradsmith.backend import EXTENSIONS, FLOATING, DType, as_dtype, bool_
from gradsmith.ops.elementwise import eq, ge, le, logical_and, logical_not, mul, to, where
from gradsmith.ops.elementwise_math import run_slope, run_unary
from gradsmith.ops.options import check_int, check_number, names_errors
from gradsmith.tensor import Tensor, array_of, wrap


def zeros_as(x: Tensor) -> Tensor:
    """Return zeros of the shape and dtype of ``x``: the gradient of what is constant in it."""
    return wrap(EXTENSIONS[type(x._array)].zeros(x._array.shape, x._array.dtype))


def _abs_backward(node: Node, dy: Tensor) -> Any:
    (x,) = node.saved
    return (mul(dy, sign(x)),)


def abs(input: Tensor) -> Tensor:
    """Return the magnitude; its slope at 0 is 0."""
    return record(_abs_backward, run_unary("abs", input), (input,), (input,))


def _zero_backward(node: Node, dy: Tensor) -> Any:
    return (zeros_as(dy),)


def sign(input: Tensor) -> Tensor:
    """Return -1, 0 or 1; 0 for NaN. Bools stay as they are."""
    if array_of("sign", input).dtype == bool_:
        return input.clone()
    return record(_zero_backward, run_unary("sign", input), (input,))


def floor(input: Tensor) -> Tensor:
    """Return the largest integer that is not larger."""
    return record(_zero_backward, run_unary("floor", input), (input,))


def ceil(input: Tensor) -> Tensor:
    """Return the smallest integer that is not smaller."""
    return record(_zero_backward, run_unary("ceil", input), (input,))


def trunc(input: Tensor) -> Tensor:
    """Return the integer part."""
    return record(_zero_backward, run_unary("trunc", input), (input,))


# 10 to a higher power is no float64.
_MOST_DECIMALS = 308


@names_errors
def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """Return the nearest multiple of ``10 ** -decimals``; halves go to the even one."""
    if check_int("round", "decimals", decimals) == 0:
        return record(_zero_backward, run_unary("round", input), (input,))
    if builtins.abs(decimals) > _MOST_DECIMALS:
        raise ValueError(
            f"round: decimals is {decimals}, expected -{_MOST_DECIMALS} to {_MOST_DECIMALS}"
        )
    scale = 10.0 ** builtins.abs(decimals)
    return round(input * scale) / scale if decimals > 0 else round(input / scale) * scale


def _clamp_slope_backward(node: Node, ddx: Tensor) -> Any:
    x, low, high = node.saved
    return _clamp_slope(ddx, x, low, high), zeros_as(x)


def _clamp_slope(dy: Tensor, x: Tensor, low: float, high: float) -> Tensor:
    array = run_slope("clamp_backward", dy, x, low, high)
    return record(_clamp_slope_backward, array, (dy, x), (x, low, high))


def _clamp_backward(node: Node, dy: Tensor) -> Any:
    x, low, high = node.saved
    return (_clamp_slope(dy, x, low, high),)


@names_errors
def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """Return the input moved into [min, max]; ``max`` wins where the bounds cross.

    Args:
        input: tensor of any number.
        min: lower bound, a number or a tensor that broadcasts; None for none.
        max: upper bound, likewise.

    Raises:
        ValueError: there is neither bound, or one does not fit the dtype.
    """
    if min is None and max is None:
        raise ValueError("clamp: got neither min nor max, expected at least one")
    array = array_of("clamp", input)
    if isinstance(min, Tensor) or isinstance(max, Tensor):
        return _clamp_between(input, min, max)
    if array.dtype not in FLOATING:
        if isinstance(min, float) or isinstance(max, float):
            return clamp(to(input, as_dtype(float)), min, max)
        if array.dtype != bool_:
            _check_integer_bounds(array.dtype, min, max)
    low = -math.inf if min is None else check_number("clamp", "min", min)
    high = math.inf if max is None else check_number("clamp", "max", max)
    result = run_unary("clamp", input, low, high)
    return record(_clamp_backward, result, (input,), (input, low, high))


def _check_integer_bounds(dtype: DType, low: int | None, high: int | None) -> None:
    info = np.iinfo(dtype)
    if (low is not None and low > info.max) or (high is not None and high < info.min):
        raise ValueError(f"clamp: bounds {low} and {high} leave no {dtype}")


def _clamp_between(input: Tensor, low: Any, high: Any) -> Tensor:
    out = input if low is None else where(_beyond(ge, input, low), low, input)
    return out if high is None else where(_beyond(le, out, high), high, out)


def _beyond(within: Callable[..., Tensor], x: Tensor, bound: Any) -> Tensor:
    """Return where a bound counts: NaN counts as one, and is kept as a value."""
    return logical_and(logical_not(within(x, bound)), eq(x, x))


@names_errors
def clamp_min(input: Tensor, min: Any) -> Tensor:
    """Return the input where it is not below ``min``, else ``min`` (see `clamp`)."""
    return clamp(input, min, None)


@names_errors
def clamp_max(input: Tensor, max: Any) -> Tensor:
    """Return the input where it is not above ``max``, else ``max`` (see `clamp`)."""
    return clamp(input, None, max)


def _frac_backward(node: Node, dy: Tensor) -> Any:
    return (dy,)


def frac(input: Tensor) -> Tensor:
    """Return the fraction ``input - trunc(input)``, signed as the input."""
    return record(_frac_backward, run_unary("frac", input), (input,))


def positive(input: Tensor) -> Tensor:
    """Return the input itself.

    Raises:
        TypeError: it holds bools.
    """
    if array_of("positive", input).dtype == bool_:
        raise TypeError("positive: got bool, expected a number")
    return input


clip = clamp
absolute = abs
sgn = sign
fix = trunc

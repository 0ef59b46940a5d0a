# SPDX-License-Identifier: Apache-2.0
"""Mathematical functions of one tensor, each beside its backward rule.

Floating functions turn integers into float32 first. Rules are written in these functions, or in
single-pass derivative kernels that have rules of their own, so they serve derivatives of any
order. What is cheapest to differentiate from its result saves that instead of the input.
"""

from __future__ import annotations

import math
from typing import Any

from gradsmith.autograd import OUTPUT, Node, mode, record
from gradsmith.autograd.mode import cast_up
from gradsmith.backend import EXTENSIONS, Array, bool_, int64
from gradsmith.ops.elementwise import add, div, mul, neg, sub, to
from gradsmith.tensor import Tensor, array_of


def run_unary(name: str, input: Tensor, option0: float = 0.0, option1: float = 0.0) -> Array:
    """Return the result of the kernel ``name`` of one array and two options."""
    array = array_of(name, input)
    result: Array = getattr(EXTENSIONS[type(array)], name)(array, option0, option1)
    return result


def run_slope(
    name: str, dy: Tensor, x: Tensor, option0: float = 0.0, option1: float = 0.0
) -> Array:
    """Return ``dy`` times the derivative at ``x`` from the single-pass kernel ``name``."""
    result: Array = getattr(EXTENSIONS[type(dy._array)], name)(
        dy._array, x._array, option0, option1
    )
    return result


def run_ternary(name: str, a: Tensor, b: Tensor, c: Tensor, option0: float = 0.0) -> Array:
    """Return the result of the kernel ``name`` of three floating arrays of one dtype."""
    extension = EXTENSIONS[type(a._array)]
    result: Array = getattr(extension, name)(a._array, b._array, c._array, option0)
    return result


# ---- exponentials and logarithms -----------------------------------------------------------------


def _exp_backward(node: Node, dy: Tensor) -> Any:
    (y,) = node.saved
    return (mul(dy, y),)


def exp(input: Tensor) -> Tensor:
    """Return e to the power of the input."""
    if mode.autocast is not None:
        input = mode.autocast.up(input)
    return record(_exp_backward, run_unary("exp", input), (input,), (OUTPUT,))


def _exp2_backward(node: Node, dy: Tensor) -> Any:
    (y,) = node.saved
    return (mul(mul(dy, math.log(2)), y),)


def exp2(input: Tensor) -> Tensor:
    """Return 2 to the power of the input."""
    return record(_exp2_backward, run_unary("exp2", input), (input,), (OUTPUT,))


def _expm1_backward(node: Node, dy: Tensor) -> Any:
    (y,) = node.saved
    return (mul(dy, add(y, 1)),)


def expm1(input: Tensor) -> Tensor:
    """Return ``exp(input) - 1``, exact near 0."""
    if mode.autocast is not None:
        input = mode.autocast.up(input)
    return record(_expm1_backward, run_unary("expm1", input), (input,), (OUTPUT,))


def _log_backward(node: Node, dy: Tensor) -> Any:
    (x,) = node.saved
    return (div(dy, x),)


def log(input: Tensor) -> Tensor:
    """Return the natural logarithm; NaN below 0."""
    if mode.autocast is not None:
        input = mode.autocast.up(input)
    return record(_log_backward, run_unary("log", input), (input,), (input,))


def _log2_backward(node: Node, dy: Tensor) -> Any:
    (x,) = node.saved
    return (div(mul(dy, 1 / math.log(2)), x),)


def log2(input: Tensor) -> Tensor:
    """Return the logarithm to base 2."""
    if mode.autocast is not None:
        input = mode.autocast.up(input)
    return record(_log2_backward, run_unary("log2", input), (input,), (input,))


def _log10_backward(node: Node, dy: Tensor) -> Any:
    (x,) = node.saved
    return (div(mul(dy, 1 / math.log(10)), x),)


def log10(input: Tensor) -> Tensor:
    """Return the logarithm to base 10."""
    if mode.autocast is not None:
        input = mode.autocast.up(input)
    return record(_log10_backward, run_unary("log10", input), (input,), (input,))


def _log1p_backward(node: Node, dy: Tensor) -> Any:
    (x,) = node.saved
    return (div(dy, add(x, 1)),)


def log1p(input: Tensor) -> Tensor:
    """Return ``log(1 + input)``, exact near 0."""
    if mode.autocast is not None:
        input = mode.autocast.up(input)
    return record(_log1p_backward, run_unary("log1p", input), (input,), (input,))


# ---- powers --------------------------------------------------------------------------------------


def _sqrt_backward(node: Node, dy: Tensor) -> Any:
    (y,) = node.saved
    return (div(mul(dy, 0.5), y),)


def sqrt(input: Tensor) -> Tensor:
    """Return the square root; NaN below 0."""
    return record(_sqrt_backward, run_unary("sqrt", input), (input,), (OUTPUT,))


def _rsqrt_backward(node: Node, dy: Tensor) -> Any:
    (y,) = node.saved
    return (mul(mul(dy, -0.5), mul(y, square(y))),)


def rsqrt(input: Tensor) -> Tensor:
    """Return ``1 / sqrt(input)``."""
    if mode.autocast is not None:
        input = mode.autocast.up(input)
    return record(_rsqrt_backward, run_unary("rsqrt", input), (input,), (OUTPUT,))


def _reciprocal_backward(node: Node, dy: Tensor) -> Any:
    (y,) = node.saved
    return (neg(mul(dy, square(y))),)


def reciprocal(input: Tensor) -> Tensor:
    """Return ``1 / input``."""
    if mode.autocast is not None:
        input = mode.autocast.up(input)
    return record(_reciprocal_backward, run_unary("reciprocal", input), (input,), (OUTPUT,))


def _square_backward(node: Node, dy: Tensor) -> Any:
    (x,) = node.saved
    return (mul(mul(dy, 2), x),)


def square(input: Tensor) -> Tensor:
    """Return ``input * input``, of bools in int64."""
    if array_of("square", input).dtype == bool_:
        input = to(input, int64)
    return record(_square_backward, run_unary("square", input), (input,), (input,))


# ---- circular and hyperbolic functions -----------------------------------------------------------


def _sin_backward(node: Node, dy: Tensor) -> Any:
    (x,) = node.saved
    return (mul(dy, cos(x)),)


def sin(input: Tensor) -> Tensor:
    """Return the sine of an angle in radians."""
    return record(_sin_backward, run_unary("sin", input), (input,), (input,))


def _cos_backward(node: Node, dy: Tensor) -> Any:
    (x,) = node.saved
    return (neg(mul(dy, sin(x))),)


def cos(input: Tensor) -> Tensor:
    """Return the cosine of an angle in radians."""
    return record(_cos_backward, run_unary("cos", input), (input,), (input,))


def _tan_backward(node: Node, dy: Tensor) -> Any:
    (y,) = node.saved
    return (mul(dy, add(square(y), 1)),)


def tan(input: Tensor) -> Tensor:
    """Return the tangent of an angle in radians."""
    input = cast_up(input)
    return record(_tan_backward, run_unary("tan", input), (input,), (OUTPUT,))


def _asin_backward(node: Node, dy: Tensor) -> Any:
    (x,) = node.saved
    return (mul(dy, rsqrt(sub(1, square(x)))),)


def asin(input: Tensor) -> Tensor:
    """Return the angle in [-pi/2, pi/2] whose sine is the input."""
    input = cast_up(input)
    return record(_asin_backward, run_unary("asin", input), (input,), (input,))


def _acos_backward(node: Node, dy: Tensor) -> Any:
    (x,) = node.saved
    return (neg(mul(dy, rsqrt(sub(1, square(x))))),)


def acos(input: Tensor) -> Tensor:
    """Return the angle in [0, pi] whose cosine is the input."""
    input = cast_up(input)
    return record(_acos_backward, run_unary("acos", input), (input,), (input,))


def _atan_backward(node: Node, dy: Tensor) -> Any:
    (x,) = node.saved
    return (div(dy, add(square(x), 1)),)


def atan(input: Tensor) -> Tensor:
    """Return the angle in (-pi/2, pi/2) whose tangent is the input."""
    return record(_atan_backward, run_unary("atan", input), (input,), (input,))


def _sinh_backward(node: Node, dy: Tensor) -> Any:
    (x,) = node.saved
    return (mul(dy, cosh(x)),)


def sinh(input: Tensor) -> Tensor:
    """Return the hyperbolic sine."""
    input = cast_up(input)
    return record(_sinh_backward, run_unary("sinh", input), (input,), (input,))


def _cosh_backward(node: Node, dy: Tensor) -> Any:
    (x,) = node.saved
    return (mul(dy, sinh(x)),)


def cosh(input: Tensor) -> Tensor:
    """Return the hyperbolic cosine."""
    input = cast_up(input)
    return record(_cosh_backward, run_unary("cosh", input), (input,), (input,))


def _asinh_backward(node: Node, dy: Tensor) -> Any:
    (x,) = node.saved
    return (mul(dy, rsqrt(add(square(x), 1))),)


def asinh(input: Tensor) -> Tensor:
    """Return the number whose hyperbolic sine is the input."""
    return record(_asinh_backward, run_unary("asinh", input), (input,), (input,))


def _acosh_backward(node: Node, dy: Tensor) -> Any:
    (x,) = node.saved
    return (mul(dy, rsqrt(sub(square(x), 1))),)


def acosh(input: Tensor) -> Tensor:
    """Return the number >= 0 whose hyperbolic cosine is the input."""
    return record(_acosh_backward, run_unary("acosh", input), (input,), (input,))


def _atanh_backward(node: Node, dy: Tensor) -> Any:
    (x,) = node.saved
    return (div(dy, sub(1, square(x))),)


def atanh(input: Tensor) -> Tensor:
    """Return the number whose hyperbolic tangent is the input."""
    return record(_atanh_backward, run_unary("atanh", input), (input,), (input,))


# ---- sigmoid shapes ------------------------------------------------------------------------------


def _tanh_slope_backward(node: Node, ddx: Tensor) -> Any:
    dy, y = node.saved
    return _tanh_slope(ddx, y), mul(mul(mul(ddx, dy), y), -2)


def _tanh_slope(dy: Tensor, y: Tensor) -> Tensor:
    return record(_tanh_slope_backward, run_slope("tanh_backward", dy, y), (dy, y), (dy, y))


def _tanh_backward(node: Node, dy: Tensor) -> Any:
    (y,) = node.saved
    return (_tanh_slope(dy, y),)


def tanh(input: Tensor) -> Tensor:
    """Return the hyperbolic tangent."""
    return record(_tanh_backward, run_unary("tanh", input), (input,), (OUTPUT,))


def _sigmoid_slope_backward(node: Node, ddx: Tensor) -> Any:
    dy, y = node.saved
    return _sigmoid_slope(ddx, y), mul(mul(ddx, dy), sub(1, mul(y, 2)))


def _sigmoid_slope(dy: Tensor, y: Tensor) -> Tensor:
    return record(_sigmoid_slope_backward, run_slope("sigmoid_backward", dy, y), (dy, y), (dy, y))


def _sigmoid_backward(node: Node, dy: Tensor) -> Any:
    (y,) = node.saved
    return (_sigmoid_slope(dy, y),)


def sigmoid(input: Tensor) -> Tensor:
    """Return ``1 / (1 + exp(-input))``."""
    return record(_sigmoid_backward, run_unary("sigmoid", input), (input,), (OUTPUT,))


def _erf_slope_backward(node: Node, ddx: Tensor) -> Any:
    name, dy, x = node.saved
    return erf_slope(name, ddx, x), mul(erf_slope(name, mul(ddx, dy), x), mul(x, -2))


def erf_slope(name: str, dy: Tensor, x: Tensor) -> Tensor:
    """Return ``dy`` times the slope of erf or erfc, by the kernel ``erf_backward`` or its twin."""
    return record(_erf_slope_backward, run_slope(name, dy, x), (dy, x), (name, dy, x))


def _erf_backward(node: Node, dy: Tensor) -> Any:
    (x,) = node.saved
    return (erf_slope("erf_backward", dy, x),)


def erf(input: Tensor) -> Tensor:
    """Return the error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0."""
    return record(_erf_backward, run_unary("erf", input), (input,), (input,))


# ---- units and other names -----------------------------------------------------------------------


def deg2rad(input: Tensor) -> Tensor:
    """Return an angle of degrees in radians."""
    array_of("deg2rad", input)
    return mul(input, math.pi / 180)


def rad2deg(input: Tensor) -> Tensor:
    """Return an angle of radians in degrees."""
    array_of("rad2deg", input)
    return mul(input, 180 / math.pi)


arcsin = asin
arccos = acos
arctan = atan
arcsinh = asinh
arccosh = acosh
arctanh = atanh

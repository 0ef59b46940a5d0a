# SPDX-License-Identifier: Apache-2.0
"""Activation functions, each beside its backward rule.

``inplace`` is accepted where PyTorch has it and changes nothing: the result is a new tensor.
Sources: Clevert 2015 (ELU), Klambauer 2017 (SELU), Barron 2017 (CELU), Hendrycks 2016 (GELU),
Elfwing 2017 (SiLU), Misra 2019 (Mish), Howard 2019 (hardswish).
"""

from __future__ import annotations

import math
from typing import Any

from gradsmith.autograd import OUTPUT, Node, cast_up, record
from gradsmith.ops.elementwise import (
    add,
    as_floating,
    div,
    gt,
    le,
    mul,
    neg,
    sub,
    where,
)
from gradsmith.ops.elementwise_math import exp, run_slope, run_unary, sigmoid, square, tanh
from gradsmith.ops.elementwise_round import abs, clamp, zeros_as
from gradsmith.ops.options import check_number, names_errors
from gradsmith.tensor import Tensor, array_of

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946

# ---- rectifiers ----------------------------------------------------------------------------------


def _relu_slope_backward(node: Node, ddx: Tensor) -> Any:
    (y,) = node.saved
    return _relu_slope(ddx, y), zeros_as(y)


def _relu_slope(dy: Tensor, y: Tensor) -> Tensor:
    return record(_relu_slope_backward, run_slope("relu_backward", dy, y), (dy, y), (y,))


def relu_backward(node: Node, dy: Tensor) -> Any:
    """Rule of `relu`, from its result or its input: both are positive at the same places."""
    return (_relu_slope(dy, node.saved[0]),)


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """Return ``max(input, 0)``."""
    return record(relu_backward, run_unary("relu", input), (input,), (OUTPUT,))


def _gate_backward(node: Node, ddx: Tensor) -> Any:
    x, low, high = node.saved
    return _gate(ddx, x, low, high), zeros_as(x)


def _gate(dy: Tensor, x: Tensor, low: float, high: float) -> Tensor:
    """Return ``dy``, and 0 where x <= low or x >= high."""
    array = run_slope("hardtanh_backward", dy, x, low, high)
    return record(_gate_backward, array, (dy, x), (x, low, high))


def _hardtanh_backward(node: Node, dy: Tensor) -> Any:
    x, low, high = node.saved
    return (_gate(dy, x, low, high),)


def hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """Return the input moved into [min_val, max_val]; at the bounds the slope is 0.

    Raises:
        ValueError: the bounds cross.
    """
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val {min_val} is larger than max_val {max_val}")
    array = run_unary("clamp", input, float(min_val), float(max_val))
    return record(_hardtanh_backward, array, (input,), (input, float(min_val), float(max_val)))


@names_errors
def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """Return ``min(max(input, 0), 6)``."""
    return hardtanh(input, 0.0, 6.0)


def _leaky_relu_slope_backward(node: Node, ddx: Tensor) -> Any:
    x, negative_slope = node.saved
    return _leaky_relu_slope(ddx, x, negative_slope), zeros_as(x)


def _leaky_relu_slope(dy: Tensor, x: Tensor, negative_slope: float) -> Tensor:
    array = run_slope("leaky_relu_backward", dy, x, negative_slope)
    return record(_leaky_relu_slope_backward, array, (dy, x), (x, negative_slope))


def _leaky_relu_backward(node: Node, dy: Tensor) -> Any:
    x, negative_slope = node.saved
    return (_leaky_relu_slope(dy, x, negative_slope),)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """Return the input where positive, else ``negative_slope * input``."""
    array = run_unary("leaky_relu", input, negative_slope)
    return record(_leaky_relu_backward, array, (input,), (input, negative_slope))


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """Return the input where it is above ``threshold``, else ``value``."""
    array_of("threshold", input)
    return where(le(input, threshold), value, input)


# ---- exponential units ---------------------------------------------------------------------------


def _elu_slope_backward(node: Node, ddx: Tensor) -> Any:
    dy, x, alpha, rate = node.saved
    # Bounded at 0 so that exp cannot overflow where it is not chosen.
    bend = mul(exp(mul(clamp(x, max=0.0), rate)), alpha * rate * rate)
    return _elu_slope(ddx, x, alpha, rate), mul(mul(ddx, dy), where(gt(x, 0), 0.0, bend))


def _elu_slope(dy: Tensor, x: Tensor, alpha: float, rate: float) -> Tensor:
    array = run_slope("elu_backward", dy, x, alpha, rate)
    return record(_elu_slope_backward, array, (dy, x), (dy, x, alpha, rate))


def _elu_backward(node: Node, dy: Tensor) -> Any:
    x, alpha, rate = node.saved
    return (_elu_slope(dy, x, alpha, rate),)


def _elu(input: Tensor, alpha: float, rate: float) -> Tensor:
    """Return the input where positive, else ``alpha * (exp(rate * input) - 1)``."""
    array = run_unary("elu", input, alpha, rate)
    return record(_elu_backward, array, (input,), (input, alpha, rate))


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """Return the input where positive, else ``alpha * (exp(input) - 1)``."""
    return _elu(input, alpha, 1.0)


@names_errors
def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """Return the self-normalising unit: a scaled `elu`."""
    return mul(_elu(input, SELU_ALPHA, 1.0), SELU_SCALE)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """Return the input where positive, else ``alpha * (exp(input / alpha) - 1)``.

    Raises:
        ValueError: alpha is 0.
    """
    if alpha == 0:
        raise ValueError("celu: alpha is 0, expected another number")
    return _elu(input, alpha, 1.0 / alpha)


def _softplus_slope_backward(node: Node, ddx: Tensor) -> Any:
    dy, x, beta, threshold = node.saved
    z = mul(x, beta)
    s = sigmoid(z)
    bend = where(gt(z, threshold), 0.0, mul(mul(s, sub(1, s)), beta))
    return _softplus_slope(ddx, x, beta, threshold), mul(mul(ddx, dy), bend)


def _softplus_slope(dy: Tensor, x: Tensor, beta: float, threshold: float) -> Tensor:
    array = run_slope("softplus_backward", dy, x, beta, threshold)
    return record(_softplus_slope_backward, array, (dy, x), (dy, x, beta, threshold))


def _softplus_backward(node: Node, dy: Tensor) -> Any:
    x, beta, threshold = node.saved
    return (_softplus_slope(dy, x, beta, threshold),)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """Return ``log(1 + exp(beta * input)) / beta``; the input where beta * input > threshold.

    Raises:
        ValueError: beta is 0.
    """
    if beta == 0:
        raise ValueError("softplus: beta is 0, expected another number")
    input = cast_up(input)
    array = run_unary("softplus", input, beta, threshold)
    return record(_softplus_backward, array, (input,), (input, beta, threshold))


# ---- smooth gates --------------------------------------------------------------------------------


def _gelu_slope_backward(node: Node, ddx: Tensor) -> Any:
    dy, x = node.saved
    density = mul(exp(mul(square(x), -0.5)), 1 / math.sqrt(2 * math.pi))
    bend = mul(density, sub(2, square(x)))
    return _gelu_slope(ddx, x), mul(mul(ddx, dy), bend)


def _gelu_slope(dy: Tensor, x: Tensor) -> Tensor:
    return record(_gelu_slope_backward, run_slope("gelu_backward", dy, x), (dy, x), (dy, x))


def _gelu_backward(node: Node, dy: Tensor) -> Any:
    (x,) = node.saved
    return (_gelu_slope(dy, x),)


def _gelu_tanh_slope_backward(node: Node, ddx: Tensor) -> Any:
    """With u = k (x + c x^3), t = tanh u: y'' = (1 - t^2) (u' - x t u'^2 + x u'' / 2)."""
    dy, x = node.saved
    k, c = math.sqrt(2 / math.pi), 0.044715
    t = tanh(mul(mul(x, add(mul(square(x), c), 1)), k))
    slope = mul(add(mul(square(x), 3 * c), 1), k)
    inner = sub(slope, mul(mul(x, t), square(slope)))
    bend = mul(sub(1, square(t)), add(inner, mul(square(x), 3 * k * c)))
    return _gelu_tanh_slope(ddx, x), mul(mul(ddx, dy), bend)


def _gelu_tanh_slope(dy: Tensor, x: Tensor) -> Tensor:
    array = run_slope("gelu_tanh_backward", dy, x)
    return record(_gelu_tanh_slope_backward, array, (dy, x), (dy, x))


def _gelu_tanh_backward(node: Node, dy: Tensor) -> Any:
    (x,) = node.saved
    return (_gelu_tanh_slope(dy, x),)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """Return ``input * Phi(input)`` with the normal distribution Phi.

    Args:
        input: any tensor.
        approximate: ``"none"`` for erf, ``"tanh"`` for the form that approximates it by tanh.

    Raises:
        ValueError: ``approximate`` is something else.
    """
    if approximate == "none":
        return record(_gelu_backward, run_unary("gelu", input), (input,), (input,))
    if approximate == "tanh":
        return record(_gelu_tanh_backward, run_unary("gelu_tanh", input), (input,), (input,))
    raise ValueError(f"gelu: approximate is {approximate!r}, expected 'none' or 'tanh'")


def _silu_slope_backward(node: Node, ddx: Tensor) -> Any:
    dy, x = node.saved
    s = sigmoid(x)
    bend = mul(mul(s, sub(1, s)), add(mul(x, sub(1, mul(s, 2))), 2))
    return _silu_slope(ddx, x), mul(mul(ddx, dy), bend)


def _silu_slope(dy: Tensor, x: Tensor) -> Tensor:
    return record(_silu_slope_backward, run_slope("silu_backward", dy, x), (dy, x), (dy, x))


def _silu_backward(node: Node, dy: Tensor) -> Any:
    (x,) = node.saved
    return (_silu_slope(dy, x),)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """Return ``input * sigmoid(input)``."""
    return record(_silu_backward, run_unary("silu", input), (input,), (input,))


def _mish_backward(node: Node, dy: Tensor) -> Any:
    (x,) = node.saved
    t = tanh(softplus(x))
    return (mul(dy, add(t, mul(mul(x, sigmoid(x)), sub(1, square(t))))),)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """Return ``input * tanh(softplus(input))``."""
    return record(_mish_backward, run_unary("mish", input), (input,), (input,))


def _log_sigmoid_backward(node: Node, dy: Tensor) -> Any:
    (x,) = node.saved
    return (mul(dy, sigmoid(neg(x))),)


@names_errors
def logsigmoid(input: Tensor) -> Tensor:
    """Return ``log(sigmoid(input))`` without overflow on the way."""
    return record(_log_sigmoid_backward, run_unary("log_sigmoid", input), (input,), (input,))


# ---- piecewise gates and shrinkage ---------------------------------------------------------------


@names_errors
def softsign(input: Tensor) -> Tensor:
    """Return ``input / (1 + |input|)``."""
    return div(input, add(abs(input), 1))


def _hardsigmoid_backward(node: Node, dy: Tensor) -> Any:
    (x,) = node.saved
    return (_gate(mul(dy, 1 / 6), x, -3.0, 3.0),)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """Return ``min(max(input + 3, 0), 6) / 6``."""
    return record(_hardsigmoid_backward, run_unary("hardsigmoid", input), (input,), (input,))


def _hardswish_slope_backward(node: Node, ddx: Tensor) -> Any:
    dy, x = node.saved
    return _hardswish_slope(ddx, x), _gate(mul(mul(ddx, dy), 1 / 3), x, -3.0, 3.0)


def _hardswish_slope(dy: Tensor, x: Tensor) -> Tensor:
    array = run_slope("hardswish_backward", dy, x)
    return record(_hardswish_slope_backward, array, (dy, x), (dy, x))


def _hardswish_backward(node: Node, dy: Tensor) -> Any:
    (x,) = node.saved
    return (_hardswish_slope(dy, x),)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """Return ``input * hardsigmoid(input)``."""
    return record(_hardswish_backward, run_unary("hardswish", input), (input,), (input,))


@names_errors
def tanhshrink(input: Tensor) -> Tensor:
    """Return ``input - tanh(input)``."""
    return sub(input, tanh(input))


def _shrink_slope_backward(node: Node, ddx: Tensor) -> Any:
    x, lambd = node.saved
    return _shrink_slope(ddx, x, lambd), zeros_as(x)


def _shrink_slope(dy: Tensor, x: Tensor, lambd: float) -> Tensor:
    """Return ``dy``, and 0 where -lambd <= x <= lambd."""
    array = run_slope("hardshrink_backward", dy, x, lambd)
    return record(_shrink_slope_backward, array, (dy, x), (x, lambd))


def _shrink_backward(node: Node, dy: Tensor) -> Any:
    x, lambd = node.saved
    return (_shrink_slope(dy, x, lambd),)


def _shrink(name: str, input: Tensor, lambd: float) -> Tensor:
    x = as_floating(input)
    return record(_shrink_backward, run_unary(name, x, lambd), (x,), (x, lambd))


@names_errors
def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """Return the input moved towards 0 by ``lambd``, 0 where it would pass it.

    Raises:
        ValueError: ``lambd`` is negative.
    """
    if not check_number("softshrink", "lambd", lambd) >= 0:
        raise ValueError(f"softshrink: lambd is {lambd}, expected a number >= 0")
    return _shrink("softshrink", input, lambd)


@names_errors
def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """Return the input where its magnitude is above ``lambd``, else 0."""
    return _shrink("hardshrink", input, check_number("hardshrink", "lambd", lambd))

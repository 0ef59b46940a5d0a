# SPDX-License-Identifier: Apache-2.0
"""Special functions: error function, normal distribution, gamma function, Bessel functions, sinc.

Each stands beside its backward rule; the rules lead to functions of the same family, so they serve
derivatives of any order. Formulas: Abramowitz and Stegun, chapters 6, 7 and 9.
"""

from __future__ import annotations

import math
from typing import Any

from gradsmith.autograd import OUTPUT, Node, record
from gradsmith.autograd.mode import cast_up
from gradsmith.ops.creation import arange
from gradsmith.ops.elementwise import (
    add,
    as_floating,
    div,
    eq,
    isinf,
    le,
    logical_and,
    logical_or,
    lt,
    mul,
    neg,
    sub,
    where,
)
from gradsmith.ops.elementwise_math import exp, log, log1p, run_unary, sin, square
from gradsmith.ops.elementwise_operands import floating_operands
from gradsmith.ops.elementwise_round import abs, clamp, sign
from gradsmith.ops.options import check_int, check_number, names_errors
from gradsmith.ops.reduce import sum
from gradsmith.ops.shape import unsqueeze
from gradsmith.tensor import Tensor, array_of

_ROOT_HALF = math.sqrt(0.5)
_ROOT_PI = math.sqrt(math.pi)

# ---- error function and normal distribution ------------------------------------------------------


def _erfc_backward(node: Node, dy: Tensor) -> Any:
    (x,) = node.saved
    return (mul(mul(dy, -2 / _ROOT_PI), exp(neg(square(x)))),)


def erfc(input: Tensor) -> Tensor:
    """Return ``1 - erf(input)`` without cancellation where that is small."""
    return record(_erfc_backward, run_unary("erfc", input), (input,), (input,))


def _erfcx_backward(node: Node, dy: Tensor) -> Any:
    x, y = node.saved
    return (mul(dy, sub(mul(mul(x, 2), y), 2 / _ROOT_PI)),)


def erfcx(input: Tensor) -> Tensor:
    """Return ``exp(input ** 2) * erfc(input)``, which does not underflow."""
    return record(_erfcx_backward, run_unary("erfcx", input), (input,), (input, OUTPUT))


def _erfinv_backward(node: Node, dy: Tensor) -> Any:
    (y,) = node.saved
    return (mul(mul(dy, _ROOT_PI / 2), exp(square(y))),)


def erfinv(input: Tensor) -> Tensor:
    """Return the number whose error function is the input; NaN outside [-1, 1]."""
    input = cast_up(input)
    return record(_erfinv_backward, run_unary("erfinv", input), (input,), (OUTPUT,))


@names_errors
def ndtr(input: Tensor) -> Tensor:
    """Return the share of the standard normal distribution below the input."""
    return mul(erfc(mul(input, -_ROOT_HALF)), 0.5)


def _ndtri_backward(node: Node, dy: Tensor) -> Any:
    (y,) = node.saved
    return (mul(mul(dy, math.sqrt(2 * math.pi)), exp(mul(square(y), 0.5))),)


def ndtri(input: Tensor) -> Tensor:
    """Return the number below which a share of the normal distribution lies: `ndtr` inverted."""
    return record(_ndtri_backward, run_unary("ndtri", input), (input,), (OUTPUT,))


def _log_ndtr_backward(node: Node, dy: Tensor) -> Any:
    """The density over the distribution is sqrt(2 / pi) / erfcx(-x / sqrt(2))."""
    (x,) = node.saved
    return (div(mul(dy, math.sqrt(2 / math.pi)), erfcx(mul(x, -_ROOT_HALF))),)


@names_errors
def log_ndtr(input: Tensor) -> Tensor:
    """Return ``log(ndtr(input))`` without underflow on the way."""
    array_of("log_ndtr", input)
    x = as_floating(input)
    z = x.detach()
    low = lt(z, -1)
    u = mul(z, -_ROOT_HALF)
    below = sub(log(mul(erfcx(where(low, u, 0.0)), 0.5)), mul(square(z), 0.5))
    above = log1p(mul(erfc(neg(u)), -0.5))
    return record(_log_ndtr_backward, where(low, below, above)._array, (x,), (x,))


# ---- gamma function ------------------------------------------------------------------------------


def _lgamma_backward(node: Node, dy: Tensor) -> Any:
    (x,) = node.saved
    return (mul(dy, digamma(x)),)


def lgamma(input: Tensor) -> Tensor:
    """Return the logarithm of the magnitude of the gamma function."""
    return record(_lgamma_backward, run_unary("lgamma", input), (input,), (input,))


def _digamma_backward(node: Node, dy: Tensor) -> Any:
    (x,) = node.saved
    return (mul(dy, polygamma(1, x)),)


def digamma(input: Tensor) -> Tensor:
    """Return the derivative of `lgamma`."""
    return record(_digamma_backward, run_unary("digamma", input), (input,), (input,))


def _polygamma_backward(node: Node, dy: Tensor) -> Any:
    n, x = node.saved
    return (mul(dy, polygamma(n + 1, x)),)


@names_errors
def polygamma(n: int, input: Tensor) -> Tensor:
    """Return the derivative of order ``n`` of `digamma`.

    Raises:
        ValueError: ``n`` is negative.
    """
    if check_int("polygamma", "n", n) < 0:
        raise ValueError(f"polygamma: n is {n}, expected a number >= 0")
    if n == 0:
        return digamma(input)
    array = run_unary("polygamma", input, float(n))
    return record(_polygamma_backward, array, (input,), (n, input))


@names_errors
def mvlgamma(input: Tensor, p: int) -> Tensor:
    """Return the logarithm of the multivariate gamma function of ``p`` dimensions.

    ``p (p - 1) / 4 log(pi)`` plus the sum of ``lgamma(input - j / 2)`` for j from 0 to p - 1.

    Raises:
        ValueError: ``p`` is not positive.
        MemoryError: there is no room for p terms of each element.
    """
    if check_int("mvlgamma", "p", p) < 1:
        raise ValueError(f"mvlgamma: p is {p}, expected a number >= 1")
    x = as_floating(input)
    halves = mul(arange(p, dtype=x.dtype, device=x.device), 0.5)
    terms = lgamma(sub(unsqueeze(x, -1), halves))
    return add(sum(terms, -1), p * (p - 1) / 4 * math.log(math.pi))


# ---- Bessel functions ----------------------------------------------------------------------------


def _bessel_backward(node: Node, dy: Tensor) -> Any:
    x, order, scaled = node.saved
    if order == 0:
        slope = _bessel(x, 1, scaled)
    else:
        slope = mul(add(_bessel(x, order - 1, scaled), _bessel(x, order + 1, scaled)), 0.5)
    if scaled:
        slope = sub(slope, mul(sign(x), _bessel(x, order, scaled)))
    return (mul(dy, slope),)


def _bessel(input: Tensor, order: int, scaled: bool) -> Tensor:
    """Return the modified Bessel function of the first kind, times ``exp(-|x|)`` if scaled."""
    array = run_unary("bessel_i", input, float(order), float(scaled))
    return record(_bessel_backward, array, (input,), (input, order, scaled))


@names_errors
def i0(input: Tensor) -> Tensor:
    """Return the modified Bessel function of the first kind of order 0."""
    return _bessel(input, 0, False)


@names_errors
def i0e(input: Tensor) -> Tensor:
    """Return ``exp(-|input|) * i0(input)``, which does not overflow."""
    return _bessel(input, 0, True)


@names_errors
def i1(input: Tensor) -> Tensor:
    """Return the modified Bessel function of the first kind of order 1."""
    return _bessel(input, 1, False)


@names_errors
def i1e(input: Tensor) -> Tensor:
    """Return ``exp(-|input|) * i1(input)``, which does not overflow."""
    return _bessel(input, 1, True)


# ---- products with logarithms, logit, sinc -------------------------------------------------------


def _times_log(op: str, x: Any, y: Any, edge: float, logarithm: Any) -> Tensor:
    """Return ``x * logarithm(y)``, 0 where x is 0 and y no NaN; the logarithm is -inf at edge."""
    a, b = floating_operands(op, x, y)
    unbounded = logical_or(le(b, edge), isinf(b))
    return mul(a, logarithm(where(logical_and(eq(a, 0), unbounded), 1.0, b)))


@names_errors
def xlogy(input: Any, other: Any) -> Tensor:
    """Return ``input * log(other)``; 0 where the input is 0 and the other no NaN."""
    return _times_log("xlogy", input, other, 0, log)


@names_errors
def xlog1py(input: Any, other: Any) -> Tensor:
    """Return ``input * log1p(other)``; 0 where the input is 0 and the other no NaN."""
    return _times_log("xlog1py", input, other, -1, log1p)


@names_errors
def entr(input: Tensor) -> Tensor:
    """Return the entropy ``-input * log(input)``: 0 at 0, minus infinity below."""
    return where(lt(input, 0), -math.inf, neg(xlogy(input, input)))


@names_errors
def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """Return ``log(input / (1 - input))``, the inverse of `sigmoid`; NaN outside [0, 1].

    Args:
        input: tensor of shares.
        eps: bounds the input to [eps, 1 - eps] first.
    """
    array_of("logit", input)
    x = as_floating(input)
    if eps is not None:
        check_number("logit", "eps", eps)
        x = clamp(x, eps, 1 - eps)
    return sub(log(x), log1p(neg(x)))


_SINC_TERMS = [(-1) ** k / math.factorial(2 * k + 1) for k in range(9)]


@names_errors
def sinc(input: Tensor) -> Tensor:
    """Return ``sin(pi x) / (pi x)``, 1 at 0.

    Near 0 by its power series, so that its derivatives neither cancel nor divide by 0.
    """
    y = mul(input, math.pi)
    near = lt(abs(y.detach()), 0.8)
    squared = square(where(near, y, 0.0))
    series = mul(squared, _SINC_TERMS[-1])
    for term in reversed(_SINC_TERMS[1:-1]):
        series = mul(squared, add(series, term))
    far = where(near, 1.0, y)
    return where(near, add(series, 1.0), div(sin(far), far))

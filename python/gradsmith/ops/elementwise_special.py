# SPDX-License-Identifier: Apache-2.0
"""Special functions: error function, normal distribution, gamma and zeta function, sinc.

Each stands beside its backward rule; the rules lead to functions of the same family, so they serve
derivatives of any order. Formulas: Abramowitz and Stegun, chapters 6 and 7.
"""

from __future__ import annotations

import math
from typing import Any

from gradsmith.autograd import OUTPUT, Node, record
from gradsmith.autograd.mode import cast_up
from gradsmith.backend import EXTENSIONS
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
from gradsmith.ops.elementwise_math import erf_slope, exp, log, log1p, run_unary, sin, square
from gradsmith.ops.elementwise_operands import floating_operands
from gradsmith.ops.elementwise_round import abs, clamp
from gradsmith.ops.options import check_int, check_number, names_errors
from gradsmith.ops.reduce import sum, sum_to
from gradsmith.ops.shape import unsqueeze
from gradsmith.tensor import Tensor, array_of

_ROOT_HALF = math.sqrt(0.5)
_ROOT_PI = math.sqrt(math.pi)

# ---- error function and normal distribution ------------------------------------------------------


def _erfc_backward(node: Node, dy: Tensor) -> Any:
    (x,) = node.saved
    return (erf_slope("erfc_backward", dy, x),)


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


# ---- incomplete gamma function, Hurwitz's zeta function ------------------------------------------


def _of_two(name: str, backward: Any, input: Any, other: Any) -> Tensor:
    """Return the kernel ``name`` of two numbers, of which the second has a derivative."""
    a, x = floating_operands(name, input, other)
    array = getattr(EXTENSIONS[type(a._array)], name)(a._array, x._array)
    return record(backward, array, (a, x), (name, a, x))


def _refuse_first(node: Node) -> None:
    if node.needs(0):
        raise RuntimeError(f"{node.saved[0]}: has no gradient with respect to input; detach it")


def _gammainc_backward(node: Node, dy: Tensor) -> Any:
    """The density of the gamma distribution: x^(a - 1) exp(-x) / Gamma(a)."""
    _refuse_first(node)
    name, a, x = node.saved
    density = exp(sub(sub(xlogy(sub(a, 1), x), x), lgamma(a)))
    slope = density if name == "gammainc" else neg(density)
    return None, sum_to(mul(dy, slope), x.shape)


@names_errors
def gammainc(input: Any, other: Any) -> Tensor:
    """Return the regularised lower incomplete gamma function P(input, other).

    ``1 / Gamma(a)`` times the integral of ``t^(a - 1) exp(-t)`` from 0 to x (Abramowitz and Stegun
    6.5.1): the share of the gamma distribution of shape a below x.

    Args:
        input: a >= 0; it has no gradient.
        other: x >= 0; both broadcast.

    >>> import gradsmith as gs
    >>> gs.special.gammainc(gs.tensor(1.0), gs.tensor([0.5, 1.0]))
    tensor([0.3935, 0.6321])
    """
    return _of_two("gammainc", _gammainc_backward, input, other)


@names_errors
def gammaincc(input: Any, other: Any) -> Tensor:
    """Return the regularised upper incomplete gamma function ``1 - gammainc(input, other)``.

    Without cancellation for other > input + 1.

    Args:
        input: a >= 0; it has no gradient.
        other: x >= 0; both broadcast.
    """
    return _of_two("gammaincc", _gammainc_backward, input, other)


igamma = gammainc
igammac = gammaincc


def _zeta_backward(node: Node, dy: Tensor) -> Any:
    _refuse_first(node)
    _, s, q = node.saved
    return None, sum_to(mul(dy, neg(mul(s, zeta(add(s, 1), q)))), q.shape)


@names_errors
def zeta(input: Any, other: Any) -> Tensor:
    """Return Hurwitz's zeta function: the sum of ``(other + k) ** -input`` over k >= 0.

    Args:
        input: the exponent, above 1 (infinity at 1, NaN below); it has no gradient.
        other: the first base; infinity at 0, -1, ..., and NaN between unless the exponent is whole.
    """
    return _of_two("zeta", _zeta_backward, input, other)


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

# SPDX-License-Identifier: Apache-2.0
"""Orthogonal polynomials by their recurrences (Abramowitz and Stegun, table 22.7).

``n`` is a degree, or a tensor of degrees that broadcasts with the input; below 0 the value is 0,
and fractions count for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gradsmith.backend import int64
from gradsmith.ops.elementwise import add, as_floating, eq, mul, sub, to, where
from gradsmith.ops.options import check_int, check_number, names_errors
from gradsmith.tensor import Tensor, array_of

_MOST = 10_000  # so that a wrong degree ends in an error and not in hours

# Makes the polynomial of the degree k + 1 of k, x, the one of degree k and the one before it.
Step = Callable[[int, Tensor, Tensor, Tensor], Tensor]


def _up_to(x: Tensor, degree: int, first: Tensor, step: Step) -> Iterator[Tensor]:
    """Yield the polynomials of the degrees from 0 on."""
    before, value = mul(x, 0.0), add(mul(x, 0.0), 1.0)
    yield value
    for k in range(degree):
        before, value = value, step(k, x, value, before) if k else first
        yield value


def _polynomial(op: str, x: Tensor, n: Any, first: Tensor, step: Step) -> Tensor:
    """Return the polynomial that follows from 1, ``first`` and the recurrence."""
    if isinstance(n, Tensor):
        n = to(n, int64)
        degree = int(n.max().item()) if n.numel() else 0
    else:
        degree = check_int(op, "n", int(check_number(op, "n", n)))
    if degree > _MOST:
        raise ValueError(f"{op}: n is {degree}, expected at most {_MOST}")
    result = mul(x, 0.0)
    for k, value in enumerate(_up_to(x, degree, first, step)):
        if isinstance(n, Tensor):
            result = where(eq(n, k), value, result)
        elif k == degree:
            result = value
    return result


def _input(op: str, input: Any) -> Tensor:
    array_of(op, input)
    return as_floating(input)


def _chebyshev_step(k: int, x: Tensor, value: Tensor, before: Tensor) -> Tensor:
    return sub(mul(mul(x, 2.0), value), before)


def _hermite_h_step(k: int, x: Tensor, value: Tensor, before: Tensor) -> Tensor:
    return mul(sub(mul(x, value), mul(before, float(k))), 2.0)


def _hermite_he_step(k: int, x: Tensor, value: Tensor, before: Tensor) -> Tensor:
    return sub(mul(x, value), mul(before, float(k)))


def _laguerre_step(k: int, x: Tensor, value: Tensor, before: Tensor) -> Tensor:
    scaled = mul(sub(2.0 * k + 1, x), value)
    return mul(sub(scaled, mul(before, float(k))), 1 / (k + 1))


def _legendre_step(k: int, x: Tensor, value: Tensor, before: Tensor) -> Tensor:
    scaled = mul(mul(x, 2.0 * k + 1), value)
    return mul(sub(scaled, mul(before, float(k))), 1 / (k + 1))


@names_errors
def chebyshev_polynomial_t(input: Tensor, n: Any) -> Tensor:
    """Return Chebyshev's polynomial of the first kind: 1, x, 2 x^2 - 1, ..."""
    x = _input("chebyshev_polynomial_t", input)
    return _polynomial("chebyshev_polynomial_t", x, n, x, _chebyshev_step)


@names_errors
def chebyshev_polynomial_u(input: Tensor, n: Any) -> Tensor:
    """Return Chebyshev's polynomial of the second kind: 1, 2 x, 4 x^2 - 1, ..."""
    x = _input("chebyshev_polynomial_u", input)
    return _polynomial("chebyshev_polynomial_u", x, n, mul(x, 2.0), _chebyshev_step)


@names_errors
def chebyshev_polynomial_v(input: Tensor, n: Any) -> Tensor:
    """Return Chebyshev's polynomial of the third kind: 1, 2 x - 1, ..."""
    x = _input("chebyshev_polynomial_v", input)
    return _polynomial("chebyshev_polynomial_v", x, n, sub(mul(x, 2.0), 1.0), _chebyshev_step)


@names_errors
def chebyshev_polynomial_w(input: Tensor, n: Any) -> Tensor:
    """Return Chebyshev's polynomial of the fourth kind: 1, 2 x + 1, ..."""
    x = _input("chebyshev_polynomial_w", input)
    return _polynomial("chebyshev_polynomial_w", x, n, add(mul(x, 2.0), 1.0), _chebyshev_step)


@names_errors
def hermite_polynomial_h(input: Tensor, n: Any) -> Tensor:
    """Return the physicists' polynomial of Hermite: 1, 2 x, 4 x^2 - 2, ..."""
    x = _input("hermite_polynomial_h", input)
    return _polynomial("hermite_polynomial_h", x, n, mul(x, 2.0), _hermite_h_step)


@names_errors
def hermite_polynomial_he(input: Tensor, n: Any) -> Tensor:
    """Return the probabilists' polynomial of Hermite: 1, x, x^2 - 1, ..."""
    x = _input("hermite_polynomial_he", input)
    return _polynomial("hermite_polynomial_he", x, n, x, _hermite_he_step)


@names_errors
def laguerre_polynomial_l(input: Tensor, n: Any) -> Tensor:
    """Return Laguerre's polynomial: 1, 1 - x, ..."""
    x = _input("laguerre_polynomial_l", input)
    return _polynomial("laguerre_polynomial_l", x, n, sub(1.0, x), _laguerre_step)


@names_errors
def legendre_polynomial_p(input: Tensor, n: Any) -> Tensor:
    """Return Legendre's polynomial: 1, x, (3 x^2 - 1) / 2, ..."""
    x = _input("legendre_polynomial_p", input)
    return _polynomial("legendre_polynomial_p", x, n, x, _legendre_step)


# ---- on [0, 1] instead of [-1, 1] ----------------------------------------------------------------


@names_errors
def shifted_chebyshev_polynomial_t(input: Tensor, n: Any) -> Tensor:
    """Return `chebyshev_polynomial_t` of ``2 x - 1``."""
    return chebyshev_polynomial_t(sub(mul(input, 2.0), 1.0), n)


@names_errors
def shifted_chebyshev_polynomial_u(input: Tensor, n: Any) -> Tensor:
    """Return `chebyshev_polynomial_u` of ``2 x - 1``."""
    return chebyshev_polynomial_u(sub(mul(input, 2.0), 1.0), n)


@names_errors
def shifted_chebyshev_polynomial_v(input: Tensor, n: Any) -> Tensor:
    """Return `chebyshev_polynomial_v` of ``2 x - 1``."""
    return chebyshev_polynomial_v(sub(mul(input, 2.0), 1.0), n)


@names_errors
def shifted_chebyshev_polynomial_w(input: Tensor, n: Any) -> Tensor:
    """Return `chebyshev_polynomial_w` of ``2 x - 1``."""
    return chebyshev_polynomial_w(sub(mul(input, 2.0), 1.0), n)

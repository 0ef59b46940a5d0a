# SPDX-License-Identifier: Apache-2.0
"""Special functions in decimal arithmetic of any precision: power series, and for the gamma family
recurrence to large arguments followed by Stirling's series.

``<name>_exact`` takes a float and gives a Decimal; ``<name>`` takes and gives arrays.
"""

from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import wraps
from math import comb, factorial
from typing import Any

import numpy as np

from . import Array

DIGITS = 60
_FAR = 80  # where 20 terms of Stirling's series give all digits


def precise(function: Callable[..., Decimal]) -> Callable[..., Decimal]:
    @wraps(function)
    def computed(*arguments: Any) -> Decimal:
        with localcontext() as context:
            context.prec = DIGITS
            return function(*arguments)

    return computed


def bernoulli(count: int) -> list[Fraction]:
    numbers = [Fraction(1)]
    for m in range(1, count):
        rest = sum((comb(m + 1, k) * numbers[k] for k in range(m)), Fraction(0))
        numbers.append(-rest / (m + 1))
    return numbers


_BERNOULLI = [Decimal(b.numerator) / Decimal(b.denominator) for b in bernoulli(41)]


def _pi() -> Decimal:
    """Machin 1706: 16 atan(1/5) - 4 atan(1/239)."""

    def inverse_tangent(n: int) -> Decimal:
        terms = (Decimal((-1) ** k) / ((2 * k + 1) * Decimal(n) ** (2 * k + 1)) for k in range(50))
        return sum(terms, Decimal(0))

    with localcontext() as context:
        context.prec = DIGITS
        return 16 * inverse_tangent(5) - 4 * inverse_tangent(239)


PI = _pi()


# ---- error function ------------------------------------------------------------------------------


def erf_exact(x: float | Decimal) -> Decimal:
    """2 / sqrt(pi) exp(-x^2) sum of 2^k x^(2k + 1) / (2k + 1)!!: all terms have one sign."""
    with localcontext() as context:
        context.prec = DIGITS
        z = Decimal(x)
        term = total = z
        for k in range(1, 1000):
            term *= 2 * z * z / (2 * k + 1)
            total += term
            if abs(term) < abs(total) * Decimal(10) ** -DIGITS:
                break
        return 2 / PI.sqrt() * (-z * z).exp() * total


@precise
def erfc_exact(x: float | Decimal) -> Decimal:
    """Far out, where the difference has no digits, by the asymptotic series (to 1e-35)."""
    z = Decimal(x)
    if z < 9:
        return 1 - erf_exact(x)
    term = total = Decimal(1)
    for k in range(1, 80):
        term *= -(2 * k - 1) / (2 * z * z)
        total += term
    return (-z * z).exp() / (z * PI.sqrt()) * total


@precise
def erfcx_exact(x: float) -> Decimal:
    return (Decimal(x) ** 2).exp() * erfc_exact(x)


@precise
def ndtr_exact(x: float | Decimal) -> Decimal:
    return erfc_exact(-Decimal(x) / Decimal(2).sqrt()) / 2


@precise
def log_ndtr_exact(x: float) -> Decimal:
    return ndtr_exact(x).ln()


def _inverse(function: Callable[[Decimal], Decimal], y: float, low: int, high: int) -> Decimal:
    """By bisection, of a function that grows."""
    a, b = Decimal(low), Decimal(high)
    for _ in range(64):
        middle = (a + b) / 2
        a, b = (middle, b) if function(middle) < Decimal(y) else (a, middle)
    return a


@precise
def erfinv_exact(x: float) -> Decimal:
    return _inverse(erf_exact, x, -6, 6)


@precise
def ndtri_exact(p: float) -> Decimal:
    return _inverse(ndtr_exact, p, -8, 8)


# ---- gamma function ------------------------------------------------------------------------------


@precise
def lgamma_exact(x: float) -> Decimal:
    z, product = Decimal(x), Decimal(1)
    while z < _FAR:
        product *= abs(z)
        z += 1
    tail = sum(
        (_BERNOULLI[2 * j] / (2 * j * (2 * j - 1) * z ** (2 * j - 1)) for j in range(1, 21)),
        Decimal(0),
    )
    half = Decimal(1) / 2
    return (z - half) * z.ln() - z + (2 * PI).ln() / 2 + tail - product.ln()


@precise
def digamma_exact(x: float) -> Decimal:
    z, total = Decimal(x), Decimal(0)
    while z < _FAR:
        total -= 1 / z
        z += 1
    tail = sum((_BERNOULLI[2 * j] / (2 * j * z ** (2 * j)) for j in range(1, 21)), Decimal(0))
    return total + z.ln() - 1 / (2 * z) - tail


@precise
def polygamma_exact(n: int, x: float) -> Decimal:
    """(-1)^(n + 1) times the sum of n! / (x + k)^(n + 1) over k >= 0."""
    z, total = Decimal(x), Decimal(0)
    while z < _FAR:
        total += factorial(n) / z ** (n + 1)
        z += 1
    total += factorial(n - 1) / z**n + factorial(n) / (2 * z ** (n + 1))
    for j in range(1, 21):
        rising = factorial(2 * j + n - 1) // factorial(2 * j)
        total += rising * _BERNOULLI[2 * j] / z ** (2 * j + n)
    return total * (-1) ** (n + 1)


@precise
def gammainc_exact(a: float, x: float) -> Decimal:
    """x^a exp(-x) / Gamma(a + 1) times the sum of x^k / ((a + 1) ... (a + k))."""
    shape, z = Decimal(a), Decimal(x)
    term = total = Decimal(1)
    for k in range(1, 3000):
        term *= z / (shape + k)
        total += term
    return (shape * z.ln() - z - lgamma_exact(a)).exp() / shape * total


@precise
def gammaincc_exact(a: float, x: float) -> Decimal:
    return 1 - gammainc_exact(a, x)


@precise
def zeta_exact(s: float, q: float) -> Decimal:
    """Terms up to _FAR, then the sum by Euler and Maclaurin."""
    exponent, z, total = Decimal(s), Decimal(q), Decimal(0)
    while z < _FAR:
        total += 1 / z**exponent
        z += 1
    total += z ** (1 - exponent) / (exponent - 1) + 1 / (2 * z**exponent)
    rising = exponent
    for j in range(1, 21):
        total += _BERNOULLI[2 * j] / factorial(2 * j) * rising / z ** (exponent + 2 * j - 1)
        rising *= (exponent + 2 * j - 1) * (exponent + 2 * j)
    return total


# ---- Bessel functions ----------------------------------------------------------------------------


@precise
def bessel_i_exact(n: int, x: float) -> Decimal:
    z = Decimal(x) / 2
    term = total = z**n / factorial(n) if n else Decimal(1)
    for k in range(1, 2000):
        term *= z * z / (k * (k + n))
        total += term
        if abs(term) < abs(total) * Decimal(10) ** -DIGITS:
            break
    return total


@precise
def scaled_bessel_i_exact(n: int, x: float) -> Decimal:
    return bessel_i_exact(n, x) * (-abs(Decimal(x))).exp()


def _power_series(n: int, x: Decimal, weight: Callable[[int], Decimal], sign: int) -> Decimal:
    """The sum of sign^k weight(k) (x / 2)^(2 k + n) / (k! (k + n)!)."""
    half = x / 2
    term = half**n / factorial(n) if n else Decimal(1)
    total = term * weight(0)
    for k in range(1, 400):
        term *= sign * half * half / (k * (k + n))
        total += term * weight(k)
    return total


def _pole(n: int, x: Decimal, sign: int) -> Decimal:
    """The sum of (-sign)^k (n - k - 1)! / k! (x / 2)^(2 k - n) over k < n."""
    terms = (
        Decimal((-sign) ** k * factorial(n - k - 1)) / factorial(k) * (x / 2) ** (2 * k - n)
        for k in range(n)
    )
    return sum(terms, Decimal(0))


def _logarithmic(n: int, x: Decimal, sign: int) -> Decimal:
    """2 log(x / 2) times the series of J or I, less the sum with psi(k + 1) + psi(k + n + 1)."""
    gamma = -digamma_exact(1.0)
    series = _power_series(n, x, lambda k: Decimal(1), sign)
    harmonic = [Decimal(0)]
    for k in range(1, 400 + n):
        harmonic.append(harmonic[-1] + 1 / Decimal(k))
    rest = _power_series(n, x, lambda k: harmonic[k] + harmonic[k + n] - 2 * gamma, sign)
    return 2 * (x / 2).ln() * series - rest


@precise
def bessel_j_exact(n: int, x: float) -> Decimal:
    return _power_series(n, Decimal(x), lambda k: Decimal(1), -1)


@precise
def bessel_y_exact(n: int, x: float) -> Decimal:
    z = Decimal(x)
    return (_logarithmic(n, z, -1) - _pole(n, z, -1)) / PI


@precise
def bessel_k_exact(n: int, x: float) -> Decimal:
    z = Decimal(x)
    return (_pole(n, z, 1) - (-1) ** n * _logarithmic(n, z, 1)) / 2


@precise
def scaled_bessel_k_exact(n: int, x: float) -> Decimal:
    return bessel_k_exact(n, x) * Decimal(x).exp()


def _arrays(exact: Callable[..., Decimal], *first: Any) -> Callable[[Array], Array]:
    return np.vectorize(lambda x: float(exact(*first, float(x))), otypes=[np.float64])


erfc = _arrays(erfc_exact)
erfcx = _arrays(erfcx_exact)
erfinv = _arrays(erfinv_exact)
ndtr = _arrays(ndtr_exact)
ndtri = _arrays(ndtri_exact)
log_ndtr = _arrays(log_ndtr_exact)
lgamma = _arrays(lgamma_exact)
digamma = _arrays(digamma_exact)
trigamma = _arrays(polygamma_exact, 1)
tetragamma = _arrays(polygamma_exact, 2)
i0 = _arrays(bessel_i_exact, 0)
i1 = _arrays(bessel_i_exact, 1)
i0e = _arrays(scaled_bessel_i_exact, 0)
i1e = _arrays(scaled_bessel_i_exact, 1)
bessel_j0 = _arrays(bessel_j_exact, 0)
bessel_j1 = _arrays(bessel_j_exact, 1)
bessel_y0 = _arrays(bessel_y_exact, 0)
bessel_y1 = _arrays(bessel_y_exact, 1)
modified_bessel_k0 = _arrays(bessel_k_exact, 0)
modified_bessel_k1 = _arrays(bessel_k_exact, 1)
scaled_modified_bessel_k0 = _arrays(scaled_bessel_k_exact, 0)
scaled_modified_bessel_k1 = _arrays(scaled_bessel_k_exact, 1)


def _of_two(exact: Callable[..., Decimal]) -> Callable[[Array, Array], Array]:
    return np.vectorize(lambda a, x: float(exact(float(a), float(x))), otypes=[np.float64])


gammainc = _of_two(gammainc_exact)
gammaincc = _of_two(gammaincc_exact)
zeta = _of_two(zeta_exact)


def spherical_bessel_j0(x: Array) -> Array:
    return np.sin(x) / x


def mvlgamma(x: Array, p: int) -> Array:
    constant = p * (p - 1) / 4 * np.log(np.pi)
    return constant + sum(lgamma(x - j / 2) for j in range(p))


def xlogy(x: Array, y: Array) -> Array:
    return np.where(x == 0, 0.0, x * np.log(y))


def logit(x: Array) -> Array:
    return np.log(x) - np.log1p(-x)

# SPDX-License-Identifier: Apache-2.0
"""Other distributions, made of the uniform and normal numbers of `random`.

Formulas are evaluated in float64, so that a seed gives the same numbers on every device.
"""

from __future__ import annotations

import math

import numpy as np

from gradsmith.autograd import no_grad
from gradsmith.backend import EXTENSIONS, FLOATING, Array, DType, device_of, float64, on_host
from gradsmith.ops.elementwise import (
    add,
    div,
    ge,
    gt,
    le,
    logical_and,
    logical_not,
    logical_or,
    lt,
    maximum,
    mul,
    sub,
    to,
    where,
)
from gradsmith.ops.elementwise_math import exp, log, sqrt, tan
from gradsmith.ops.elementwise_round import abs, ceil, floor
from gradsmith.ops.options import check_int, names_errors
from gradsmith.ops.random import fill_normal, fill_uniform, integer_limits, integers
from gradsmith.ops.reduce import any
from gradsmith.random import Generator
from gradsmith.tensor import Tensor, array_of, wrap

_STEP = 2.0**-24  # distance of uniform numbers


def _uniform(op: str, like: Array, generator: Generator | None) -> Tensor:
    """Return float64 numbers uniform in the open interval (0, 1), one per element."""
    drawn = EXTENSIONS[type(like)].empty(like.shape, float64)
    fill_uniform(op, drawn, 0.0, 1.0, generator)
    return add(wrap(drawn), _STEP / 2)


def _write(out: Array, values: Tensor) -> None:
    extension = EXTENSIONS[type(out)]
    extension.copy(out, extension.cast(values._array, out.dtype))


def _check_floating(op: str, dtype: DType) -> None:
    if dtype not in FLOATING:
        raise TypeError(f"{op}: the tensor is {dtype}, expected a floating dtype")


def fill_exponential(op: str, out: Array, rate: float, generator: Generator | None) -> None:
    """Fill an array in C order with numbers of density ``rate * exp(-rate * x)``."""
    _check_floating(op, out.dtype)
    with no_grad():
        _write(out, div(log(_uniform(op, out, generator)), -rate))


def fill_geometric(op: str, out: Array, p: float, generator: Generator | None) -> None:
    """Fill an array with the number of trials up to the first success, of probability p each."""
    with no_grad():
        trials = ceil(div(log(_uniform(op, out, generator)), math.log1p(-p)))
        _write(out, maximum(trials, 1.0))


def fill_cauchy(
    op: str, out: Array, median: float, sigma: float, generator: Generator | None
) -> None:
    """Fill an array with numbers of density ``sigma / (pi (sigma^2 + (x - median)^2))``."""
    _check_floating(op, out.dtype)
    with no_grad():
        angle = mul(sub(_uniform(op, out, generator), 0.5), math.pi)
        _write(out, add(mul(tan(angle), sigma), median))


def fill_log_normal(
    op: str, out: Array, mean: float, std: float, generator: Generator | None
) -> None:
    """Fill an array with exponentials of normal numbers."""
    _check_floating(op, out.dtype)
    drawn = EXTENSIONS[type(out)].empty(out.shape, float64)
    fill_normal(op, drawn, mean, std, generator)
    with no_grad():
        _write(out, exp(wrap(drawn)))


# ---- poisson -------------------------------------------------------------------------------------

_LARGE_RATE = 10.0  # from here on rejection


@names_errors
def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Return for each element a number drawn from the Poisson distribution of that rate.

    Small rates invert the distribution function, larger ones use the transformed rejection of
    Hörmann, "The transformed rejection method for generating Poisson random variables" (1993).

    Raises:
        TypeError: the input is not floating.
        ValueError: a rate is negative or not finite.
    """
    array = array_of("poisson", input)
    _check_floating("poisson", array.dtype)
    lowest, highest = _ends(array)
    if not (lowest >= 0 and math.isfinite(highest)):
        bad = lowest if not lowest >= 0 else highest
        raise ValueError(f"poisson: input holds {bad}, expected finite rates >= 0")
    with no_grad():
        rate = to(input.detach(), float64)
        small = lt(rate, _LARGE_RATE)
        counts = _inverted(where(small, rate, 0.0), min(highest, _LARGE_RATE), generator)
        if highest >= _LARGE_RATE:
            large = _rejected(where(small, _LARGE_RATE, rate), generator)
            counts = where(small, counts, large)
        return to(counts, array.dtype)


def _ends(array: Array) -> tuple[float, float]:
    """Return the smallest and the largest element, NaN if there is one, 0 of nothing."""
    with np.errstate(all="ignore"):  # signalling NaN
        numbers = on_host(array).astype(np.float64)
    return (float(numbers.min()), float(numbers.max())) if numbers.size else (0.0, 0.0)


def _inverted(rate: Tensor, highest: float, generator: Generator | None) -> Tensor:
    """Count how often the distribution function lies below a uniform number."""
    op, like = "poisson", rate._array
    coarse = sub(_uniform(op, like, generator), _STEP / 2)
    place = add(coarse, mul(_uniform(op, like, generator), _STEP))  # 48 bits, for the tail
    term = exp(mul(rate, -1.0))
    below = term
    counts = mul(rate, 0.0)
    # Beyond, no place of 48 bits is left.
    for number in range(1, int(highest + 12 * math.sqrt(highest)) + 20):
        further = gt(place, below)
        if not any(further).item():
            break
        counts = add(counts, to(further, float64))
        term = div(mul(term, rate), float(number))
        below = add(below, term)
    return counts


def _log_factorial(count: Tensor) -> Tensor:
    """Return log(count!) for counts >= 0, by Stirling's series eight numbers further on."""
    product = add(count, 1.0)
    for i in range(2, 9):
        product = mul(product, add(count, float(i)))
    x = add(count, 9.0)
    inverse = div(1.0, x)
    squared = mul(inverse, inverse)
    series = mul(inverse, sub(1 / 12, mul(squared, sub(1 / 360, div(squared, 1260.0)))))
    stirling = add(sub(mul(sub(x, 0.5), log(x)), x), add(series, 0.5 * math.log(2 * math.pi)))
    return sub(stirling, log(product))


def _rejected(rate: Tensor, generator: Generator | None) -> Tensor:
    """Draw for all elements until each has accepted a number (algorithm PTRS)."""
    op, like = "poisson", rate._array
    root, log_rate = sqrt(rate), log(rate)
    b = add(mul(root, 2.53), 0.931)
    a = add(mul(b, 0.02483), -0.059)
    inverse_alpha = add(div(1.1328, sub(b, 3.4)), 1.1239)
    v_edge = sub(0.9277, div(3.6224, sub(b, 2.0)))
    counts = mul(rate, 0.0)
    waiting = ge(rate, 0.0)
    while any(waiting).item():
        u = sub(_uniform(op, like, generator), 0.5)
        v = _uniform(op, like, generator)
        side = sub(0.5, abs(u))
        count = floor(add(mul(add(div(mul(a, 2.0), side), b), u), add(rate, 0.43)))
        quick = logical_and(ge(side, 0.07), le(v, v_edge))
        outside = logical_or(lt(count, 0.0), logical_and(lt(side, 0.013), gt(v, side)))
        safe = maximum(count, 0.0)
        density = sub(sub(mul(safe, log_rate), rate), _log_factorial(safe))
        hat = log(div(mul(v, inverse_alpha), add(div(a, mul(side, side)), b)))
        accepted = logical_or(quick, logical_and(logical_not(outside), le(hat, density)))
        counts = where(logical_and(waiting, accepted), count, counts)
        waiting = logical_and(waiting, logical_not(accepted))
    return counts


# ---- integers ------------------------------------------------------------------------------------

# The last integer up to which a floating dtype holds each.
_EXACT = {"bfloat16": 2**8, "float16": 2**11, "float32": 2**24, "float64": 2**53}


def fill_integers(
    op: str, out: Array, low: int | None, to: int | None, generator: Generator | None
) -> None:
    """Fill an array with integers of [low, to), from 0 on or as far as the dtype counts."""
    if low is None and to is None:
        dtype = out.dtype
        to = _EXACT[str(dtype)] + 1 if dtype in FLOATING else integer_limits(dtype)[1] + 1
        to = min(to, 2**63 - 1)  # the bound itself has to fit in int64
    elif to is None:
        low, to = 0, low
    first = check_int(op, "low", 0 if low is None else low)
    end = check_int(op, "to", to)
    drawn = integers(op, first, end, out.shape, out.dtype, device_of(out), generator)
    EXTENSIONS[type(out)].copy(out, drawn._array)

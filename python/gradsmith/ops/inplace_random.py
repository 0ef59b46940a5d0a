# SPDX-License-Identifier: Apache-2.0
"""Filling a tensor with random numbers of other distributions than the normal and the uniform."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradsmith.ops import random_distributions as distributions
from gradsmith.ops.inplace import _draw
from gradsmith.ops.options import check_number, names_errors
from gradsmith.random import Generator
from gradsmith.tensor import Tensor


def _filled(
    op: str, input: Tensor, fill: Callable[..., None], *options: Any, generator: Generator | None
) -> Tensor:
    return _draw(op, input, lambda array: fill(op, array, *options, generator))


@names_errors
def exponential_(input: Tensor, lambd: float = 1, *, generator: Generator | None = None) -> Tensor:
    """Fill with numbers of density ``lambd * exp(-lambd * x)``, x > 0.

    Raises:
        TypeError: the tensor is not floating.
        ValueError: ``lambd`` is not positive.
    """
    rate = check_number("exponential_", "lambd", lambd)
    if not rate > 0:
        raise ValueError(f"exponential_: lambd is {lambd}, expected a number > 0")
    return _filled("exponential_", input, distributions.fill_exponential, rate, generator=generator)


@names_errors
def geometric_(input: Tensor, p: float, *, generator: Generator | None = None) -> Tensor:
    """Fill with the number of trials up to the first success: k with ``(1 - p)^(k - 1) * p``.

    Raises:
        ValueError: ``p`` is not in (0, 1).
    """
    chance = check_number("geometric_", "p", p)
    if not 0 < chance < 1:
        raise ValueError(f"geometric_: p is {p}, expected a number in (0, 1)")
    return _filled("geometric_", input, distributions.fill_geometric, chance, generator=generator)


@names_errors
def cauchy_(
    input: Tensor, median: float = 0, sigma: float = 1, *, generator: Generator | None = None
) -> Tensor:
    """Fill with numbers of density ``sigma / (pi * (sigma^2 + (x - median)^2))``.

    Raises:
        TypeError: the tensor is not floating.
        ValueError: ``sigma`` is not positive.
    """
    place = check_number("cauchy_", "median", median)
    width = check_number("cauchy_", "sigma", sigma)
    if not width > 0:
        raise ValueError(f"cauchy_: sigma is {sigma}, expected a number > 0")
    return _filled("cauchy_", input, distributions.fill_cauchy, place, width, generator=generator)


@names_errors
def log_normal_(
    input: Tensor, mean: float = 1, std: float = 2, *, generator: Generator | None = None
) -> Tensor:
    """Fill with exponentials of normal numbers of that mean and standard deviation.

    Raises:
        TypeError: the tensor is not floating.
        ValueError: ``std`` is not positive.
    """
    if not check_number("log_normal_", "std", std) > 0:
        raise ValueError(f"log_normal_: std is {std}, expected a number > 0")
    return _filled(
        "log_normal_", input, distributions.fill_log_normal, mean, std, generator=generator
    )


@names_errors
def random_(
    input: Tensor,
    low: int | None = None,
    to: int | None = None,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Fill with integers in [low, to).

    ``random_(to)`` starts at 0; without bounds it draws from 0 on all numbers the dtype holds,
    of a floating one those up to which it holds every integer.

    Raises:
        TypeError: a bound is no integer.
        ValueError: there is no integer in the interval, or the dtype cannot hold its ends.
    """
    return _filled("random_", input, distributions.fill_integers, low, to, generator=generator)

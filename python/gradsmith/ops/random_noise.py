# SPDX-License-Identifier: Apache-2.0
"""Noise in training: added, multiplied, or in the slope of a rectifier.

Off the training mode each is its mean. Draws come from the default generator.
"""

from __future__ import annotations

import math

from gradsmith.ops.elementwise import add, gt, mul, where
from gradsmith.ops.elementwise_activation import leaky_relu
from gradsmith.ops.options import check_flag, check_number, names_errors
from gradsmith.ops.random import rand_like, randn_like
from gradsmith.tensor import Tensor, array_of


@names_errors
def gaussian_noise(input: Tensor, stddev: float, training: bool = True) -> Tensor:
    """In training, add normal numbers of mean 0 and standard deviation ``stddev``.

    Raises:
        TypeError: the input is not floating.
        ValueError: ``stddev`` is negative or not finite.
    """
    array_of("gaussian_noise", input)
    check_flag("gaussian_noise", "training", training)
    if not 0 <= check_number("gaussian_noise", "stddev", stddev) < math.inf:
        raise ValueError(f"gaussian_noise: stddev is {stddev}, expected a finite number >= 0")
    if not training or stddev == 0:
        return input
    return add(input, mul(randn_like(input), stddev))


@names_errors
def gaussian_dropout(input: Tensor, rate: float, training: bool = True) -> Tensor:
    """In training, multiply by normal numbers of mean 1 and variance ``rate / (1 - rate)``.

    That is the mean and variance of dropout's factors (Srivastava 2014, section 10).

    Raises:
        TypeError: the input is not floating.
        ValueError: ``rate`` lies outside [0, 1).
    """
    array_of("gaussian_dropout", input)
    check_flag("gaussian_dropout", "training", training)
    if not 0 <= check_number("gaussian_dropout", "rate", rate) < 1:
        raise ValueError(f"gaussian_dropout: rate is {rate}, expected a number in [0, 1)")
    if not training or rate == 0:
        return input
    factors = add(mul(randn_like(input), math.sqrt(rate / (1 - rate))), 1.0)
    return mul(input, factors)


@names_errors
def rrelu(
    input: Tensor,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Tensor:
    """Return the input where positive, else a random multiple of it (Xu 2015).

    In training each slope is uniform in [lower, upper), otherwise it is their mean.

    Raises:
        TypeError: the input is not floating.
        ValueError: the bounds cross.
    """
    array_of("rrelu", input)
    check_flag("rrelu", "training", training)
    low, high = check_number("rrelu", "lower", lower), check_number("rrelu", "upper", upper)
    if not low <= high:
        raise ValueError(f"rrelu: lower is {lower}, expected at most upper, {upper}")
    if not training:
        return leaky_relu(input, (low + high) / 2)
    slopes = add(mul(rand_like(input), high - low), low)
    return where(gt(input, 0), input, mul(input, slopes))

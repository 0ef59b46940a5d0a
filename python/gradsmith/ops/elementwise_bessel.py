# SPDX-License-Identifier: Apache-2.0
"""Bessel functions of whole order (Abramowitz and Stegun, chapter 9).

A derivative is made of the neighbouring orders (9.1.27, 9.6.26), so it serves any order.
"""

from __future__ import annotations

import math
from typing import Any

from gradsmith.autograd import Node, record
from gradsmith.ops.elementwise import add, mul
from gradsmith.ops.elementwise_math import run_unary
from gradsmith.ops.elementwise_round import sign
from gradsmith.ops.elementwise_special import sinc
from gradsmith.ops.options import names_errors
from gradsmith.tensor import Tensor

# Of each kernel: the weights of the orders below and above in the derivative, and the sign of the
# exponent of its scaled form.
_RULES = {
    "bessel_i": (0.5, 0.5, -1.0),
    "bessel_j": (0.5, -0.5, 0.0),
    "bessel_y": (0.5, -0.5, 0.0),
    "bessel_k": (-0.5, -0.5, 1.0),
}


def _bessel_backward(node: Node, dy: Tensor) -> Any:
    x, name, order, scaled = node.saved
    below, above, exponent = _RULES[name]
    if order == 0:  # the orders -1 and 1 are the same, but for a sign
        slope = mul(_bessel(name, x, 1, scaled), 2 * above)
    else:
        slope = add(
            mul(_bessel(name, x, order - 1, scaled), below),
            mul(_bessel(name, x, order + 1, scaled), above),
        )
    if scaled:
        slope = add(slope, mul(mul(sign(x), exponent), _bessel(name, x, order, scaled)))
    return (mul(dy, slope),)


def _bessel(name: str, input: Tensor, order: int, scaled: bool = False) -> Tensor:
    """Return what the kernel gives, without its exponential growth or decay if scaled."""
    array = run_unary(name, input, float(order), float(scaled))
    return record(_bessel_backward, array, (input,), (input, name, order, scaled))


@names_errors
def i0(input: Tensor) -> Tensor:
    """Return the modified Bessel function of the first kind of order 0."""
    return _bessel("bessel_i", input, 0)


@names_errors
def i0e(input: Tensor) -> Tensor:
    """Return ``exp(-|input|) * i0(input)``, which does not overflow."""
    return _bessel("bessel_i", input, 0, scaled=True)


@names_errors
def i1(input: Tensor) -> Tensor:
    """Return the modified Bessel function of the first kind of order 1."""
    return _bessel("bessel_i", input, 1)


@names_errors
def i1e(input: Tensor) -> Tensor:
    """Return ``exp(-|input|) * i1(input)``, which does not overflow."""
    return _bessel("bessel_i", input, 1, scaled=True)


@names_errors
def bessel_j0(input: Tensor) -> Tensor:
    """Return the Bessel function of the first kind of order 0."""
    return _bessel("bessel_j", input, 0)


@names_errors
def bessel_j1(input: Tensor) -> Tensor:
    """Return the Bessel function of the first kind of order 1."""
    return _bessel("bessel_j", input, 1)


@names_errors
def bessel_y0(input: Tensor) -> Tensor:
    """Return the Bessel function of the second kind of order 0: minus infinity at 0, NaN below."""
    return _bessel("bessel_y", input, 0)


@names_errors
def bessel_y1(input: Tensor) -> Tensor:
    """Return the Bessel function of the second kind of order 1: minus infinity at 0, NaN below."""
    return _bessel("bessel_y", input, 1)


@names_errors
def modified_bessel_k0(input: Tensor) -> Tensor:
    """Return the modified Bessel function of the second kind of order 0: NaN below 0."""
    return _bessel("bessel_k", input, 0)


@names_errors
def modified_bessel_k1(input: Tensor) -> Tensor:
    """Return the modified Bessel function of the second kind of order 1: NaN below 0."""
    return _bessel("bessel_k", input, 1)


@names_errors
def scaled_modified_bessel_k0(input: Tensor) -> Tensor:
    """Return ``exp(input) * modified_bessel_k0(input)``, which does not underflow."""
    return _bessel("bessel_k", input, 0, scaled=True)


@names_errors
def scaled_modified_bessel_k1(input: Tensor) -> Tensor:
    """Return ``exp(input) * modified_bessel_k1(input)``, which does not underflow."""
    return _bessel("bessel_k", input, 1, scaled=True)


@names_errors
def spherical_bessel_j0(input: Tensor) -> Tensor:
    """Return the spherical Bessel function of the first kind of order 0: ``sin(x) / x``, 1 at 0."""
    return sinc(mul(input, 1 / math.pi))

# SPDX-License-Identifier: Apache-2.0
"""Initialisers that draw from one distribution, whatever the tensor's shape."""

from __future__ import annotations

import math
from typing import Any

from gradsmith.autograd import no_grad
from gradsmith.nn.init.fixed import two_dimensional
from gradsmith.ops.elementwise import where
from gradsmith.ops.options import check_number
from gradsmith.ops.random import randperm
from gradsmith.tensor import Tensor, array_of


@no_grad()
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """Fill with numbers drawn uniformly from [a, b)."""
    array_of("uniform_", tensor, "tensor")
    return tensor.uniform_(a, b, generator=generator)


@no_grad()
def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Fill with normal numbers."""
    array_of("normal_", tensor, "tensor")
    return tensor.normal_(mean, std, generator=generator)


def _normal_mass(a: float, b: float) -> float:
    """Return the share of a standard normal that lies in [a, b]."""
    root = math.sqrt(2.0)
    # erfc keeps what erf rounds to 1 when both bounds lie in the same tail.
    if a > 0:
        return (math.erfc(a / root) - math.erfc(b / root)) / 2
    if b < 0:
        return (math.erfc(-b / root) - math.erfc(-a / root)) / 2
    return (math.erf(b / root) - math.erf(a / root)) / 2


@no_grad()
def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Any = None,
) -> Tensor:
    """Fill with normal numbers, those outside [a, b] drawn again.

    Raises:
        ValueError: the interval is empty, or ``std`` is not positive.
    """
    array_of("trunc_normal_", tensor, "tensor")
    for name, value in (("mean", mean), ("std", std), ("a", a), ("b", b)):
        check_number("trunc_normal_", name, value)
    if not a < b:
        raise ValueError(f"trunc_normal_: the interval [{a}, {b}] is empty")
    if not std > 0:
        raise ValueError(f"trunc_normal_: std is {std}, expected a positive number")
    low, high = (a - mean) / std, (b - mean) / std
    if _normal_mass(low, high) > 0.25:

        def draw(into: Tensor) -> tuple[Tensor, Tensor]:
            into.normal_(mean, std, generator=generator)
            return into, (into < a).logical_or(into > b)
    else:
        # Few normal numbers would fall into a narrow or far interval: draw uniform ones there and
        # keep each with its density relative to the highest. Beyond `reach` it is below 1e-16.
        peak = min(max(low, 0.0), high)
        reach = min(37.0 / abs(peak), 8.6) if peak else 8.6
        first, last = max(low, peak - reach), min(high, peak + reach)

        def draw(into: Tensor) -> tuple[Tensor, Tensor]:
            into.uniform_(first, last, generator=generator)
            density = ((peak * peak - into * into) / 2).exp()
            chance = into.clone().uniform_(0.0, 1.0, generator=generator)
            return into * std + mean, chance >= density

    values, outside = draw(tensor.detach().clone())
    while bool(outside.any()):
        fresh, rejected = draw(values.clone())
        accepted = outside.logical_and(rejected.logical_not())
        values = where(accepted, fresh, values)
        outside = outside.logical_and(rejected)
    return tensor.copy_(values.clamp(a, b))


@no_grad()
def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Any = None) -> Tensor:
    """Fill a matrix with normal numbers, and a share ``sparsity`` of each column with zeros.

    Raises:
        ValueError: the tensor has not 2 dimensions, or the share lies outside [0, 1].
    """
    rows, columns = two_dimensional("sparse_", tensor)
    if not 0 <= check_number("sparse_", "sparsity", sparsity) <= 1:
        raise ValueError(f"sparse_: sparsity is {sparsity}, expected a number in [0, 1]")
    zeros = math.ceil(sparsity * rows)
    tensor.normal_(0.0, std, generator=generator)
    for column in range(columns):
        if zeros:
            tensor[randperm(rows, generator=generator)[:zeros], column] = 0.0
    return tensor

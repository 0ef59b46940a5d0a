# SPDX-License-Identifier: Apache-2.0
"""The gradient of every norm, written in differentiable functions for higher derivatives."""

from __future__ import annotations

from typing import NamedTuple

from gradsmith.autograd import Gradients
from gradsmith.ops.elementwise import add, mul, sub, to
from gradsmith.ops.elementwise_math import rsqrt, square
from gradsmith.ops.reduce import mean, sum_to
from gradsmith.ops.shape import reshape
from gradsmith.tensor import Tensor


class NormView(NamedTuple):
    """How a norm sees its input.

    Attributes:
        input: shape in which the statistics are those over ``axes``.
        parameter: shape of weight and bias that broadcasts to it.
        axes: dimensions that share mean and variance.
    """

    input: tuple[int, ...]
    parameter: tuple[int, ...]
    axes: tuple[int, ...]


def composed_gradient(
    dy: Tensor,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    view: NormView,
    eps: float,
    centred: bool,
    fixed: tuple[Tensor, Tensor] | None = None,
) -> Gradients:
    """Return dx, dweight and dbias of ``(x - mean) * rstd * weight + bias``.

    Args:
        dy: gradient of the result, in the shape of x.
        x: input.
        weight: scale or None.
        bias: shift or None.
        view: the shapes and axes of the norm.
        eps: what was added to the variance.
        centred: whether the mean is subtracted.
        fixed: mean and rstd that do not depend on x, if so.
    """
    axes = view.axes
    g, v = reshape(dy, view.input), reshape(x, view.input)
    dz = g if weight is None else mul(g, reshape(weight, view.parameter))
    if fixed is not None:
        z = mul(sub(v, fixed[0]), fixed[1])
        dx = mul(dz, fixed[1])
    else:
        if centred:
            v = sub(v, mean(v, axes, keepdim=True))
        rstd = rsqrt(add(mean(square(v), axes, keepdim=True), eps))
        z = mul(v, rstd)
        along = mul(z, mean(mul(dz, z), axes, keepdim=True))
        if centred:
            dz = sub(dz, mean(dz, axes, keepdim=True))
        dx = mul(rstd, sub(dz, along))
    dweight = dbias = None
    if weight is not None:
        dweight = to(reshape(sum_to(mul(g, z), view.parameter), weight.shape), weight.dtype)
    if bias is not None:
        dbias = to(reshape(sum_to(g, view.parameter), bias.shape), bias.dtype)
    return to(reshape(dx, x.shape), x.dtype), dweight, dbias

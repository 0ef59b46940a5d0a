# SPDX-License-Identifier: Apache-2.0
"""Covariances, correlations, slices of bounded norm."""

from __future__ import annotations

from typing import Any

from gradsmith.ops.diagonal import diagonal
from gradsmith.ops.elementwise import (
    add,
    as_floating,
    div,
    gt,
    lt,
    mul,
    sub,
    to,
    where,
)
from gradsmith.ops.elementwise_math import sqrt
from gradsmith.ops.elementwise_round import clamp, clamp_min
from gradsmith.ops.gemm import matmul
from gradsmith.ops.linalg_norm import vector_norm
from gradsmith.ops.options import check_number, names_errors
from gradsmith.ops.promotion import promote_types
from gradsmith.ops.reduce import any, sum
from gradsmith.ops.shape import axis_of, reshape, transpose, unsqueeze
from gradsmith.tensor import Tensor, array_of

# ---- covariance ----------------------------------------------------------------------------------


def _weights(name: str, weights: Tensor, count: int, integers: bool) -> Tensor:
    array = array_of("cov", weights, name)
    if weights.is_floating_point() == integers or array.dtype.kind == "b":
        expected = "integers" if integers else "a floating dtype"
        raise TypeError(f"cov: {name} is {array.dtype}, expected {expected}")
    if array.shape != (count,):
        raise ValueError(f"cov: {name} has shape {array.shape}, expected ({count},)")
    if any(lt(weights, 0)).item():
        raise ValueError(f"cov: {name} holds negative numbers, expected numbers >= 0")
    return weights


@names_errors
def cov(
    input: Tensor,
    *,
    correction: float = 1,
    fweights: Tensor | None = None,
    aweights: Tensor | None = None,
) -> Tensor:
    """Return the covariances of variables (rows) over observations (columns).

    Args:
        input: (variables, observations), or (observations,) of one variable.
        correction: what is taken off the number of observations.
        fweights: how often each observation counts, integers (observations,).
        aweights: its importance, floating (observations,).

    Returns:
        (variables, variables), or a 0-d tensor of one variable.

    Raises:
        TypeError: weights have the wrong dtype.
        ValueError: the input has more than two dimensions, or weights do not fit.
    """
    shape = array_of("cov", input).shape
    if len(shape) > 2:
        raise ValueError(f"cov: got shape {shape}, expected at most two dimensions")
    x = as_floating(input)
    if isinstance(aweights, Tensor):
        x = to(x, promote_types(x.dtype, aweights.dtype))
    x = x if len(shape) == 2 else reshape(x, (1, -1))
    count = x.shape[1]
    weight: Tensor | None = None
    if fweights is not None:
        weight = to(_weights("fweights", fweights, count, integers=True), x.dtype)
    degrees: Any = count - check_number("cov", "correction", correction)
    if aweights is not None:
        importance = to(_weights("aweights", aweights, count, integers=False), x.dtype)
        weight = importance if weight is None else mul(weight, importance)
        total = sum(weight)
        degrees = sub(total, div(mul(sum(mul(weight, importance)), correction), total))
    elif weight is not None:
        degrees = sub(sum(weight), correction)
    weighted = x if weight is None else mul(x, weight)
    parts: Any = count if weight is None else sum(weight)
    centred = sub(x, div(sum(weighted, 1, keepdim=True), parts))
    spread = centred if weight is None else mul(centred, weight)
    # Too few observations give infinity or NaN, as a variance of them does.
    degrees = max(degrees, 0) if weight is None else clamp_min(degrees, 0)
    out = div(matmul(spread, transpose(centred, 0, 1)), degrees)
    return reshape(out, ()) if out.shape == (1, 1) else out


@names_errors
def corrcoef(input: Tensor) -> Tensor:
    """Return Pearson's correlations of variables (rows) over observations (columns).

    Returns:
        (variables, variables), or a 0-d tensor of one variable.

    Raises:
        ValueError: the input has more than two dimensions.
    """
    covariances = cov(input)
    if covariances.ndim == 0:
        return div(covariances, covariances)
    deviation = sqrt(diagonal(covariances))
    scaled = div(div(covariances, unsqueeze(deviation, 1)), unsqueeze(deviation, 0))
    return clamp(scaled, -1, 1)


# ---- slices --------------------------------------------------------------------------------------


@names_errors
def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """Return the tensor with each slice of ``dim`` scaled down to a p-norm of at most ``maxnorm``.

    Raises:
        ValueError: the tensor has less than two dimensions, ``p`` is not positive or ``maxnorm``
            negative.
        IndexError: there is no such dimension.
    """
    ndim = array_of("renorm", input).ndim
    if ndim < 2:
        raise ValueError(f"renorm: got shape {input.shape}, expected two dimensions or more")
    axis = axis_of("renorm", dim, ndim)
    if not check_number("renorm", "p", p) > 0:
        raise ValueError(f"renorm: p is {p}, expected a number > 0")
    if not check_number("renorm", "maxnorm", maxnorm) >= 0:
        raise ValueError(f"renorm: maxnorm is {maxnorm}, expected a number >= 0")
    norms = vector_norm(input, p, tuple(d for d in range(ndim) if d != axis), keepdim=True)
    # The small number is PyTorch's.
    return mul(input, where(gt(norms, maxnorm), div(maxnorm, add(norms, 1e-7)), 1.0))

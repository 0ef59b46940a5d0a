# SPDX-License-Identifier: Apache-2.0
"""Covariances, correlations, distances, slices of bounded norm."""

from __future__ import annotations

import math
from typing import Any

from gradsmith.autograd import OUTPUT, Node, record
from gradsmith.ops.diagonal import diagonal
from gradsmith.ops.elementwise import (
    add,
    as_floating,
    div,
    eq,
    gt,
    lt,
    mul,
    sub,
    to,
    where,
)
from gradsmith.ops.elementwise_math import sqrt, square
from gradsmith.ops.elementwise_operands import floating_operands
from gradsmith.ops.elementwise_round import clamp, clamp_min
from gradsmith.ops.gemm import matmul
from gradsmith.ops.linalg_norm import vector_norm
from gradsmith.ops.options import check_number, names_errors
from gradsmith.ops.promotion import promote_types
from gradsmith.ops.reduce import any, sum, sum_to
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


# ---- distances -----------------------------------------------------------------------------------


@names_errors
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """Return the p-norm of ``input - other``, which broadcast."""
    return vector_norm(sub(*floating_operands("dist", input, other)), p)


def _euclidean_backward(node: Node, dy: Tensor) -> Any:
    """dx1_i = sum over j of dy_ij (x1_i - x2_j) / d_ij; 0 where the distance is 0."""
    x1, x2, distance = node.saved
    same = eq(distance, 0)
    scaled = where(same, 0.0, div(dy, where(same, 1.0, distance)))
    dx1 = dx2 = None
    if node.needs(0):
        dx1 = sub(mul(x1, sum(scaled, -1, keepdim=True)), matmul(scaled, x2))
        dx1 = sum_to(dx1, x1.shape)
    if node.needs(1):
        turned = transpose(scaled, -1, -2)
        dx2 = sub(mul(x2, sum(turned, -1, keepdim=True)), matmul(turned, x1))
        dx2 = sum_to(dx2, x2.shape)
    return dx1, dx2


def _euclidean(x1: Tensor, x2: Tensor) -> Tensor:
    """Return the distances by the product of the two: |a - b|^2 = |a|^2 + |b|^2 - 2 a b."""
    a, b = x1.detach(), x2.detach()
    lengths1 = sum(square(a), -1, keepdim=True)
    lengths2 = transpose(sum(square(b), -1, keepdim=True), -1, -2)
    product = matmul(a, transpose(b, -1, -2))
    squares = add(sub(lengths1, mul(product, 2)), lengths2)
    distance = sqrt(clamp_min(squares, 0.0))
    return record(_euclidean_backward, distance._array, (x1, x2), (x1, x2, OUTPUT))


_MODES = {
    "use_mm_for_euclid_dist_if_necessary": 25,
    "use_mm_for_euclid_dist": 0,
    "donot_use_mm_for_euclid_dist": math.inf,
}


@names_errors
def cdist(
    x1: Tensor,
    x2: Tensor,
    p: float = 2.0,
    compute_mode: str = "use_mm_for_euclid_dist_if_necessary",
) -> Tensor:
    """Return the p-norm distances of all pairs of rows.

    Args:
        x1: (..., P, M).
        x2: (..., R, M), of the same dtype; leading dimensions broadcast.
        p: order of the norm, >= 0.
        compute_mode: whether the distance of p = 2 may come from a product of matrices, which is
            fast, takes little memory and loses digits where rows are close: by default from 26
            rows on, or ``"use_mm_for_euclid_dist"``, or ``"donot_use_mm_for_euclid_dist"``.

    Returns:
        (..., P, R).

    Raises:
        TypeError: the dtypes differ or are not floating.
        ValueError: the shapes or the options do not fit.
    """
    first, second = array_of("cdist", x1, "x1"), array_of("cdist", x2, "x2")
    if first.dtype != second.dtype or not x1.is_floating_point():
        raise TypeError(
            f"cdist: x1 is {first.dtype} and x2 {second.dtype}, expected one floating dtype"
        )
    if first.ndim < 2 or second.ndim < 2 or first.shape[-1] != second.shape[-1]:
        raise ValueError(
            f"cdist: x1 has shape {first.shape} and x2 {second.shape}, expected (..., P, M) and "
            "(..., R, M)"
        )
    if not check_number("cdist", "p", p) >= 0:
        raise ValueError(f"cdist: p is {p}, expected a number >= 0")
    if compute_mode not in _MODES:
        names = ", ".join(repr(name) for name in _MODES)
        raise ValueError(f"cdist: compute_mode is {compute_mode!r}, expected one of {names}")
    if p == 2 and max(first.shape[-2], second.shape[-2]) > _MODES[compute_mode]:
        return _euclidean(x1, x2)
    return vector_norm(sub(unsqueeze(x1, -2), unsqueeze(x2, -3)), p, -1)


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

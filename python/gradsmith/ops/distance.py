# SPDX-License-Identifier: Apache-2.0
"""Distance and similarity of vectors: p-norms of differences, one by one and of all pairs, cosine.

Distances of all pairs and their gradients are a kernel each. With ``create_graph`` the gradient is
written in differentiable functions instead, over an array of all differences.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradsmith.autograd import OUTPUT, Node, cast_up, is_grad_enabled, record
from gradsmith.backend import EXTENSIONS, like
from gradsmith.ops.elementwise import add, as_floating, div, eq, lt, mul, neg, sub, where
from gradsmith.ops.elementwise_math import square
from gradsmith.ops.elementwise_operands import floating_operands
from gradsmith.ops.elementwise_round import abs, clamp, sign
from gradsmith.ops.gemm import matmul
from gradsmith.ops.indexing import index_add, index_select
from gradsmith.ops.joining import cat
from gradsmith.ops.linalg_norm import norm_slopes, vector_norm
from gradsmith.ops.options import check_number, names_errors
from gradsmith.ops.reduce import sum, sum_to
from gradsmith.ops.shape import (
    broadcast_shapes,
    broadcast_tensors,
    expand,
    reshape,
    transpose,
    unsqueeze,
)
from gradsmith.tensor import Tensor, array_of, wrap

# ---- one by one ----------------------------------------------------------------------------------


@names_errors
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """Return ``sum(x1 x2) / (max(|x1|, eps) max(|x2|, eps))`` over ``dim``.

    Args:
        x1: floating; broadcasts with x2.
        x2: of the same dtype.
        dim: dimension of the vectors in the shape that both broadcast to.
        eps: the least norm to divide by.

    Raises:
        ValueError: the shapes do not broadcast.
        IndexError: there is no such dimension.

    Example:
        >>> import gradsmith as gs
        >>> round(cosine_similarity(gs.tensor([3.0, 4.0]), gs.tensor([4.0, 3.0]), 0).item(), 4)
        0.96
    """
    check_number("cosine_similarity", "eps", eps)
    a, b = broadcast_tensors(x1, x2)
    first = clamp(vector_norm(a, 2, dim, keepdim=True), min=eps)
    second = clamp(vector_norm(b, 2, dim), min=eps)
    # Of a unit, so that no sum of products leaves the range before its quotient does.
    return div(sum(mul(div(a, first), b), dim), second)


@names_errors
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """Return the p-norm of ``input - other``, which broadcast."""
    return vector_norm(sub(*floating_operands("dist", input, other)), p)


@names_errors
def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """Return the p-norms of ``x1 - x2 + eps`` over the last dimension.

    Args:
        x1: (..., D); broadcasts with x2.
        x2: (..., D).
        p: order of the norm.
        eps: added to each difference, so that the gradient at distance 0 exists.
        keepdim: keep the last dimension with size 1.

    Raises:
        ValueError: the shapes do not broadcast.
    """
    check_number("pairwise_distance", "eps", eps)
    return vector_norm(add(sub(x1, x2), eps), p, -1, keepdim)


# ---- all pairs -----------------------------------------------------------------------------------


def _slopes(difference: Tensor, distance: Tensor, p: float) -> Tensor:
    """Return by how much distances grow with the differences, as the kernel has it."""
    if p == 1:
        return sign(difference)
    if p == math.inf:
        return where(lt(abs(difference), distance), 0.0, sign(difference))
    return norm_slopes(difference, distance, p)


def _cdist_backward(node: Node, dy: Tensor) -> Any:
    x1, x2, y, p = node.saved
    if not is_grad_enabled():
        dx1, dx2 = EXTENSIONS[type(dy._array)].distance_backward(
            x1._array, x2._array, p, y._array, dy._array, node.needs(0), node.needs(1)
        )
        return None if dx1 is None else wrap(dx1), None if dx2 is None else wrap(dx2)
    slopes = _slopes(sub(unsqueeze(x1, -2), unsqueeze(x2, -3)), unsqueeze(y, -1), p)
    moved = mul(unsqueeze(dy, -1), slopes)
    dx1 = sum(moved, -2) if node.needs(0) else None
    return dx1, neg(sum(moved, -3)) if node.needs(1) else None


def _all_distances(x1: Tensor, x2: Tensor, p: float) -> Tensor:
    """Return the distances (B, P, R) of rows (B, P, M) and (B, R, M)."""
    y = EXTENSIONS[type(x1._array)].distance_forward(x1._array, x2._array, p)
    if p == 0:
        return wrap(y)  # a count has no gradient
    return record(_cdist_backward, y, (x1, x2), (x1, x2, OUTPUT, p))


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


def _product(a: Tensor, b: Tensor) -> Tensor:
    """Return the distances by one product of rows (-2 a, |a|^2, 1) and (b, 1, |b|^2)."""
    lengths1, lengths2 = (sum(square(x), -1, keepdim=True) for x in (a, b))
    left = cat((mul(a, -2), lengths1, lengths1.new_ones(lengths1.shape)), -1)
    right = cat((b, lengths2.new_ones(lengths2.shape), lengths2), -1)
    extension = EXTENSIONS[type(left._array)]
    squares = extension.gemm(left._array, transpose(right, -1, -2)._array, None, "relu")
    return wrap(extension.sqrt(squares, out=squares))


_PRODUCT = "use_mm_for_euclid_dist"
# Mode: the most rows that take no product.
_MODES = {f"{_PRODUCT}_if_necessary": 25, _PRODUCT: 0, f"donot_{_PRODUCT}": math.inf}
_SHORT = 64  # elements of a row up to which the kernel is as fast as a product, and exact


def _check_order(op: str, p: Any) -> float:
    if not check_number(op, "p", p) >= 0:
        raise ValueError(f"{op}: p is {p}, expected a number >= 0")
    return float(p)


def _spread(x: Tensor, batch: tuple[int, ...]) -> Tensor:
    """Return rows (..., P, M) as (B, P, M), their leading dimensions those of the batch."""
    shape = tuple(x.shape[-2:])
    return reshape(expand(x, (*batch, *shape)), (math.prod(batch), *shape))


def _between(x1: Tensor, x2: Tensor, p: float) -> Tensor:
    """Return the distances (..., P, R) of rows (..., P, M) and (..., R, M)."""
    batch = broadcast_shapes(x1.shape[:-2], x2.shape[:-2])
    y = _all_distances(_spread(x1, batch), _spread(x2, batch), p)
    return reshape(y, (*batch, x1.shape[-2], x2.shape[-2]))


def _euclidean(x1: Tensor, x2: Tensor, is_product: bool) -> Tensor:
    """Return the distances, whose gradients are products of matrices."""
    a, b = x1.detach(), x2.detach()
    distance = _product(a, b) if is_product else _between(a, b, 2.0)
    return record(_euclidean_backward, distance._array, (x1, x2), (x1, x2, OUTPUT))


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
        compute_mode: whether distances of p = 2 and their gradients may come from products of
            matrices, which are fast and lose digits where rows are close: by default from 26 rows
            on, the distances themselves if rows have more than 64 elements, or
            ``"use_mm_for_euclid_dist"``, or ``"donot_use_mm_for_euclid_dist"``.

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
    order = _check_order("cdist", p)
    if compute_mode not in _MODES:
        names = ", ".join(repr(name) for name in _MODES)
        raise ValueError(f"cdist: compute_mode is {compute_mode!r}, expected one of {names}")
    if order == 2 and max(first.shape[-2], second.shape[-2]) > _MODES[compute_mode]:
        return _euclidean(x1, x2, first.shape[-1] > _SHORT or compute_mode == _PRODUCT)
    return _between(cast_up(x1), cast_up(x2), order)


def _pdist_backward(node: Node, dy: Tensor) -> Any:
    x, y, p = node.saved
    if not is_grad_enabled():
        dx, _ = EXTENSIONS[type(dy._array)].distance_backward(
            x._array, None, p, y._array, dy._array, True, False
        )
        return (wrap(dx),)
    first, second = (wrap(like(rows, x._array)) for rows in np.triu_indices(x.shape[1], 1))
    difference = sub(index_select(x, 1, first), index_select(x, 1, second))
    moved = mul(unsqueeze(dy, -1), _slopes(difference, unsqueeze(y, -1), p))
    none = x.new_zeros(x.shape)
    return (sub(index_add(none, 1, first, moved), index_add(none, 1, second, moved)),)


@names_errors
def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """Return the p-norm distances of all pairs of rows i < j, in the order (0, 1), (0, 2), ...

    Args:
        input: (N, D).
        p: order of the norm, at least 0.

    Returns:
        (N (N - 1) / 2).

    Raises:
        ValueError: the input is no matrix, or p is negative.
    """
    array = array_of("pdist", input)
    if array.ndim != 2:
        raise ValueError(f"pdist: input has shape {array.shape}, expected two dimensions")
    order = _check_order("pdist", p)
    rows = unsqueeze(as_floating(cast_up(input)), 0)
    y = EXTENSIONS[type(rows._array)].distance_forward(rows._array, None, order)
    if order == 0:
        return wrap(y[0])  # a count has no gradient
    return record(_pdist_backward, y, (rows,), (rows, OUTPUT, order))[0]

# SPDX-License-Identifier: Apache-2.0
"""Similarity and distance of vectors: cosine, p-norm of differences, all pairs."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradsmith.autograd import OUTPUT, Node, cast_up, no_grad, record
from gradsmith.backend import like
from gradsmith.ops.elementwise import add, div, eq, mul, sub, where
from gradsmith.ops.elementwise_round import clamp
from gradsmith.ops.gemm import matmul
from gradsmith.ops.indexing import index_select, scatter
from gradsmith.ops.joining import cat
from gradsmith.ops.linalg import vector_norm
from gradsmith.ops.options import check_number, names_errors
from gradsmith.ops.reduce import mean, sum
from gradsmith.ops.shape import broadcast_tensors, reshape, transpose
from gradsmith.tensor import Tensor, array_of, wrap


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
    units = (div(x, clamp(vector_norm(x, 2, dim, keepdim=True), min=eps)) for x in (a, b))
    return sum(mul(*units), dim)


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


def _distances(input: Tensor, p: float) -> Tensor:
    """Return the distances row by row: what is compared stays in the cache."""
    rows = len(input)
    parts = [vector_norm(sub(input[i + 1 :], input[i]), p, -1) for i in range(rows - 1)]
    return cat(parts) if parts else input.new_zeros(0)


def _pdist_backward(node: Node, dy: Tensor) -> Any:
    """Of p = 2: with w the slopes over the distances, row i moves by the sum of w_ij (x_i - x_j).

    By a product of matrices; the mean row is subtracted first, which changes no difference.
    """
    x, distances, (first, second) = node.saved
    same = eq(distances, 0)
    weights = where(same, 0.0, div(dy, where(same, 1.0, distances)))
    rows = x.shape[0]
    half = scatter(x.new_zeros(rows * rows), 0, add(mul(first, rows), second), weights)
    half = reshape(half, (rows, rows))
    table = add(half, transpose(half, 0, 1))
    centred = sub(x, mean(x.detach(), 0))
    return (sub(mul(centred, sum(table, 1, keepdim=True)), matmul(table, centred)),)


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
    input = cast_up(input)
    array = array_of("pdist", input)
    if array.ndim != 2:
        raise ValueError(f"pdist: input has shape {array.shape}, expected two dimensions")
    if not check_number("pdist", "p", p) >= 0:
        raise ValueError(f"pdist: p is {p}, expected a number >= 0")
    pairs = [wrap(like(rows, array)) for rows in np.triu_indices(array.shape[0], 1)]
    if p == 2 and input.is_floating_point():
        with no_grad():
            distances = _distances(input, p)._array
        return record(_pdist_backward, distances, (input,), (input, OUTPUT, pairs))
    if not input.requires_grad:
        return _distances(input, p)
    first, second = (index_select(input, 0, rows) for rows in pairs)
    return vector_norm(sub(first, second), p, -1)

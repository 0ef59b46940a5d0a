# SPDX-License-Identifier: Apache-2.0
"""Attention with other scores than scaled dot products: additive, plain products."""

from __future__ import annotations

import math

from gradsmith.backend import bool_
from gradsmith.ops.attention import probabilities
from gradsmith.ops.elementwise import add, where
from gradsmith.ops.elementwise_math import tanh
from gradsmith.ops.gemm import matmul
from gradsmith.ops.options import names_errors
from gradsmith.ops.shape import transpose, unsqueeze
from gradsmith.tensor import Tensor, array_of


def _check(op: str, query: Tensor, key: Tensor, value: Tensor) -> None:
    shapes = [
        array_of(op, each, name).shape
        for name, each in (("query", query), ("key", key), ("value", value))
    ]
    q, k, v = shapes
    if any(len(shape) != 3 for shape in shapes) or q[0] != k[0] or q[2] != k[2] or k[:2] != v[:2]:
        raise ValueError(
            f"{op}: query has shape {q}, key {k} and value {v}, expected (N, L, E), (N, S, E) and "
            "(N, S, V)"
        )


def _attend(op: str, scores: Tensor, value: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the context (N, L, V) and the weights (N, L, S) that the scores give."""
    batch, queries, keys = scores.shape
    if mask is not None:
        if array_of(op, mask, "mask").dtype != bool_:
            raise TypeError(f"{op}: mask is {mask.dtype}, expected bool (True keeps a key)")
        if mask.shape not in ((batch, keys), (batch, queries, keys)):
            raise ValueError(
                f"{op}: mask has shape {mask.shape}, expected {(batch, keys)} or "
                f"{(batch, queries, keys)}"
            )
        scores = where(mask if mask.ndim == 3 else unsqueeze(mask, 1), scores, -math.inf)
    weights = probabilities(scores)
    return matmul(weights, value), weights


@names_errors
def additive_attention(
    query: Tensor, key: Tensor, value: Tensor, weight: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return context and weights of the scores ``weight . tanh(query + key)`` (Bahdanau 2015).

    Args:
        query: (N, L, E).
        key: (N, S, E).
        value: (N, S, V).
        weight: (E,).
        mask: bool (N, S) or (N, L, S), True for keys that may be seen; see `length_mask`.

    Returns:
        (N, L, V), and the probabilities (N, L, S); queries without any key to see give zeros.

    Raises:
        ValueError: the shapes do not fit.
        TypeError: the mask is not bool.
    """
    op = "additive_attention"
    _check(op, query, key, value)
    if array_of(op, weight, "weight").shape != query.shape[2:]:
        raise ValueError(f"{op}: weight has shape {weight.shape}, expected {query.shape[2:]}")
    scores = matmul(tanh(add(unsqueeze(query, 2), unsqueeze(key, 1))), weight)
    return _attend(op, scores, value, mask)


@names_errors
def dot_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return context and weights of the scores ``query . key``, not scaled (Luong et al. 2015).

    Arguments, results and errors are those of `additive_attention`.
    """
    _check("dot_attention", query, key, value)
    return _attend("dot_attention", matmul(query, transpose(key, 1, 2)), value, mask)

# SPDX-License-Identifier: Apache-2.0
"""Scaled dot-product attention (Vaswani et al. 2017): fused, and composed of other functions.

The fused kernels serve the first derivative. Dropout, gradients of an additive mask and higher
derivatives go through the composition. A query that may see no key gets zeros.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradsmith.autograd import OUTPUT, Node, cast_down, is_grad_enabled, record
from gradsmith.backend import EXTENSIONS, Array, bool_, like
from gradsmith.ops.elementwise import add, div, eq, mul, sub, where
from gradsmith.ops.elementwise_math import exp
from gradsmith.ops.gemm import matmul
from gradsmith.ops.joining import stack
from gradsmith.ops.options import check_flag, check_number, names_errors
from gradsmith.ops.random_dropout import dropout
from gradsmith.ops.reduce import amax, sum, sum_to
from gradsmith.ops.shape import expand, permute, reshape, transpose
from gradsmith.ops.shape_copy import repeat_interleave
from gradsmith.ops.shape_pieces import unbind
from gradsmith.tensor import Tensor, array_of, wrap

_NAME = "scaled_dot_product_attention"


def attention_weights(
    query: Tensor,
    key: Tensor,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """Return the probabilities that each query gives to the keys: ``softmax(scale q k^T + mask)``.

    Args:
        query: (..., L, E).
        key: (..., S, E).
        attn_mask: keeps where True if boolean, else is added; broadcastable to (..., L, S).
        is_causal: whether query i sees keys 0 to i only.
        scale: factor of the scores, 1 / sqrt(E) by default.

    Returns:
        (..., L, S); rows without any key to see are zero.

    Raises:
        ValueError: the shapes do not fit.
    """
    scores = mul(matmul(query, transpose(key, -2, -1)), _scale_of(query, scale))
    if scores.shape[-1] == 0:
        return scores
    if is_causal:
        visible = like(np.tri(*scores.shape[-2:], dtype=np.bool_), scores._array)
        scores = where(wrap(visible), scores, -math.inf)
    if attn_mask is not None:
        if attn_mask.dtype == bool_:
            scores = where(attn_mask, scores, -math.inf)
        else:
            scores = add(scores, attn_mask)
    return probabilities(scores)


def probabilities(scores: Tensor) -> Tensor:
    """Return the softmax over the last dimension, zeros where all of it is -inf."""
    largest = amax(scores.detach(), -1, keepdim=True)
    exponentials = exp(sub(scores, where(eq(largest, -math.inf), 0.0, largest)))
    total = sum(exponentials, -1, keepdim=True)
    return div(exponentials, where(eq(total, 0.0), 1.0, total))


def _scale_of(query: Tensor, scale: float | None) -> float:
    if scale is not None:
        return check_number(_NAME, "scale", scale)
    features = query.shape[-1]
    return 1 / math.sqrt(features) if features else 1.0


def _repeated(x: Tensor, heads: int) -> Tensor:
    """Return keys or values (..., Hkv, S, E) with each head repeated for its group of queries."""
    if x.ndim < 3 or x.shape[-3] == heads:
        return x
    return repeat_interleave(x, heads // x.shape[-3], -3)


def _group_sum(grad: Tensor, x: Tensor) -> Tensor:
    """Return the gradient of `_repeated` at ``x``."""
    if grad.shape == x.shape:
        return grad
    group = grad.shape[-3] // x.shape[-3]
    split = (*grad.shape[:-3], x.shape[-3], group, *grad.shape[-2:])
    return sum(reshape(grad, split), -3)


def _composed_gradients(
    dy: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None,
    is_causal: bool,
    scale: float,
) -> tuple[Tensor | None, ...]:
    """Return dq, dk, dv, dmask in functions that can be differentiated again."""
    heads = query.shape[-3] if query.ndim > 2 else 1
    keys, values = _repeated(key, heads), _repeated(value, heads)
    p = attention_weights(query, keys, attn_mask, is_causal, scale)
    dp = matmul(dy, transpose(values, -2, -1))
    dscores = mul(p, sub(dp, sum(mul(dp, p), -1, keepdim=True)))
    dq = mul(matmul(dscores, keys), scale)
    dk = mul(matmul(transpose(dscores, -2, -1), query), scale)
    dv = matmul(transpose(p, -2, -1), dy)
    dmask = None
    if attn_mask is not None and attn_mask.requires_grad:
        dmask = sum_to(dscores, attn_mask.shape)
    return dq, _group_sum(dk, key), _group_sum(dv, value), dmask


def _scaled_dot_product_attention_backward(node: Node, dy: Tensor) -> Any:
    query, key, value, attn_mask, y, log_sum_exp, is_causal, scale = node.saved
    if is_grad_enabled() or node.needs(3):
        return _composed_gradients(dy, query, key, value, attn_mask, is_causal, scale)
    extension = EXTENSIONS[type(dy._array)]
    dq, dk, dv = extension.attention_backward(
        dy._array,
        query._array,
        key._array,
        value._array,
        None if attn_mask is None else attn_mask._array,
        y._array,
        log_sum_exp,
        is_causal,
        scale,
        (None, None, None),
    )
    return wrap(dq), wrap(dk), wrap(dv), None


def _expanded(
    query: Tensor, key: Tensor, value: Tensor, enable_gqa: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the operands with leading dimensions broadcast (but for grouped heads)."""
    kept = 3 if enable_gqa else 2
    shapes = [each.shape for each in (query, key, value)]
    if any(len(shape) < kept for shape in shapes):
        raise ValueError(
            f"{_NAME}: query, key and value have shapes {shapes[0]}, {shapes[1]}, {shapes[2]}, "
            f"expected at least {kept} dimensions"
        )
    leading = [shape[:-kept] for shape in shapes]
    if leading[0] == leading[1] == leading[2]:
        return query, key, value
    try:
        common = np.broadcast_shapes(*leading)
    except ValueError:
        raise ValueError(
            f"{_NAME}: the leading dimensions of query {shapes[0]}, key {shapes[1]} and value "
            f"{shapes[2]} do not broadcast"
            + ("" if enable_gqa else " (enable_gqa=True lets query heads share key heads)")
        ) from None
    q, k, v = (expand(x, (*common, *x.shape[-kept:])) for x in (query, key, value))
    return q, k, v


@names_errors
def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Return ``softmax(scale q k^T + mask) v``.

    Args:
        query: (..., L, E).
        key: (..., S, E); leading dimensions broadcast.
        value: (..., S, V).
        attn_mask: keeps where True if boolean, else is added; broadcastable to (..., L, S).
        dropout_p: share of the probabilities that is dropped.
        is_causal: whether query i sees keys 0 to i only.
        scale: factor of the scores, 1 / sqrt(E) by default.
        enable_gqa: whether groups of query heads (dimension -3) share a key and value head.

    Returns:
        (..., L, V); queries without any key to see give zeros.

    Raises:
        ValueError: shapes do not fit, both a mask and ``is_causal`` are given, or ``dropout_p``
            is not in [0, 1].
        TypeError: dtypes differ or are not floating, or the mask's is neither bool nor theirs.
    """
    query, key, value, attn_mask = cast_down(query, key, value, attn_mask)
    for name, each in (("query", query), ("key", key), ("value", value)):
        array_of(_NAME, each, name)
    if attn_mask is not None:
        array_of(_NAME, attn_mask, "attn_mask")
        if is_causal:
            raise ValueError(f"{_NAME}: attn_mask and is_causal=True were given, expected one")
    if not 0.0 <= check_number(_NAME, "dropout_p", dropout_p) <= 1.0:
        raise ValueError(f"{_NAME}: dropout_p is {dropout_p}, expected a number from 0 to 1")
    query, key, value = _expanded(query, key, value, enable_gqa)
    factor, is_causal = _scale_of(query, scale), check_flag(_NAME, "is_causal", is_causal)
    extension = EXTENSIONS[type(query._array)]
    mask = None if attn_mask is None else attn_mask._array
    arrays = (query._array, key._array, value._array, mask)
    if dropout_p > 0:
        extension.attention_check(*arrays, is_causal, factor)
        heads = query.shape[-3] if query.ndim > 2 else 1
        p = attention_weights(query, _repeated(key, heads), attn_mask, is_causal, factor)
        return matmul(dropout(p, dropout_p, True), _repeated(value, heads))
    y, log_sum_exp = extension.attention_forward(*arrays, is_causal, factor)
    return record(
        _scaled_dot_product_attention_backward,
        y,
        (query, key, value, attn_mask),
        (query, key, value, attn_mask, OUTPUT, log_sum_exp, is_causal, factor),
    )


def _parts(joined: Array, heads: int) -> Array:
    """Return query, key and value (N, heads, L, E) of their joined projection (N, L, 3 heads E)."""
    batch, length, width = joined.shape
    split = joined.reshape(batch, length, 3, heads, width // (3 * heads))
    return split.transpose(2, 0, 3, 1, 4)


def _self_attention_backward(node: Node, dy: Tensor) -> Any:
    joined, heads, attn_mask, _, y, log_sum_exp, is_causal, scale = node.saved
    batch, length, width = joined.shape
    features = width // (3 * heads)
    if is_grad_enabled():
        split = reshape(joined, (batch, length, 3, heads, features))
        q, k, v = unbind(permute(split, (2, 0, 3, 1, 4)))
        rows = transpose(reshape(dy, (batch, length, heads, features)), 1, 2)
        grads = _composed_gradients(rows, q, k, v, attn_mask, is_causal, scale)
        gradient = permute(stack([each for each in grads if each is not None]), (1, 3, 0, 2, 4))
        return (reshape(gradient, (batch, length, width)),)
    extension = EXTENSIONS[type(dy._array)]
    gradient = extension.empty(joined.shape, dy.dtype)
    dy_rows = dy._array.reshape(batch, length, heads, features).swapaxes(1, 2)
    mask = None if attn_mask is None else attn_mask._array
    operands = (dy_rows, *_parts(joined._array, heads), mask, y, log_sum_exp)
    extension.attention_backward(*operands, is_causal, scale, tuple(_parts(gradient, heads)))
    return (wrap(gradient),)


def self_attention(
    joined: Tensor, heads: int, attn_mask: Tensor | None = None, is_causal: bool = False
) -> Tensor:
    """Return the attention of ``heads`` heads, side by side as the projection has them.

    One op on the tape, whose kernels read and write the projection's memory, where views of its
    parts would be a dozen and their gradients copies.

    Args:
        joined: query, key and value, (N, L, 3 heads E).
        heads: their number.
        attn_mask: as in `scaled_dot_product_attention`; a constant.
        is_causal: whether query i sees keys 0 to i only.

    Returns:
        (N, L, heads E).
    """
    joined, attn_mask = cast_down(joined, attn_mask)
    q, k, v = _parts(array_of(_NAME, joined), heads)
    mask = None if attn_mask is None else attn_mask._array
    scale = 1 / math.sqrt(q.shape[-1])
    extension = EXTENSIONS[type(q)]
    y, log_sum_exp = extension.attention_forward(q, k, v, mask, is_causal, scale)
    rows = y.swapaxes(1, 2).reshape(*joined.shape[:2], heads * q.shape[-1])
    saved = (joined, heads, attn_mask, OUTPUT, y, log_sum_exp, is_causal, scale)
    return record(_self_attention_backward, rows, (joined,), saved)

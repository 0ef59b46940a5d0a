# SPDX-License-Identifier: Apache-2.0
"""Scaled dot-product attention: softmax(q k^T scale + mask) v (Vaswani 2017).

q (..., L, E), k (..., S, E), v (..., S, V) -> (..., L, V); leading axes broadcast. scale None is
1 / sqrt(E). A boolean mask keeps where True, a float mask is added to the scores; either
broadcasts to (..., L, S). is_causal lets query i see keys 0 ... i. A query that may see no key
gets zeros.
"""

import math

import numpy as np

from . import Array, Mask
from .elementwise import sum_to


def attention_weights(
    q: Array,
    k: Array,
    mask: Array | Mask | None = None,
    is_causal: bool = False,
    scale: float | None = None,
) -> Array:
    """The probabilities (..., L, S) that each query gives to the keys."""
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    scores = scale * (q @ np.swapaxes(k, -1, -2))
    if is_causal:
        scores = np.where(np.tri(*scores.shape[-2:]) > 0, scores, -np.inf)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
    blocked = np.all(scores == -np.inf, axis=-1, keepdims=True)
    largest = np.max(np.where(blocked, 0, scores), axis=-1, keepdims=True)
    exponentials = np.exp(scores - largest)
    return exponentials / np.where(blocked, 1, np.sum(exponentials, axis=-1, keepdims=True))


def scaled_dot_product_attention(
    q: Array,
    k: Array,
    v: Array,
    mask: Array | Mask | None = None,
    is_causal: bool = False,
    scale: float | None = None,
) -> Array:
    return attention_weights(q, k, mask, is_causal, scale) @ v


def scaled_dot_product_attention_backward(
    dy: Array,
    q: Array,
    k: Array,
    v: Array,
    mask: Array | Mask | None = None,
    is_causal: bool = False,
    scale: float | None = None,
) -> tuple[Array, Array, Array, Array | None]:
    """Returns dq, dk, dv, and dmask (None unless the mask is additive)."""
    p = attention_weights(q, k, mask, is_causal, scale)
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    dp = dy @ np.swapaxes(v, -1, -2)
    dscores = p * (dp - np.sum(dp * p, axis=-1, keepdims=True))
    dq = sum_to(scale * dscores @ k, q.shape)
    dk = sum_to(scale * np.swapaxes(dscores, -1, -2) @ q, k.shape)
    dv = sum_to(np.swapaxes(p, -1, -2) @ dy, v.shape)
    if mask is None or mask.dtype == bool:
        return dq, dk, dv, None
    return dq, dk, dv, sum_to(dscores, mask.shape)


def additive_attention(
    q: Array, k: Array, v: Array, weight: Array, mask: Mask | None = None
) -> tuple[Array, Array]:
    """Scores weight . tanh(q + k), q (N, L, E), k (N, S, E) (Bahdanau 2015)."""
    scores = np.tanh(q[:, :, None] + k[:, None]) @ weight
    return _attend(scores, v, mask)


def dot_attention(q: Array, k: Array, v: Array, mask: Mask | None = None) -> tuple[Array, Array]:
    """Scores q . k (Luong 2015)."""
    return _attend(np.einsum("nle,nse->nls", q, k), v, mask)


def _attend(scores: Array, v: Array, mask: Mask | None) -> tuple[Array, Array]:
    """Softmax over the keys that the mask keeps, zeros where it keeps none."""
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    if mask is not None:
        weights = weights * (mask if mask.ndim == 3 else mask[:, None])
    total = weights.sum(axis=-1, keepdims=True)
    weights = weights / np.where(total == 0, 1, total)
    return weights @ v, weights


def rotary_embedding(x: Array, offset: int, base: float, interleaved: bool) -> Array:
    """Pair i of position p turned by p / base^(2 i / E), as complex numbers (Su 2021)."""
    length, features = x.shape[-2:]
    half = features // 2
    angles = (offset + np.arange(length))[:, None] / base ** (2 * np.arange(half) / features)
    a, b = (x[..., 0::2], x[..., 1::2]) if interleaved else (x[..., :half], x[..., half:])
    turned = (a + 1j * b) * np.exp(1j * angles)
    y = np.empty_like(x)
    if interleaved:
        y[..., 0::2], y[..., 1::2] = turned.real, turned.imag
    else:
        y[..., :half], y[..., half:] = turned.real, turned.imag
    return y

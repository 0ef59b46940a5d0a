# SPDX-License-Identifier: Apache-2.0
"""Softmax and its logarithm over one axis: p_i = exp(x_i) / sum over j of exp(x_j).

x is shifted by its maximum first, which changes no value and avoids overflow.
"""

import numpy as np

from . import Array


def softmax(x: Array, axis: int = -1) -> Array:
    exponentials = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return exponentials / np.sum(exponentials, axis=axis, keepdims=True)


def softmax_backward(dy: Array, x: Array, axis: int = -1) -> Array:
    """dx = p (dy - sum dy p)."""
    p = softmax(x, axis)
    return p * (dy - np.sum(dy * p, axis=axis, keepdims=True))


def log_softmax(x: Array, axis: int = -1) -> Array:
    shifted = x - np.max(x, axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


def log_softmax_backward(dy: Array, x: Array, axis: int = -1) -> Array:
    """dx = dy - p sum dy."""
    return dy - softmax(x, axis) * np.sum(dy, axis=axis, keepdims=True)


def logsumexp(x: Array, axis: int | tuple[int, ...] = -1, keepdims: bool = False) -> Array:
    """log of the sum of exp(x); where the maximum is infinite it is the result."""
    top = np.max(x, axis=axis, keepdims=True)
    shift = np.where(np.isinf(top), 0, top)
    total = np.sum(np.exp(x - shift), axis=axis, keepdims=True)
    result = np.where(np.isinf(top), top, np.log(total) + shift)
    return result if keepdims else np.squeeze(result, axis)


def logsumexp_backward(dy: Array, x: Array, axis: int | tuple[int, ...] = -1) -> Array:
    """dx = softmax(x) dy."""
    return np.exp(x - logsumexp(x, axis, True)) * np.expand_dims(dy, axis)

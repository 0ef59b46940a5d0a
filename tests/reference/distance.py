# SPDX-License-Identifier: Apache-2.0
"""Distances of rows: p-norms of the differences of all pairs, their gradients, and the cosine."""

import math

import numpy as np

from . import Array


def _differences(x: Array, y: Array) -> Array:
    return x[..., :, None, :] - y[..., None, :, :]


def _norms(d: Array, p: float) -> Array:
    if p == math.inf:
        return np.asarray(np.abs(d).max(-1, initial=0))
    if p == 0:
        return np.asarray((d != 0).sum(-1).astype(np.float64))
    return np.asarray((np.abs(d) ** p).sum(-1) ** (1 / p))


def cdist(x: Array, y: Array, p: float = 2.0) -> Array:
    return _norms(_differences(x, y), p)


def cdist_backward(dy: Array, x: Array, y: Array, p: float = 2.0) -> tuple[Array, Array]:
    d = _differences(x, y)
    far = cdist(x, y, p)[..., None]
    if p == math.inf:
        slopes = np.where(np.abs(d) == far, np.sign(d), 0)
    else:
        ratio = np.abs(d) / np.where(far == 0, 1, far)
        slopes = np.sign(d) * np.where(d == 0, 0, np.where(d == 0, 1, ratio) ** (p - 1))
    moved = dy[..., None] * slopes
    return moved.sum(-2), -moved.sum(-3)


def pdist(x: Array, p: float = 2.0) -> Array:
    return np.asarray(cdist(x, x, p)[np.triu_indices(len(x), 1)])


def pdist_backward(dy: Array, x: Array, p: float = 2.0) -> tuple[Array]:
    table = np.zeros((len(x), len(x)))
    table[np.triu_indices(len(x), 1)] = dy
    first, second = cdist_backward(table, x, x, p)
    return (first + second,)


def cosine_similarity(a: Array, b: Array) -> Array:
    return np.asarray((a * b).sum(1) / np.sqrt((a**2).sum(1) * (b**2).sum(1)))

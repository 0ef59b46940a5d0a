# SPDX-License-Identifier: Apache-2.0
"""Matrix products: y[m, n] = sum over k of a[m, k] b[k, n], and what is built on it.

`matmul` follows NumPy's and PyTorch's ranks: a 1-D operand is a row (left) or a column (right)
whose extra axis is dropped from the result, and leading axes broadcast as batch.
"""

import numpy as np

from . import Array
from .elementwise import sum_to


def _transpose(a: Array) -> Array:
    return np.swapaxes(a, -1, -2)


def matmul(a: Array, b: Array) -> Array:
    """a (K) or (..., M, K), b (K) or (..., K, N)."""
    return np.matmul(a, b)


def matmul_backward(dy: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """da = dy b^T, db = a^T dy, summed over broadcast batch axes."""
    dy = np.asarray(dy)
    rows = a[None, :] if a.ndim == 1 else a  # (..., M, K)
    columns = b[:, None] if b.ndim == 1 else b  # (..., K, N)
    if b.ndim == 1:
        dy = dy[..., None]
    if a.ndim == 1:
        dy = dy[..., None, :]  # (..., M, N)
    da = sum_to(dy @ _transpose(columns), rows.shape)
    db = sum_to(_transpose(rows) @ dy, columns.shape)
    return da.reshape(a.shape), db.reshape(b.shape)


def linear(x: Array, w: Array, b: Array | None = None) -> Array:
    """x (..., K), w (N, K), b (N) -> (..., N)."""
    y = x @ w.T
    return y if b is None else y + b


def linear_backward(dy: Array, x: Array, w: Array) -> tuple[Array, Array, Array]:
    """Returns dx, dw, db."""
    lead = tuple(range(dy.ndim - 1))
    return dy @ w, np.tensordot(dy, x, axes=(lead, lead)), dy.sum(axis=lead)


def bmm(a: Array, b: Array) -> Array:
    """a (B, M, K), b (B, K, N) -> (B, M, N)."""
    return np.einsum("bmk,bkn->bmn", a, b)


def bmm_backward(dy: Array, a: Array, b: Array) -> tuple[Array, Array]:
    return np.einsum("bmn,bkn->bmk", dy, b), np.einsum("bmk,bmn->bkn", a, dy)


def addmm(x: Array, a: Array, b: Array, beta: float = 1.0, alpha: float = 1.0) -> Array:
    """beta x + alpha a b; x broadcasts to (M, N), and beta = 0 ignores even NaN in x."""
    product = alpha * (a @ b)
    return product if beta == 0 else beta * x + product


def addmm_backward(
    dy: Array, x: Array, a: Array, b: Array, beta: float = 1.0, alpha: float = 1.0
) -> tuple[Array, Array, Array]:
    """Returns dx, da, db."""
    return sum_to(beta * dy, x.shape), alpha * (dy @ b.T), alpha * (a.T @ dy)

# SPDX-License-Identifier: Apache-2.0
"""Linear algebra that NumPy lacks: exponentials, triangles, chains."""

import numpy as np

from . import Array


def matrix_exp(x: Array, terms: int = 60) -> Array:
    """sum of x^k / k!, after halving x until its norm is below 1, then squared as often."""
    halvings = max(0, int(np.ceil(np.log2(max(np.abs(x).sum(-2).max(), 1.0)))))
    x = x / 2.0**halvings
    term = np.broadcast_to(np.eye(x.shape[-1]), x.shape)
    total = term.copy()
    for k in range(1, terms):
        term = term @ x / k
        total += term
    for _ in range(halvings):
        total = total @ total
    return total


def solve_triangular(
    a: Array, b: Array, upper: bool, left: bool = True, unitriangular: bool = False
) -> Array:
    """X with A X = B (X A = B), A being one triangle of a, its diagonal ones if unitriangular."""
    triangle = np.triu(a) if upper else np.tril(a)
    if unitriangular:
        n = a.shape[-1]
        triangle = np.where(np.eye(n, dtype=bool), 1.0, triangle)
    inverse = np.linalg.inv(triangle)
    return inverse @ b if left else b @ inverse


def pinv(x: Array) -> Array:
    """(A^T A)^-1 A^T, or A^T (A A^T)^-1 for more columns than rows; for full rank."""
    t = np.swapaxes(x, -1, -2)
    if x.shape[-2] >= x.shape[-1]:
        return np.linalg.inv(t @ x) @ t
    return t @ np.linalg.inv(x @ t)


def vander(x: Array, count: int, increasing: bool = False) -> Array:
    """x^0 ... x^(count - 1) as columns, the last first unless increasing."""
    powers = np.stack([x**k for k in range(count)], -1)
    return powers if increasing else powers[..., ::-1]


def diagonal_written(x: Array, values: Array, offset: int) -> Array:
    """A copy of matrices (..., M, N) with values (..., K) on a diagonal."""
    y = x.copy()
    rows = np.arange(values.shape[-1]) + max(-offset, 0)
    y[..., rows, rows + offset] = values
    return y


def lu_factor(x: Array, pivot: bool = True) -> tuple[Array, Array]:
    """Both factors of matrices (..., M, N) in one, and the rows exchanged, from 1."""
    packed = x.copy()
    pivots = np.zeros((*x.shape[:-2], min(x.shape[-2:])), np.int32)
    for index in np.ndindex(x.shape[:-2]):
        a = packed[index]
        for k in range(min(a.shape)):
            row = k + int(np.argmax(np.abs(a[k:, k]))) if pivot else k
            a[[k, row]] = a[[row, k]]
            pivots[index][k] = row + 1
            for i in range(k + 1, len(a)):
                a[i, k] /= a[k, k]
                for j in range(k + 1, a.shape[1]):
                    a[i, j] -= a[i, k] * a[k, j]
    return packed, pivots


def lu(x: Array) -> tuple[Array, Array, Array]:
    """P, L, U with x = P L U."""
    packed, pivots = lu_factor(x)
    rows, size = x.shape[-2], min(x.shape[-2:])
    p = np.broadcast_to(np.eye(rows), (*x.shape[:-1], rows)).copy()
    for index in np.ndindex(x.shape[:-2]):
        for k in range(size):
            other = pivots[index][k] - 1
            p[index][:, [k, other]] = p[index][:, [other, k]]
    lower = np.tril(packed[..., :size], -1) + np.eye(rows, size)
    return p, lower, np.triu(packed[..., :size, :])

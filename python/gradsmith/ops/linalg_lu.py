# SPDX-License-Identifier: Apache-2.0
"""Triangular factors by elimination with exchanged rows, and systems of equations by them.

A = P L U, column by column (Golub and Van Loan, "Matrix Computations", algorithm 3.4.1): NumPy has
no such factorisation. L and U are kept as one matrix, L without its diagonal of ones. The rule
extends that of square matrices (de Hoog, Anderssen and Lukas, "Differentiation of matrix
functionals using triangular factorization", 2011) to rectangular ones.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gradsmith.autograd import OUTPUT, Node, no_grad, record
from gradsmith.autograd.mode import in_float32
from gradsmith.backend import Array, compute_dtype, int32, like, on_host
from gradsmith.ops.diagonal import tril, triu
from gradsmith.ops.elementwise import add, as_floating, div, eq, mul, sub, to, where
from gradsmith.ops.elementwise_round import abs
from gradsmith.ops.gemm import matmul
from gradsmith.ops.indexing import take_along_dim
from gradsmith.ops.joining import cat, stack
from gradsmith.ops.linalg_factor import turned
from gradsmith.ops.linalg_solve import solve_triangular
from gradsmith.ops.options import check_flag, names_errors
from gradsmith.ops.reduce import argmax
from gradsmith.ops.shape import expand, reshape
from gradsmith.ops.shape_copy import clone
from gradsmith.tensor import Tensor, array_of, wrap


class LUFactorResult(NamedTuple):
    """What `lu_factor` returns."""

    LU: Tensor
    pivots: Tensor


class LUResult(NamedTuple):
    """What `lu` returns."""

    P: Tensor
    L: Tensor
    U: Tensor


@no_grad()
def _eliminate(work: Tensor, pivot: bool) -> Tensor:
    """Turn matrices (B, M, N) into their factors; return the rows exchanged with rows 0, 1, ..."""
    chosen = []
    for k in range(min(work.shape[1:])):
        best = argmax(abs(work[:, k:, k]), 1) if pivot else work[:, k, k].new_zeros(len(work))
        row = to(best, int32) + k
        chosen.append(row)
        place = expand(reshape(row, (-1, 1, 1)), (-1, 1, work.shape[2]))
        upper, lower = clone(work[:, k : k + 1]), take_along_dim(work, place, 1)
        work.scatter_(1, place, upper)
        work[:, k : k + 1] = lower
        # A column without anything but zeros is eliminated already.
        corner = lower[:, :, k : k + 1]
        ratio = div(work[:, k + 1 :, k : k + 1], where(eq(corner, 0), 1.0, corner))
        work[:, k + 1 :, k : k + 1] = ratio
        work[:, k + 1 :, k + 1 :] -= mul(ratio, lower[:, :, k + 1 :])
    return stack(chosen, 1) if chosen else to(work.new_zeros(len(work), 0), int32)


def _permutations(pivots: Array, rows: int) -> Array:
    """Return matrices (..., M, M) that put rows back, from the exchanges (..., K), from 0."""
    order = np.broadcast_to(np.arange(rows), (*pivots.shape[:-1], rows)).copy()
    for k in range(pivots.shape[-1]):
        other = pivots[..., k : k + 1]
        upper = order[..., k : k + 1].copy()
        order[..., k : k + 1] = np.take_along_axis(order, other, -1)
        np.put_along_axis(order, other, upper, -1)
    return np.swapaxes(order[..., None] == np.arange(rows), -1, -2)


def _parts(packed: Tensor) -> tuple[Tensor, Tensor]:
    """Return L without its ones (..., M, K) and U (..., K, N)."""
    size = min(packed.shape[-2:])
    return tril(packed[..., :size], -1), triu(packed[..., :size, :])


def _lu_backward(node: Node, dy: Tensor) -> Any:
    """With rows in their order, A1 = L1 U1 for the square parts, A2 = L2 U1 or L1 U2 beside them.

    dA1 = L1^-T (tril(L1^T dL1 - dU2 U2^T, -1) + triu(dU1 U1^T - L2^T dL2)) U1^-T,
    dA2 = dL2 U1^-T or L1^-T dU2.
    """
    packed, order = node.saved
    size = min(packed.shape[-2:])
    square = packed[..., :size, :size]
    (lower, upper), (d_lower, d_upper) = _parts(packed), _parts(dy)
    unit = add(lower[..., :size, :], wrap(like(np.eye(size, dtype=packed.dtype), packed._array)))
    below = matmul(turned(unit), d_lower[..., :size, :])
    above = matmul(d_upper[..., :size], turned(upper[..., :size]))
    below = sub(below, matmul(d_upper[..., size:], turned(upper[..., size:])))
    above = sub(above, matmul(turned(lower[..., size:, :]), d_lower[..., size:, :]))

    def times_inverse_of_upper(x: Tensor) -> Tensor:
        return solve_triangular(turned(square), x, upper=False, left=False)

    def inverse_of_lower_times(x: Tensor) -> Tensor:
        return solve_triangular(turned(square), x, upper=True, unitriangular=True)

    inner = inverse_of_lower_times(add(tril(below, -1), triu(above)))
    right = cat([times_inverse_of_upper(inner), inverse_of_lower_times(d_upper[..., size:])], -1)
    under = times_inverse_of_upper(d_lower[..., size:, :])
    return (matmul(order, cat([right, under], -2) if under.shape[-2] else right),)


@in_float32
@names_errors
def lu_factor(A: Tensor, *, pivot: bool = True) -> LUFactorResult:
    """Return the factors of ``A = P @ L @ U`` as one matrix, and the exchanges of rows.

    Args:
        A: matrices (..., M, N); K is the smaller of M and N.
        pivot: exchange each row with the one below it that has the largest number in its column;
            without, small numbers there cost digits and a zero divides by nothing.

    Returns:
        (..., M, N): U with its diagonal, and L without its ones below it; (..., K): the row, from
        1, that row 1, 2, ... was exchanged with, int32.

    Raises:
        ValueError: A holds no matrices.

    >>> import gradsmith as gs
    >>> factors, pivots = gs.linalg.lu_factor(gs.tensor([[1.0, 2.0], [4.0, 4.0]]))
    >>> gs.linalg.lu_solve(factors, pivots, gs.tensor([[3.0], [8.0]]))
    tensor([[1.],
            [1.]])
    """
    x = as_floating(A)
    if x.ndim < 2:
        raise ValueError(f"lu_factor: A has shape {x.shape}, expected matrices")
    rows, columns = x.shape[-2:]
    wide = to(x.detach(), compute_dtype(x.dtype))
    work = clone(reshape(wide, (int(np.prod(x.shape[:-2])), rows, columns)))
    chosen = _eliminate(work, check_flag("lu_factor", "pivot", pivot))
    chosen = reshape(chosen, (*x.shape[:-2], min(rows, columns)))
    order = _permutations(on_host(chosen._array), rows).astype(x.dtype)
    packed = to(reshape(work, x.shape), x.dtype)._array
    saved = (OUTPUT, wrap(like(order, x._array)))
    return LUFactorResult(record(_lu_backward, packed, (x,), saved), to(add(chosen, 1), int32))


def _permutation(op: str, packed: Tensor, pivots: Tensor, argument: str) -> Tensor:
    """Return P (..., M, M) for the exchanges that `lu_factor` returned."""
    array = array_of(op, pivots, argument)
    rows, size = packed.shape[-2], min(packed.shape[-2:])
    if array.dtype.kind != "i":
        raise TypeError(f"{op}: {argument} is {array.dtype}, expected int32 or int64")
    if array.shape != (*packed.shape[:-2], size):
        expected = (*packed.shape[:-2], size)
        raise ValueError(f"{op}: {argument} has shape {array.shape}, expected {expected}")
    numbers = on_host(array) - 1
    if ((numbers < 0) | (numbers >= rows)).any():
        raise IndexError(f"{op}: {argument} has a row that is not among 1 to {rows}")
    return wrap(like(_permutations(numbers, rows).astype(packed.dtype), packed._array))


@names_errors
def lu_unpack(
    LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True
) -> LUResult:
    """Return P, L and U of what `lu_factor` returned; empty tensors for what is not unpacked.

    Args:
        LU_data: (..., M, N).
        LU_pivots: (..., K), K the smaller of M and N.
        unpack_data: whether L (..., M, K) and U (..., K, N) are wanted.
        unpack_pivots: whether P (..., M, M) is.

    Raises:
        ValueError, TypeError, IndexError: the pivots are not those of such factors.
    """
    packed = as_floating(LU_data)
    if packed.ndim < 2:
        raise ValueError(f"lu_unpack: LU_data has shape {packed.shape}, expected matrices")
    nothing = packed.detach().new_zeros(0)
    order = lower = upper = nothing
    if check_flag("lu_unpack", "unpack_pivots", unpack_pivots):
        order = _permutation("lu_unpack", packed, LU_pivots, "LU_pivots")
    if check_flag("lu_unpack", "unpack_data", unpack_data):
        lower, upper = _parts(packed)
        ones = np.eye(*lower.shape[-2:], dtype=packed.dtype)
        lower = add(lower, wrap(like(ones, packed._array)))
    return LUResult(order, lower, upper)


@names_errors
def lu(A: Tensor, *, pivot: bool = True) -> LUResult:
    """Return a permutation P, unit lower triangles L and upper triangles U with ``A = P @ L @ U``.

    Args:
        A: matrices (..., M, N); K is the smaller of M and N.
        pivot: see `lu_factor`.

    Returns:
        P (..., M, M), L (..., M, K) and U (..., K, N).

    Raises:
        ValueError: A holds no matrices.
    """
    return lu_unpack(*lu_factor(A, pivot=pivot))


@in_float32
@names_errors
def lu_solve(
    LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False
) -> Tensor:
    """Return X with ``A @ X = B`` for the matrices that `lu_factor` took apart.

    Args:
        LU: (..., N, N).
        pivots: (..., N).
        B: (..., N, K).
        left: False solves ``X @ A = B`` with B (..., K, N).
        adjoint: take A transposed.

    Raises:
        ValueError: A is not square or is singular, or the shapes do not match.
    """
    packed, b = as_floating(LU), as_floating(B)
    if packed.ndim < 2 or packed.shape[-1] != packed.shape[-2]:
        raise ValueError(f"lu_solve: LU has shape {packed.shape}, expected square matrices")
    if not check_flag("lu_solve", "left", left):
        return turned(lu_solve(packed, pivots, turned(b), adjoint=not adjoint))
    order = _permutation("lu_solve", packed, pivots, "pivots")
    if check_flag("lu_solve", "adjoint", adjoint):
        half = solve_triangular(turned(packed), b, upper=False)
        other = solve_triangular(turned(packed), half, upper=True, unitriangular=True)
        return matmul(order, other)
    half = solve_triangular(packed, matmul(turned(order), b), upper=False, unitriangular=True)
    return solve_triangular(packed, half, upper=True)

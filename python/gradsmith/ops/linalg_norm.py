# SPDX-License-Identifier: Apache-2.0
"""Norms of vectors and matrices."""

from __future__ import annotations

import math
from typing import Any

from gradsmith.autograd import OUTPUT, Node, cast_up, record
from gradsmith.backend import EXTENSIONS, compute_dtype
from gradsmith.ops.elementwise import as_floating, div, eq, mul, ne, pow, to, where
from gradsmith.ops.elementwise_combine import product_over
from gradsmith.ops.elementwise_round import abs, sign
from gradsmith.ops.linalg_factor import svdvals
from gradsmith.ops.options import check_flag, check_number, names_errors
from gradsmith.ops.reduce import Dim, amax, amin, spread, sum
from gradsmith.ops.shape import axis_of, movedim, squeeze, unsqueeze
from gradsmith.tensor import Tensor, array_of


def norm_slopes(x: Tensor, y: Tensor, p: float) -> Tensor:
    """Return sign(x) (|x| / y)^(p - 1), by how much p-norms y grow with x; 0 where x = 0."""
    safe = where(eq(y, 0), 1.0, y)
    if p == 2:
        return div(x, safe)
    zero = eq(x, 0)
    ratio = div(where(zero, 1.0, abs(x)), safe)
    return where(zero, 0.0, mul(sign(x), pow(ratio, p - 1)))


def _norm_backward(node: Node, dy: Tensor) -> Any:
    x, y, p, dim = node.saved
    dy = spread(dy, x.shape, dim)
    if p == 2:
        return (product_over(dy, x, spread(where(eq(y, 0), 1.0, y), x.shape, dim)),)
    return (mul(dy, norm_slopes(x, spread(y, x.shape, dim), p)),)


@names_errors
def vector_norm(
    x: Tensor, ord: float = 2, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """Return ``(sum |x|^ord)^(1/ord)`` over ``dim`` (all by default).

    Args:
        x: any tensor.
        ord: the order; 0 counts nonzeros, infinity takes the largest magnitude, minus infinity
            the smallest.
        dim: the dimensions to reduce.
        keepdim: keep them with size 1.
        dtype: convert to this dtype first.

    Raises:
        IndexError: there is no such dimension.
    """
    op = "vector_norm"
    array_of(op, x, "x")
    x = as_floating(cast_up(x)) if dtype is None else to(x, dtype)
    check_number(op, "ord", ord)
    if ord == math.inf:
        return amax(abs(x), dim, keepdim)
    if ord == -math.inf:
        return amin(abs(x), dim, keepdim)
    if ord == 0:
        return sum(to(ne(x, 0), x.dtype), dim, keepdim)
    if ord == 1:
        return sum(abs(x), dim, keepdim)
    if ord == 2:
        array = EXTENSIONS[type(x._array)].norm(x._array, dim, check_flag(op, "keepdim", keepdim))
    else:
        wide = to(x.detach(), compute_dtype(x.dtype))
        array = to(pow(sum(pow(abs(wide), ord), dim, keepdim), 1 / ord), x.dtype)._array
    return record(_norm_backward, array, (x,), (x, OUTPUT, ord, dim))


def _largest(sizes: Tensor, dim: int, keepdim: bool = False) -> Tensor:
    """Return the maximum of numbers that are not negative, 0 of none."""
    return amax(sizes, dim, keepdim) if sizes.shape[dim] else sum(sizes, dim, keepdim)


@names_errors
def matrix_norm(
    A: Tensor,
    ord: float | str = "fro",
    dim: tuple[int, int] = (-2, -1),
    keepdim: bool = False,
    *,
    dtype: Any = None,
) -> Tensor:
    """Return norms of matrices.

    Args:
        A: (..., M, N), or other dimensions named by ``dim``.
        ord: ``"fro"`` (root of the sum of squares), ``"nuc"`` (sum of the singular values),
            2 or -2 (the largest or smallest of them), 1 or -1 (the largest or smallest sum of
            magnitudes of a column), infinity or minus infinity (of a row).
        dim: dimensions of the rows and the columns.
        keepdim: keep them with size 1.
        dtype: convert to this dtype first.

    Raises:
        ValueError: the order is unknown, or the dimensions are no pair of distinct ones.
        IndexError: there is no such dimension.
    """
    ndim = array_of("matrix_norm", A, "A").ndim
    axes = [axis_of("matrix_norm", each, ndim) for each in dim]
    if len(set(axes)) != 2 or len(axes) != 2:
        raise ValueError(f"matrix_norm: dim is {dim}, expected two distinct dimensions")
    x = as_floating(A) if dtype is None else to(A, dtype)
    if not isinstance(ord, str):
        ord = check_number("matrix_norm", "ord", ord)
    if ord == "fro":
        return vector_norm(x, 2, axes, keepdim)
    if ord not in ("nuc", 1, -1, 2, -2, math.inf, -math.inf):
        raise ValueError(
            f"matrix_norm: ord is {ord!r}, expected 'fro', 'nuc', 1, -1, 2, -2, inf or -inf"
        )
    if ord in ("nuc", 2, -2):
        values = svdvals(movedim(x, axes, (-2, -1)))
        if ord == "nuc":
            out = sum(values, -1)
        else:
            out = _largest(values, -1) if ord == 2 else amin(values, -1)
        for axis in sorted(axes):
            out = unsqueeze(out, axis)
    else:
        added, kept = axes if ord in (1, -1) else axes[::-1]
        sums = sum(abs(x), added, keepdim=True)
        out = _largest(sums, kept, True) if ord in (1, math.inf) else amin(sums, kept, True)
    return out if keepdim else squeeze(out, axes)


@names_errors
def norm(
    A: Tensor,
    ord: float | str | None = None,
    dim: Dim = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
) -> Tensor:
    """Return a vector norm, or a matrix norm where two dimensions and an order are given.

    Args:
        A: any tensor; 1-d or 2-d with an order and no ``dim``.
        ord: order of `vector_norm` or `matrix_norm`; None takes the root of the sum of squares.
        dim: the dimensions to reduce, all by default.
        keepdim: keep them with size 1.
        dtype: convert to this dtype first.

    Raises:
        ValueError: the order does not suit the number of dimensions.
    """
    ndim = array_of("norm", A, "A").ndim
    if ord is None:
        return vector_norm(A, 2, dim, keepdim, dtype=dtype)
    axes = tuple(range(ndim)) if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    if dim is None and ndim > 2:
        raise ValueError(f"norm: A has shape {A.shape}, expected 1 or 2 dimensions without dim")
    if len(axes) == 2:
        return matrix_norm(A, ord, (axes[0], axes[1]), keepdim, dtype=dtype)
    if isinstance(ord, str):
        raise ValueError(f"norm: ord is {ord!r} for {len(axes)} dimensions, expected a number")
    return vector_norm(A, ord, dim, keepdim, dtype=dtype)

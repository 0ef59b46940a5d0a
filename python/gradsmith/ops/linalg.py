# SPDX-License-Identifier: Apache-2.0
"""Norms, diagonals, triangles, and linear algebra of small matrices through NumPy's LAPACK."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradsmith.autograd import OUTPUT, Node, record
from gradsmith.backend import EXTENSIONS, Array, bfloat16, like, on_host
from gradsmith.ops.elementwise import as_floating, div, eq, mul, ne, neg, pow, to, where
from gradsmith.ops.elementwise_math import sqrt, square
from gradsmith.ops.elementwise_round import abs, sign
from gradsmith.ops.gemm import matmul
from gradsmith.ops.options import check_int, check_number, names_errors
from gradsmith.ops.reduce import Dim, amax, amin, spread, sum, sum_to
from gradsmith.ops.shape import _view, axis_of, reshape, transpose, unsqueeze
from gradsmith.tensor import Tensor, array_of, wrap

# ---- norms ---------------------------------------------------------------------------------------


def _norm_backward(node: Node, dy: Tensor) -> Any:
    """dx = dy sign(x) (|x| / y)^(p - 1), and 0 where x = 0."""
    x, y, p, dim = node.saved
    y, dy = spread(y, x.shape, dim), spread(dy, x.shape, dim)
    safe = where(eq(y, 0), 1.0, y)
    if p == 2:
        return (mul(dy, div(x, safe)),)
    zero = eq(x, 0)
    ratio = div(where(zero, 1.0, abs(x)), safe)
    return (where(zero, 0.0, mul(mul(dy, sign(x)), pow(ratio, p - 1))),)


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
    array_of("vector_norm", x, "x")
    x = as_floating(x) if dtype is None else to(x, dtype)
    check_number("vector_norm", "ord", ord)
    if ord == math.inf:
        return amax(abs(x), dim, keepdim)
    if ord == -math.inf:
        return amin(abs(x), dim, keepdim)
    if ord == 0:
        return sum(to(ne(x, 0), x.dtype), dim, keepdim)
    if ord == 1:
        return sum(abs(x), dim, keepdim)
    plain = x.detach()
    if ord == 2:
        result = sqrt(sum(square(plain), dim, keepdim))
    else:
        result = pow(sum(pow(abs(plain), ord), dim, keepdim), 1 / ord)
    return record(_norm_backward, result._array, (x,), (x, OUTPUT, ord, dim))


@names_errors
def norm(
    input: Tensor,
    p: float | str | None = "fro",
    dim: Dim = None,
    keepdim: bool = False,
    dtype: Any = None,
) -> Tensor:
    """Return the p-norm of the elements over ``dim`` (see `vector_norm`); ``"fro"`` is p = 2.

    Raises:
        ValueError: ``p`` is another string.
    """
    if isinstance(p, str) and p != "fro":
        raise ValueError(f"norm: p is {p!r}, expected a number or 'fro'")
    order = 2.0 if p is None or isinstance(p, str) else check_number("norm", "p", p)
    return vector_norm(input, order, dim, keepdim, dtype=dtype)


# ---- diagonals and triangles ---------------------------------------------------------------------


# NumPy's diagonal() counts in 32 bits and does not check that it can.
_MOST_OFFSET = 2**31 - 1


def _offset(op: str, argument: str, value: int, limit: int) -> int:
    """Return the offset of a diagonal; all beyond ``limit`` are equally empty."""
    limit = min(limit, _MOST_OFFSET)
    return max(-limit, min(check_int(op, argument, value), limit))


def _on_diagonal_backward(node: Node, ddx: Tensor) -> Any:
    _, offset, dim1, dim2 = node.saved
    return (diagonal(ddx, offset, dim1, dim2),)


def _on_diagonal(dy: Tensor, shape: tuple[int, ...], offset: int, dim1: int, dim2: int) -> Tensor:
    """Return zeros of ``shape`` with ``dy`` on a diagonal."""
    extension = EXTENSIONS[type(dy._array)]
    array = extension.zeros(shape, dy._array.dtype)
    target = array.diagonal(offset, dim1, dim2)
    target.flags.writeable = True
    extension.copy(target, dy._array)
    return record(_on_diagonal_backward, array, (dy,), (shape, offset, dim1, dim2))


def _diagonal_backward(node: Node, dy: Tensor) -> Any:
    return (_on_diagonal(dy, *node.saved),)


@names_errors
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """Return a read-only view of a diagonal of two dimensions, as the last dimension.

    Args:
        input: at least 2-d.
        offset: 0 for the main diagonal, positive above it, negative below.
        dim1: dimension of the rows.
        dim2: dimension of the columns.

    Raises:
        ValueError: the tensor is not 2-d, or the dimensions are the same.
        IndexError: there is no such dimension.
    """
    array = array_of("diagonal", input)
    if array.ndim < 2:
        raise ValueError(f"diagonal: input has shape {array.shape}, expected 2 dimensions or more")
    offset = _offset("diagonal", "offset", offset, max(array.shape))
    first, second = axis_of("diagonal", dim1, array.ndim), axis_of("diagonal", dim2, array.ndim)
    if first == second:
        raise ValueError(f"diagonal: dim1 and dim2 are both {dim1}")
    saved = (array.shape, offset, first, second)
    return _view(_diagonal_backward, array.diagonal(offset, first, second), input, saved)


_diagonal = diagonal  # diag has an argument of that name


@names_errors
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """Return a vector as a diagonal matrix, or the diagonal of a matrix.

    Raises:
        ValueError: the tensor is neither 1-d nor 2-d.
    """
    ndim = array_of("diag", input).ndim
    if ndim == 1:
        return diag_embed(input, diagonal)
    if ndim == 2:
        return _diagonal(input, diagonal)
    raise ValueError(f"diag: input has shape {input.shape}, expected 1 or 2 dimensions")


@names_errors
def diag_embed(input: Tensor, offset: int = 0) -> Tensor:
    """Return matrices whose diagonals are the last dimension: (..., N) -> (..., N, N)."""
    array = array_of("diag_embed", input)
    if array.ndim == 0:
        raise ValueError("diag_embed: the tensor has no dimension")
    if builtins.abs(check_int("diag_embed", "offset", offset)) > _MOST_OFFSET:
        raise MemoryError(
            f"diag_embed: offset is {offset}, which makes matrices larger than memory"
        )
    size = array.shape[-1] + builtins.abs(offset)
    shape = (*array.shape[:-1], size, size)
    return _on_diagonal(input, shape, offset, array.ndim - 1, array.ndim)


@names_errors
def trace(input: Tensor) -> Tensor:
    """Return the sum of the diagonal of a matrix.

    Raises:
        ValueError: the tensor is no matrix.
    """
    if array_of("trace", input).ndim != 2:
        raise ValueError(f"trace: input has shape {input.shape}, expected 2 dimensions")
    return sum(diagonal(input))


def _triangle(op: str, input: Tensor, offset: int) -> Array:
    """Return the mask of the elements on and below a diagonal."""
    array = array_of(op, input)
    if array.ndim < 2:
        raise ValueError(f"{op}: input has shape {array.shape}, expected 2 dimensions or more")
    edge = _offset(op, "diagonal", offset, max(array.shape) + 1)
    return like(np.tri(array.shape[-2], array.shape[-1], edge, dtype=np.bool_), array)


@names_errors
def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """Return the matrices with what lies above a diagonal set to 0."""
    return where(wrap(_triangle("tril", input, diagonal)), input, False)


@names_errors
def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """Return the matrices with what lies below a diagonal set to 0."""
    return where(wrap(_triangle("triu", input, diagonal - 1)), False, input)


# ---- matrices ------------------------------------------------------------------------------------


def _lapack(op: str, input: Tensor, compute: Callable[[Array], Any]) -> Array:
    """Run a NumPy function on square matrices, bfloat16 ones in float32.

    On the host for every device: there are no kernels of ours for it.
    """
    array = array_of(op, input)
    if array.ndim < 2 or array.shape[-1] != array.shape[-2]:
        raise ValueError(f"{op}: input has shape {array.shape}, expected square matrices")
    numbers = on_host(array)
    wide = numbers.astype(np.float32) if array.dtype == bfloat16 else numbers
    try:
        with np.errstate(all="ignore"):  # matrices that hold NaN or infinity
            result = np.asarray(compute(wide))
    except np.linalg.LinAlgError as error:
        raise ValueError(f"{op}: {error}") from None
    return like(result.astype(array.dtype), array)


def _inv_backward(node: Node, dy: Tensor) -> Any:
    (y,) = node.saved
    turned = transpose(y, -1, -2)
    return (neg(matmul(matmul(turned, dy), turned)),)


@names_errors
def inv(A: Tensor) -> Tensor:
    """Return the inverses of square matrices (..., N, N).

    Raises:
        ValueError: a matrix is not square or is singular.
    """
    x = as_floating(A)
    return record(_inv_backward, _lapack("inv", x, np.linalg.inv), (x,), (OUTPUT,))


def _det_backward(node: Node, dy: Tensor) -> Any:
    x, y = node.saved
    scale = unsqueeze(unsqueeze(mul(dy, y), -1), -1)
    return (mul(scale, transpose(inv(x), -1, -2)),)


@names_errors
def det(A: Tensor) -> Tensor:
    """Return the determinants of square matrices (..., N, N); differentiable where not 0."""
    x = as_floating(A)
    return record(_det_backward, _lapack("det", x, np.linalg.det), (x,), (x, OUTPUT))


def _logabsdet_backward(node: Node, dy: Tensor) -> Any:
    (x,) = node.saved
    return (mul(unsqueeze(unsqueeze(dy, -1), -1), transpose(inv(x), -1, -2)),)


@names_errors
def slogdet(A: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sign and the logarithm of the magnitude of the determinants of (..., N, N)."""
    x = as_floating(A)
    signs = _lapack("slogdet", x, lambda a: np.linalg.slogdet(a).sign)
    logs = _lapack("slogdet", x, lambda a: np.linalg.slogdet(a).logabsdet)
    return wrap(signs), record(_logabsdet_backward, logs, (x,), (x,))


@names_errors
def solve(A: Tensor, B: Tensor) -> Tensor:
    """Return X with ``A @ X = B`` for square matrices (..., N, N).

    Args:
        A: (..., N, N).
        B: (..., N, K), or (N) for one right-hand side.

    Raises:
        ValueError: A is not square or is singular, or the shapes do not match.
    """
    if array_of("solve", B, "B").ndim == 1:
        return reshape(solve(A, unsqueeze(B, 1)), B.shape)
    a, b = as_floating(A), as_floating(B)
    if a.dtype != b.dtype:
        raise TypeError(f"solve: A is {a.dtype} and B is {b.dtype}, expected the same dtype")
    if a.ndim < 2 or a.shape[-1] != b.shape[-2]:
        raise ValueError(f"solve: shapes {a.shape} and {b.shape} do not match")
    result = _lapack("solve", a, lambda array: np.linalg.solve(array, on_host(b._array)))
    return record(_solve_backward, result, (a, b), (a, b.shape, OUTPUT))


def _solve_backward(node: Node, dy: Tensor) -> Any:
    a, b_shape, x = node.saved
    db = solve(transpose(a, -1, -2), dy)
    da = neg(matmul(db, transpose(x, -1, -2))) if node.needs(0) else None
    return None if da is None else sum_to(da, a.shape), sum_to(db, b_shape)


def _cholesky_backward(node: Node, dy: Tensor) -> Any:
    """Murray 2016: dA is the symmetric part of L^-T Phi(L^T dL) L^-1, Phi halving the diagonal."""
    (lower,) = node.saved
    inverse = inv(lower)
    inner = tril(matmul(transpose(lower, -1, -2), dy))
    eye = wrap(like(np.eye(lower.shape[-1], dtype=lower.dtype), lower._array))
    halved = mul(inner, 1.0 - 0.5 * eye)
    full = matmul(matmul(transpose(inverse, -1, -2), halved), inverse)
    return (mul(full + transpose(full, -1, -2), 0.5),)


@names_errors
def cholesky(A: Tensor) -> Tensor:
    """Return lower triangles L with ``L @ L.T = A`` for symmetric positive definite (..., N, N).

    Raises:
        ValueError: a matrix is not square or not positive definite.
    """
    x = as_floating(A)
    return record(_cholesky_backward, _lapack("cholesky", x, np.linalg.cholesky), (x,), (OUTPUT,))

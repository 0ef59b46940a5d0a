# SPDX-License-Identifier: Apache-2.0
"""Inverses, determinants and systems of equations.

Rules after Giles, "Collected matrix derivative results" (2008); of the pseudo-inverse after Golub
and Pereyra (1973).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from gradsmith.autograd import OUTPUT, Node, no_grad, record
from gradsmith.autograd.mode import in_float32
from gradsmith.backend import compute_dtype, int64, like, on_host
from gradsmith.ops.diagonal import tril, triu
from gradsmith.ops.elementwise import add, as_floating, div, eq, gt, maximum, mul, neg, sub, where
from gradsmith.ops.elementwise_math import reciprocal, square
from gradsmith.ops.gemm import matmul
from gradsmith.ops.linalg_factor import identity_like, lapack, lapack_many, svd, svdvals, turned
from gradsmith.ops.linalg_norm import matrix_norm
from gradsmith.ops.options import check_flag, check_number, names_errors
from gradsmith.ops.reduce import any, product_of_others, sum, sum_to
from gradsmith.ops.shape import reshape, unsqueeze
from gradsmith.tensor import Tensor, array_of, wrap

Tolerance = Tensor | float | None


# ---- inverse and determinant ---------------------------------------------------------------------


def _inv_backward(node: Node, dy: Tensor) -> Any:
    (y,) = node.saved
    return (neg(matmul(matmul(turned(y), dy), turned(y))),)


@in_float32
@names_errors
def inv(A: Tensor) -> Tensor:
    """Return the inverses of square matrices (..., N, N).

    Raises:
        ValueError: a matrix is not square or is singular.
    """
    x = as_floating(A)
    return record(_inv_backward, lapack("inv", x, np.linalg.inv), (x,), (OUTPUT,))


def _cofactors(x: Tensor) -> Tensor:
    """Return the matrices of cofactors, also of singular matrices."""
    u, s, vh = svd(x)
    signs = mul(det(u.detach()), det(vh.detach()))
    others = mul(product_of_others(s, (s.ndim - 1,)), unsqueeze(signs, -1))
    return matmul(mul(u, unsqueeze(others, -2)), vh)


def _det_backward(node: Node, dy: Tensor) -> Any:
    x, y = node.saved
    if any(eq(y, 0)).item():
        slopes = _cofactors(x)
    else:
        slopes = mul(unsqueeze(unsqueeze(y, -1), -1), turned(inv(x)))
    return (mul(unsqueeze(unsqueeze(dy, -1), -1), slopes),)


@in_float32
@names_errors
def det(A: Tensor) -> Tensor:
    """Return the determinants of square matrices (..., N, N).

    Raises:
        ValueError: a matrix is not square.
    """
    x = as_floating(A)
    return record(_det_backward, lapack("det", x, np.linalg.det), (x,), (x, OUTPUT))


class SlogdetResult(NamedTuple):
    """What `slogdet` returns."""

    sign: Tensor
    logabsdet: Tensor


def _logabsdet_backward(node: Node, dy: Tensor) -> Any:
    (x,) = node.saved
    return (mul(unsqueeze(unsqueeze(dy, -1), -1), turned(inv(x))),)


@in_float32
@names_errors
def slogdet(A: Tensor) -> SlogdetResult:
    """Return the sign and the logarithm of the magnitude of the determinants of (..., N, N).

    Raises:
        ValueError: a matrix is not square.
    """
    x = as_floating(A)
    signs, logs = lapack_many("slogdet", x, lambda a: tuple(np.linalg.slogdet(a)))
    return SlogdetResult(wrap(signs), record(_logabsdet_backward, logs, (x,), (x,)))


@names_errors
def logdet(input: Tensor) -> Tensor:
    """Return the logarithms of the determinants of (..., N, N); NaN where they are negative."""
    sign, logabsdet = slogdet(input)
    return where(eq(sign, -1), math.nan, logabsdet)


# ---- systems of equations ------------------------------------------------------------------------


def _solve_backward(node: Node, dy: Tensor) -> Any:
    a, b_shape, x = node.saved
    db = _solve_matrices(turned(a), dy)
    da = neg(matmul(db, turned(x))) if node.needs(0) else None
    return None if da is None else sum_to(da, a.shape), sum_to(db, b_shape)


def _solve_matrices(a: Tensor, b: Tensor) -> Tensor:
    """Return X with ``a @ X = b`` for (..., N, N) and (..., N, K)."""
    if a.dtype != b.dtype:
        raise TypeError(f"solve: A is {a.dtype} and B is {b.dtype}, expected the same dtype")
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-2]:
        raise ValueError(f"solve: shapes {a.shape} and {b.shape} do not match")
    right = on_host(b._array).astype(compute_dtype(b.dtype), copy=False)
    result = lapack("solve", a, lambda array: np.linalg.solve(array, right))
    return record(_solve_backward, result, (a, b), (a, b.shape, OUTPUT))


@in_float32
@names_errors
def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """Return X with ``A @ X = B`` for square matrices (..., N, N).

    Args:
        A: (..., N, N).
        B: (..., N, K), or (..., N) with the other dimensions of A: one right-hand side for each.
        left: False solves ``X @ A = B`` with B (..., K, N).

    Raises:
        ValueError: A is not square or is singular, the shapes do not match, or ``left`` is False
            for single right-hand sides.
        TypeError: the dtypes differ.
    """
    check_flag("solve", "left", left)
    a, b = as_floating(A), as_floating(B)
    if b.ndim == 1 or b.shape == a.shape[:-1]:
        if not left:
            raise ValueError(f"solve: B has shape {b.shape}, expected matrices for left=False")
        out = _solve_matrices(a, unsqueeze(b, -1))
        return reshape(out, out.shape[:-1])
    if left:
        return _solve_matrices(a, b)
    return turned(_solve_matrices(turned(a), turned(b)))


@in_float32
@names_errors
def solve_triangular(
    A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Tensor:
    """Return X with ``A @ X = B`` for triangular matrices (..., N, N).

    Args:
        A: the matrices, of which one triangle is read.
        B: (..., N, K).
        upper: whether it is the upper triangle.
        left: False solves ``X @ A = B`` with B (..., K, N).
        unitriangular: take the diagonal for ones.

    Raises:
        ValueError: A is singular or not square, or the shapes do not match.
    """
    a = as_floating(A)
    below = 1 if check_flag("solve_triangular", "unitriangular", unitriangular) else 0
    is_upper = check_flag("solve_triangular", "upper", upper)
    triangle = triu(a, below) if is_upper else tril(a, -below)
    matrices, b = add(triangle, identity_like(a)) if below else triangle, as_floating(B)
    if check_flag("solve_triangular", "left", left):
        return _solve_matrices(matrices, b)
    return turned(_solve_matrices(turned(matrices), turned(b)))


@in_float32
@names_errors
def cholesky_solve(B: Tensor, L: Tensor, upper: bool = False) -> Tensor:
    """Return X with ``A @ X = B``, where L is the factor of A that `cholesky` gives.

    Args:
        B: (..., N, K).
        L: (..., N, N).
        upper: whether L is the upper triangle.

    Raises:
        ValueError: L is singular or not square, or the shapes do not match.
    """
    lower = turned(L) if check_flag("cholesky_solve", "upper", upper) else L
    half = solve_triangular(lower, B, upper=False)
    return solve_triangular(turned(lower), half, upper=True)


@in_float32
@names_errors
def cholesky_inverse(L: Tensor, upper: bool = False) -> Tensor:
    """Return the inverse of the matrix whose factor by `cholesky` is L (..., N, N).

    Raises:
        ValueError: L is singular or not square.
    """
    array_of("cholesky_inverse", L, "L")
    return cholesky_solve(identity_like(as_floating(L)), L, upper)


# ---- rank and pseudo-inverse ---------------------------------------------------------------------


def _cutoff(op: str, x: Tensor, values: Tensor, atol: Tolerance, rtol: Tolerance) -> Tensor:
    """Return the size (..., 1) up to which singular values count as 0."""
    if rtol is None:
        import ml_dtypes

        epsilon = float(ml_dtypes.finfo(x.dtype).eps)  # type: ignore[no-untyped-call]
        rtol = max(x.shape[-2:]) * epsilon if atol is None else 0.0
    for name, each in (("atol", atol), ("rtol", rtol)):
        if not isinstance(each, Tensor) and each is not None:
            check_number(op, name, each)
    largest = values[..., :1] if values.shape[-1] else values.new_zeros((*values.shape[:-1], 1))
    relative = unsqueeze(rtol, -1) if isinstance(rtol, Tensor) else rtol
    absolute = unsqueeze(atol, -1) if isinstance(atol, Tensor) else atol
    bound = mul(largest, relative)
    if absolute is None:
        return bound
    return maximum(bound, add(mul(bound, 0.0), absolute))


@in_float32
@names_errors
def matrix_rank(
    A: Tensor, tol: Tolerance = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None
) -> Tensor:
    """Return the ranks of matrices (..., M, N): how many singular values exceed the tolerance.

    Args:
        A: the matrices.
        tol: another name of ``atol``.
        hermitian: promises symmetric matrices; has no effect.
        atol: absolute tolerance.
        rtol: tolerance relative to the largest singular value; the larger of the two counts. By
            default max(M, N) times the precision of the dtype, 0 beside an ``atol``.

    Raises:
        ValueError: the tensor holds no matrices.
    """
    check_flag("matrix_rank", "hermitian", hermitian)
    x = as_floating(A).detach()
    values = svdvals(x)
    cutoff = _cutoff("matrix_rank", x, values, tol if atol is None else atol, rtol)
    return sum(gt(values, cutoff), -1)


def _pinv_backward(node: Node, dy: Tensor) -> Any:
    """dA = -P' dP P' + (I - A P) dP' P P' + P' P dP' (I - P A), the prime transposing."""
    x, y = node.saved
    across, dyt = turned(y), turned(dy)
    dx = neg(matmul(matmul(across, dy), across))
    left = matmul(matmul(dyt, y), across)
    right = matmul(matmul(across, y), dyt)
    dx = add(dx, sub(left, matmul(x, matmul(y, left))))
    return (add(dx, sub(right, matmul(matmul(right, y), x))),)


@in_float32
@names_errors
def pinv(
    A: Tensor,
    rcond: Tolerance = None,
    hermitian: bool = False,
    *,
    atol: Any = None,
    rtol: Any = None,
) -> Tensor:
    """Return the pseudo-inverses (..., N, M) of matrices (..., M, N), of Moore and Penrose.

    Args:
        A: the matrices; gradients take their rank for constant.
        rcond: another name of ``rtol``.
        hermitian: promises symmetric matrices; has no effect.
        atol: singular values up to this size count as 0.
        rtol: as do those up to this share of the largest (default as in `matrix_rank`).

    Raises:
        ValueError: the tensor holds no matrices.
    """
    check_flag("pinv", "hermitian", hermitian)
    x = as_floating(A)
    with no_grad():
        u, s, vh = svd(x, full_matrices=False)
        kept = gt(s, _cutoff("pinv", x, s, atol, rcond if rtol is None else rtol))
        inverse = where(kept, reciprocal(where(kept, s, 1.0)), 0.0)
        result = matmul(mul(turned(vh), unsqueeze(inverse, -2)), turned(u))
    return record(_pinv_backward, result._array, (x,), (x, OUTPUT))


class LstsqResult(NamedTuple):
    """What `lstsq` returns."""

    solution: Tensor
    residuals: Tensor
    rank: Tensor
    singular_values: Tensor


@in_float32
@names_errors
def lstsq(
    A: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None
) -> LstsqResult:
    """Return the X of least norm among those that minimise the norm of ``A @ X - B``.

    Args:
        A: matrices (..., M, N).
        B: (..., M, K), or (..., M) beside a batch of one dimension more.
        rcond: share of the largest singular value up to which others count as 0.
        driver: LAPACK's ``"gels"``, ``"gelsy"`` (the default), ``"gelsd"`` or ``"gelss"``. The
            solution is that of the pseudo-inverse for all of them; the first returns no rank, the
            second no residuals, only the last two return singular values.

    Returns:
        Solution (..., N, K); residuals (..., K), the squared norms for M > N and full rank, else
        empty; ranks; singular values.

    Raises:
        ValueError: the shapes do not match, or the driver is unknown.
        TypeError: the dtypes differ.

    >>> import gradsmith as gs
    >>> A = gs.tensor([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
    >>> gs.linalg.lstsq(A, gs.ones(3, 1)).solution
    tensor([[1.0000],
            [0.5000]])
    """
    drivers = ("gels", "gelsy", "gelsd", "gelss")
    if driver is not None and driver not in drivers:
        raise ValueError(f"lstsq: driver is {driver!r}, expected one of {', '.join(drivers)}")
    a, b = as_floating(A), as_floating(B)
    if a.dtype != b.dtype:
        raise TypeError(f"lstsq: A is {a.dtype} and B is {b.dtype}, expected the same dtype")
    if a.ndim >= 2 and b.ndim == a.ndim - 1 and b.shape == a.shape[:-1]:
        out = lstsq(a, unsqueeze(b, -1), rcond, driver=driver)
        return out._replace(solution=reshape(out.solution, (*a.shape[:-2], a.shape[-1])))
    if a.ndim < 2 or b.ndim < 2 or a.shape[-2] != b.shape[-2]:
        raise ValueError(f"lstsq: shapes {a.shape} and {b.shape} do not match")
    solution = matmul(pinv(a, rcond), b)
    values = svdvals(a.detach())
    rank = sum(gt(values, _cutoff("lstsq", a, values, None, rcond)), -1)
    residuals = _nothing(a)
    if a.shape[-2] > a.shape[-1] and driver not in (None, "gelsy"):
        full = not any(gt(a.shape[-1] - rank, 0)).item()
        residuals = sum(square(sub(matmul(a, solution), b)), -2) if full else residuals
    return LstsqResult(
        solution,
        residuals,
        wrap(like(np.zeros(0, int64), a._array)) if driver == "gels" else rank,
        values if driver in ("gelsd", "gelss") else _nothing(a),
    )


def _nothing(x: Tensor) -> Tensor:
    return wrap(like(np.zeros(0, x.dtype), x._array))


@in_float32
@names_errors
def cond(A: Tensor, p: float | str | None = None) -> Tensor:
    """Return the condition numbers of matrices: the norm times that of the inverse.

    Args:
        A: square matrices (..., N, N); for p None, 2 or -2 any matrices.
        p: order of `matrix_norm`; None is 2.

    Raises:
        ValueError: the order is unknown, or a matrix is not square; the condition of a singular
            matrix is infinite.
    """
    x = as_floating(A)
    if p in (None, 2, -2):
        values = svdvals(x)
        first, last = values[..., 0], values[..., -1]
        return div(last, first) if p == -2 else div(first, last)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ValueError(f"cond: A has shape {x.shape}, expected square matrices for p {p!r}")
    singular = eq(det(x.detach()), 0)
    safe = where(unsqueeze(unsqueeze(singular, -1), -1), identity_like(x), x)
    product = mul(matrix_norm(safe, p), matrix_norm(inv(safe), p))
    return where(singular, math.inf, product)

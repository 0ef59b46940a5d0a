# SPDX-License-Identifier: Apache-2.0
"""Factorisations: cholesky, qr, svd, eigh, through NumPy's LAPACK.

Rules after Seeger, Hetzel, Dai, Meissner and Lawrence, "Auto-Differentiating Linear Algebra"
(2017), of the singular values after Giles, "Collected matrix derivative results" (2008).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gradsmith.autograd import OUTPUT, Node, Output, record, record_many
from gradsmith.autograd.mode import in_float32
from gradsmith.backend import Array, compute_dtype, like, on_host
from gradsmith.ops.diagonal import diag_embed, tril
from gradsmith.ops.elementwise import add, as_floating, div, eq, mul, sub, where
from gradsmith.ops.gemm import matmul
from gradsmith.ops.joining import cat
from gradsmith.ops.options import check_flag, names_errors
from gradsmith.ops.shape import transpose, unsqueeze
from gradsmith.ops.shape_pieces import narrow
from gradsmith.tensor import Tensor, array_of, wrap

# ---- LAPACK --------------------------------------------------------------------------------------


def lapack_many(
    op: str,
    input: Tensor,
    compute: Callable[[Array], Any],
    square: bool = True,
    iterates: bool = False,
) -> tuple[Array, ...]:
    """Run a NumPy function on matrices, those of 16 bits in float32, and return its results.

    On the host for every device: there are no kernels of ours for it. What ``iterates`` may not
    come to an end on numbers that are not finite.

    Raises:
        ValueError: the input holds no matrices, or the function refuses them.
    """
    array = array_of(op, input)
    if array.ndim < 2 or (square and array.shape[-1] != array.shape[-2]):
        kind = "square matrices" if square else "matrices"
        raise ValueError(f"{op}: input has shape {array.shape}, expected {kind}")
    numbers = on_host(array)
    wide = numbers.astype(compute_dtype(array.dtype), copy=False)
    if iterates and not np.isfinite(wide).all():
        raise ValueError(f"{op}: input holds NaN or infinity, expected finite numbers")
    try:
        with np.errstate(all="ignore"):  # matrices that hold NaN or infinity
            results = compute(wide)
    except np.linalg.LinAlgError as error:
        raise ValueError(f"{op}: {error}") from None
    several = results if isinstance(results, tuple) else (results,)
    return tuple(like(np.asarray(each).astype(array.dtype), array) for each in several)


def lapack(op: str, input: Tensor, compute: Callable[[Array], Any]) -> Array:
    """Run a NumPy function of one result on square matrices (see `lapack_many`)."""
    return lapack_many(op, input, compute)[0]


def turned(x: Tensor) -> Tensor:
    """Return the matrices transposed."""
    return transpose(x, -1, -2)


def identity_like(x: Tensor) -> Tensor:
    """Return the identity of the size of square matrices, in their dtype, on their device."""
    return wrap(like(np.eye(x.shape[-1], dtype=x.dtype), x._array))


def _over_gaps(x: Tensor, values: Tensor) -> Tensor:
    """Return ``x[i, j] / (values[j] - values[i])``, and 0 on the diagonal."""
    same = eq(identity_like(x), 1)
    gaps = sub(unsqueeze(values, -2), unsqueeze(values, -1))
    return where(same, 0.0, div(x, where(same, 1.0, gaps)))


# ---- cholesky ------------------------------------------------------------------------------------


def _cholesky_backward(node: Node, dy: Tensor) -> Any:
    """Murray 2016: dA is the symmetric part of L^-T Phi(L^T dL) L^-1, Phi halving the diagonal."""
    from gradsmith.ops.linalg_solve import inv

    (lower,) = node.saved
    inverse = inv(lower)
    inner = tril(matmul(turned(lower), dy))
    halved = mul(inner, 1.0 - 0.5 * identity_like(lower))
    full = matmul(matmul(turned(inverse), halved), inverse)
    return (mul(full + turned(full), 0.5),)


@in_float32
@names_errors
def cholesky(A: Tensor, upper: bool = False) -> Tensor:
    """Return lower triangles L with ``L @ L.mT = A`` for symmetric positive definite (..., N, N).

    Args:
        A: the matrices, of which the lower triangle is read.
        upper: return ``L.mT`` instead.

    Raises:
        ValueError: a matrix is not square or not positive definite.
    """
    x = as_floating(A)
    lower = record(_cholesky_backward, lapack("cholesky", x, np.linalg.cholesky), (x,), (OUTPUT,))
    return turned(lower) if check_flag("cholesky", "upper", upper) else lower


# ---- qr ------------------------------------------------------------------------------------------


class QRResult(NamedTuple):
    """What `qr` returns."""

    Q: Tensor
    R: Tensor


def _qr_backward(node: Node, dq: Tensor, dr: Tensor) -> Any:
    """dA = (dQ + Q copyltu(R dR^T - dQ^T Q)) R^-T, copyltu mirroring the lower triangle."""
    from gradsmith.ops.linalg_solve import solve

    q, r = node.saved
    inner = sub(matmul(r, turned(dr)), matmul(turned(dq), q))
    mirrored = add(tril(inner), turned(tril(inner, -1)))
    return (turned(solve(r, turned(add(dq, matmul(q, mirrored))))),)


def _qr_refused_backward(node: Node, dq: Tensor, dr: Tensor) -> Any:
    (mode,) = node.saved
    raise RuntimeError(f"qr: mode {mode!r} has no gradient here; use mode 'reduced'")


@in_float32
@names_errors
def qr(A: Tensor, mode: str = "reduced") -> QRResult:
    """Return orthonormal columns Q and upper triangles R with ``Q @ R = A``.

    Args:
        A: matrices (..., M, N).
        mode: ``"reduced"`` for Q (..., M, K) and R (..., K, N), K the smaller of M and N;
            ``"complete"`` for Q (..., M, M) and R (..., M, N), which for M > N have no gradient;
            ``"r"`` for R alone beside an empty Q, without a gradient.

    Raises:
        ValueError: the tensor holds no matrices, or the mode is unknown.
    """
    if mode not in ("reduced", "complete", "r"):
        raise ValueError(f"qr: mode is {mode!r}, expected 'reduced', 'complete' or 'r'")
    x = as_floating(A)
    if x.ndim >= 2 and mode != "r" and x.shape[-1] > x.shape[-2]:
        # The first columns decide Q; the others only take part in R.
        rows = x.shape[-2]
        q, r = qr(narrow(x, -1, 0, rows))
        rest = narrow(x, -1, rows, x.shape[-1] - rows)
        return QRResult(q, cat((r, matmul(turned(q), rest)), -1))
    if mode == "r":
        (r_array,) = lapack_many("qr", x, lambda a: np.linalg.qr(a, "r"), square=False)
        empty = like(np.zeros(0, x.dtype), x._array)
        return QRResult(*record_many(_qr_refused_backward, (empty, r_array), (x,), (mode,)))

    def compute(a: Array) -> tuple[Array, ...]:
        return tuple(np.linalg.qr(a, "complete" if mode == "complete" else "reduced"))

    arrays = lapack_many("qr", x, compute, square=False)
    if mode == "complete" and x.shape[-2] != x.shape[-1]:
        return QRResult(*record_many(_qr_refused_backward, arrays, (x,), (mode,)))
    return QRResult(*record_many(_qr_backward, arrays, (x,), (OUTPUT, Output(1))))


# ---- svd -----------------------------------------------------------------------------------------


class SVDResult(NamedTuple):
    """What `linalg.svd` returns."""

    U: Tensor
    S: Tensor
    Vh: Tensor


def _svd_backward(node: Node, du: Tensor | None, ds: Tensor | None, dvh: Tensor | None) -> Any:
    """Gradients through the rotations within and out of the spaces of U and V (Townsend 2016)."""
    u, s, vh = node.saved
    squares = mul(s, s)
    terms, outside = [], []
    if ds is not None:
        terms.append(diag_embed(ds))
    if du is not None:
        inner = matmul(turned(u), du)
        terms.append(mul(_over_gaps(sub(inner, turned(inner)), squares), unsqueeze(s, -2)))
        if u.shape[-2] > u.shape[-1]:
            rest = div(sub(du, matmul(u, inner)), unsqueeze(s, -2))
            outside.append(matmul(rest, vh))
    if dvh is not None:
        inner = matmul(vh, turned(dvh))
        terms.append(mul(unsqueeze(s, -1), _over_gaps(sub(inner, turned(inner)), squares)))
        if vh.shape[-1] > vh.shape[-2]:
            rest = div(sub(dvh, matmul(turned(inner), vh)), unsqueeze(s, -1))
            outside.append(matmul(u, rest))
    middle = functools.reduce(add, terms)
    return (functools.reduce(add, outside, matmul(matmul(u, middle), vh)),)


def _svdvals_backward(node: Node, ds: Tensor) -> Any:
    (x,) = node.saved
    u, _, vh = svd(x, full_matrices=False)
    return (matmul(mul(u, unsqueeze(ds, -2)), vh),)


def _svd_full_backward(node: Node, du: Tensor | None, ds: Tensor | None, dvh: Tensor | None) -> Any:
    if ds is None or du is not None or dvh is not None:
        raise RuntimeError(
            "svd: U and Vh of full_matrices=True have no gradient, for their last columns and rows "
            "are arbitrary; use full_matrices=False"
        )
    return _svdvals_backward(node, ds)


@in_float32
@names_errors
def svd(A: Tensor, full_matrices: bool = True) -> SVDResult:
    """Return the singular value decomposition ``U @ diag(S) @ Vh = A``, S in descending order.

    The gradient of U and Vh needs distinct singular values and a function that does not change
    with the signs of the columns of U and the rows of Vh.

    Args:
        A: matrices (..., M, N).
        full_matrices: whether U is (..., M, M) and Vh (..., N, N), or (..., M, K) and (..., K, N)
            with the smaller of M and N; only the latter have gradients where M and N differ.

    Raises:
        ValueError: the tensor holds no matrices, or they hold NaN or infinity.
    """
    check_flag("svd", "full_matrices", full_matrices)
    x = as_floating(A)

    def compute(a: Array) -> tuple[Array, ...]:
        return tuple(np.linalg.svd(a, full_matrices=full_matrices))

    arrays = lapack_many("svd", x, compute, square=False, iterates=True)
    if full_matrices and x.shape[-1] != x.shape[-2]:
        return SVDResult(*record_many(_svd_full_backward, arrays, (x,), (x,), materialize=False))
    saved = (OUTPUT, Output(1), Output(2))
    return SVDResult(*record_many(_svd_backward, arrays, (x,), saved, materialize=False))


@in_float32
@names_errors
def svdvals(A: Tensor) -> Tensor:
    """Return the singular values of matrices (..., M, N) in descending order."""
    x = as_floating(A)

    def compute(a: Array) -> Any:
        return np.linalg.svd(a, compute_uv=False)

    (values,) = lapack_many("svdvals", x, compute, square=False, iterates=True)
    return record(_svdvals_backward, values, (x,), (x,))


# ---- eigh ----------------------------------------------------------------------------------------


class EighResult(NamedTuple):
    """What `eigh` returns."""

    eigenvalues: Tensor
    eigenvectors: Tensor


def _eigh_backward(node: Node, dvalues: Tensor | None, dvectors: Tensor | None) -> Any:
    """dA = V (diag(dl) + (V^T dV)[i, j] / (l[j] - l[i])) V^T."""
    values, vectors = node.saved
    terms = [] if dvalues is None else [diag_embed(dvalues)]
    if dvectors is not None:
        terms.append(_over_gaps(matmul(turned(vectors), dvectors), values))
    middle = functools.reduce(add, terms)
    return (matmul(matmul(vectors, middle), turned(vectors)),)


@in_float32
@names_errors
def eigh(A: Tensor, UPLO: str = "L") -> EighResult:
    """Return the eigenvalues, ascending, and eigenvectors (columns) of symmetric (..., N, N).

    The gradient of the eigenvectors needs distinct eigenvalues and a function that does not
    change with the signs of the vectors.

    Args:
        A: the matrices.
        UPLO: which triangle is read, ``"L"`` or ``"U"``.

    Raises:
        ValueError: a matrix is not square, or ``UPLO`` is something else.
    """
    if UPLO not in ("L", "U"):
        raise ValueError(f"eigh: UPLO is {UPLO!r}, expected 'L' or 'U'")
    x = as_floating(A)

    def compute(a: Array) -> tuple[Array, ...]:
        return tuple(np.linalg.eigh(a, "U" if UPLO == "U" else "L"))

    arrays = lapack_many("eigh", x, compute, iterates=True)
    saved = (OUTPUT, Output(1))
    return EighResult(*record_many(_eigh_backward, arrays, (x,), saved, materialize=False))


@in_float32
@names_errors
def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """Return the eigenvalues, ascending, of symmetric matrices (..., N, N) (see `eigh`)."""
    return eigh(A, UPLO).eigenvalues

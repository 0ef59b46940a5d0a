# SPDX-License-Identifier: Apache-2.0
"""The largest singular values by products with random vectors, and principal components.

Halko, Martinsson and Tropp, "Finding structure with randomness" (2009), algorithms 4.4 and 5.1.
"""

from __future__ import annotations

from gradsmith.ops.elementwise import as_floating, sub
from gradsmith.ops.gemm import matmul
from gradsmith.ops.linalg_factor import qr, svd, turned
from gradsmith.ops.linalg_older import SVDResult
from gradsmith.ops.options import check_flag, check_int, names_errors
from gradsmith.ops.random import randn
from gradsmith.ops.reduce import mean
from gradsmith.tensor import Tensor


def _basis(x: Tensor, q: int, niter: int) -> Tensor:
    """Return q orthonormal columns that nearly span what the matrices (..., M, N) map to."""
    start = randn(x.shape[-1], q, dtype=x.dtype, device=x.device)
    columns = qr(matmul(x, start)).Q
    for _ in range(niter):
        columns = qr(matmul(turned(x), columns)).Q
        columns = qr(matmul(x, columns)).Q
    return columns


def _checked(op: str, A: Tensor, q: int, niter: int) -> Tensor:
    x = as_floating(A)
    if x.ndim < 2:
        raise ValueError(f"{op}: A has shape {x.shape}, expected matrices")
    if not 0 <= check_int(op, "q", q) <= min(x.shape[-2:]):
        raise ValueError(f"{op}: q is {q}, expected 0 to {min(x.shape[-2:])}, the smaller size")
    if check_int(op, "niter", niter) < 0:
        raise ValueError(f"{op}: niter is {niter}, expected >= 0")
    return x


@names_errors
def svd_lowrank(A: Tensor, q: int = 6, niter: int = 2, M: Tensor | None = None) -> SVDResult:
    """Return the q largest singular values and their vectors, nearly: ``U @ diag(S) @ V.mT``.

    Args:
        A: matrices (..., M, N).
        q: somewhat more than the rank that A is taken for.
        niter: products with A and its transpose that sharpen the result.
        M: is subtracted from A.

    Returns:
        U (..., M, q), S (..., q) and V (..., N, q).

    Raises:
        ValueError: A holds no matrices, or an option is out of range.
    """
    x = _checked("svd_lowrank", A, q, niter)
    x = x if M is None else sub(x, M)
    if x.shape[-2] < x.shape[-1]:
        v, s, u = _tall_svd(turned(x), q, niter)
        return SVDResult(u, s, v)
    return SVDResult(*_tall_svd(x, q, niter))


def _tall_svd(x: Tensor, q: int, niter: int) -> tuple[Tensor, Tensor, Tensor]:
    columns = _basis(x, q, niter)
    u, s, vh = svd(matmul(turned(columns), x), full_matrices=False)
    return matmul(columns, u), s, turned(vh)


@names_errors
def pca_lowrank(A: Tensor, q: int | None = None, center: bool = True, niter: int = 2) -> SVDResult:
    """Return the principal components of samples, nearly, by `svd_lowrank`.

    Columns of V are the principal directions, ``A @ V[:, :k]`` the samples in k of them, and
    ``S ** 2 / (m - 1)`` their variances.

    Args:
        A: m samples of n features, (..., m, n).
        q: somewhat more than the rank that A is taken for; ``min(6, m, n)`` by default.
        center: subtract the mean of each feature.
        niter: see `svd_lowrank`.

    Raises:
        ValueError: A holds no matrices, or an option is out of range.
    """
    x = as_floating(A)
    q = min(6, *x.shape[-2:]) if q is None else q
    x = _checked("pca_lowrank", x, q, niter)
    if check_flag("pca_lowrank", "center", center):
        x = sub(x, mean(x, -2, keepdim=True))
    return svd_lowrank(x, q, niter)

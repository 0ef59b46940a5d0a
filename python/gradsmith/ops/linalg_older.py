# SPDX-License-Identifier: Apache-2.0
"""Linear algebra under the names and in the conventions it has outside ``linalg``."""

from __future__ import annotations

from typing import Any, NamedTuple

from gradsmith.backend import int32, int64
from gradsmith.ops import linalg_factor, linalg_lu
from gradsmith.ops.diagonal import diagonal
from gradsmith.ops.elementwise import add, eq, ne, to, where
from gradsmith.ops.linalg_factor import QRResult, turned
from gradsmith.ops.linalg_norm import matrix_norm, vector_norm
from gradsmith.ops.linalg_solve import inv, pinv
from gradsmith.ops.options import check_flag, check_number, names_errors
from gradsmith.ops.reduce import Dim, cumprod, sum
from gradsmith.tensor import Tensor, array_of


class SVDResult(NamedTuple):
    """What `svd` returns."""

    U: Tensor
    S: Tensor
    V: Tensor


@names_errors
def svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> SVDResult:
    """Return the singular value decomposition ``U @ diag(S) @ V.mT``.

    `linalg.svd` returns V transposed.

    Args:
        input: matrices (..., M, N).
        some: False makes U and V square (see ``full_matrices`` of `linalg.svd`).
        compute_uv: False fills U and V with zeros.

    Raises:
        ValueError: the tensor holds no matrices.
    """
    check_flag("svd", "some", some)
    if check_flag("svd", "compute_uv", compute_uv):
        u, s, vh = linalg_factor.svd(input, full_matrices=not some)
        return SVDResult(u, s, turned(vh))
    s = linalg_factor.svdvals(input)
    batch, (rows, columns) = input.shape[:-2], input.shape[-2:]
    return SVDResult(s.new_zeros(*batch, rows, rows), s, s.new_zeros(*batch, columns, columns))


@names_errors
def qr(input: Tensor, some: bool = True) -> QRResult:
    """Return orthonormal columns Q and upper triangles R with ``Q @ R = input``.

    Args:
        input: matrices (..., M, N).
        some: False makes Q square (mode ``"complete"`` of `linalg.qr`).
    """
    return linalg_factor.qr(input, "reduced" if check_flag("qr", "some", some) else "complete")


@names_errors
def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """Return the pseudo-inverses of matrices (see `linalg.pinv`)."""
    return pinv(input, rcond)


@names_errors
def norm(
    input: Tensor,
    p: float | str | None = "fro",
    dim: Dim = None,
    keepdim: bool = False,
    dtype: Any = None,
) -> Tensor:
    """Return the p-norm of the elements over ``dim`` (see `vector_norm`).

    Args:
        input: any tensor.
        p: order of the norm; ``"fro"`` is 2, ``"nuc"`` the sum of the singular values of matrices.
        dim: the dimensions to reduce, all by default; two of them for ``"nuc"``.
        keepdim: keep them with size 1.
        dtype: convert to this dtype first.

    Raises:
        ValueError: ``p`` is another string, or ``"nuc"`` lacks two dimensions.
    """
    shape = array_of("norm", input).shape
    if p == "nuc":
        pair = (0, 1) if dim is None and len(shape) == 2 else dim
        if not isinstance(pair, (tuple, list)):
            raise ValueError(f"norm: dim is {dim} for shape {shape}, expected two of them")
        return matrix_norm(input, "nuc", tuple(pair), keepdim, dtype=dtype)
    if isinstance(p, str) and p != "fro":
        raise ValueError(f"norm: p is {p!r}, expected a number, 'fro' or 'nuc'")
    order = 2.0 if p is None or isinstance(p, str) else check_number("norm", "p", p)
    return vector_norm(input, order, dim, keepdim, dtype=dtype)


inverse = inv


@names_errors
def lu(A: Tensor, pivot: bool = True, get_infos: bool = False) -> Any:
    """Return factors and exchanges of rows as `linalg.lu_factor` does.

    Args:
        A: matrices (..., M, N).
        pivot: exchange rows.
        get_infos: also return for each matrix which element of U's diagonal is the first 0, from 1,
            and 0 if none is.

    Raises:
        ValueError: the tensor holds no matrices.
    """
    factors = linalg_lu.lu_factor(A, pivot=pivot)
    if not check_flag("lu", "get_infos", get_infos):
        return factors
    fine = to(ne(diagonal(factors.LU.detach(), 0, -2, -1), 0), int64)
    leading = sum(cumprod(fine, -1), -1)
    infos = where(eq(leading, fine.shape[-1]), 0, add(leading, 1))
    return (*factors, to(infos, int32))


@names_errors
def lu_solve(input: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    """Return X with ``A @ X = input``, for the A that `lu` took apart (see `linalg.lu_solve`).

    Args:
        input: (..., N, K).
        LU_data: (..., N, N).
        LU_pivots: (..., N).

    Raises:
        ValueError: A is not square or is singular, or the shapes do not match.
    """
    return linalg_lu.lu_solve(LU_data, LU_pivots, input)

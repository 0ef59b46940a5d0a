# SPDX-License-Identifier: Apache-2.0
"""What PyTorch has as ``torch.linalg``: one namespace of the functions of ``linalg_*``.

Those written out here differ from the functions of the same name on the top level.
"""

from __future__ import annotations

from gradsmith.ops import diagonal as _diagonals
from gradsmith.ops import gemm_products as _products
from gradsmith.ops import linalg_power as _powers
from gradsmith.ops.gemm import matmul as matmul
from gradsmith.ops.gemm_products import multi_dot as multi_dot
from gradsmith.ops.gemm_products import vecdot as vecdot
from gradsmith.ops.linalg_factor import cholesky as cholesky
from gradsmith.ops.linalg_factor import eigh as eigh
from gradsmith.ops.linalg_factor import eigvalsh as eigvalsh
from gradsmith.ops.linalg_factor import qr as qr
from gradsmith.ops.linalg_factor import svd as svd
from gradsmith.ops.linalg_factor import svdvals as svdvals
from gradsmith.ops.linalg_lu import lu as lu
from gradsmith.ops.linalg_lu import lu_factor as lu_factor
from gradsmith.ops.linalg_lu import lu_solve as lu_solve
from gradsmith.ops.linalg_norm import matrix_norm as matrix_norm
from gradsmith.ops.linalg_norm import norm as norm
from gradsmith.ops.linalg_norm import vector_norm as vector_norm
from gradsmith.ops.linalg_power import matrix_exp as matrix_exp
from gradsmith.ops.linalg_power import matrix_power as matrix_power
from gradsmith.ops.linalg_solve import cond as cond
from gradsmith.ops.linalg_solve import det as det
from gradsmith.ops.linalg_solve import inv as inv
from gradsmith.ops.linalg_solve import lstsq as lstsq
from gradsmith.ops.linalg_solve import matrix_rank as matrix_rank
from gradsmith.ops.linalg_solve import pinv as pinv
from gradsmith.ops.linalg_solve import slogdet as slogdet
from gradsmith.ops.linalg_solve import solve as solve
from gradsmith.ops.linalg_solve import solve_triangular as solve_triangular
from gradsmith.ops.linalg_tensor import tensorinv as tensorinv
from gradsmith.ops.linalg_tensor import tensorsolve as tensorsolve
from gradsmith.ops.shape import unsqueeze
from gradsmith.tensor import Tensor, array_of


def cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """Return the vector products along a dimension of size 3; the others broadcast."""
    return _products.cross(input, other, dim)


def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Return a read-only view of the diagonals of matrices (..., M, N), as the last dimension."""
    return _diagonals.diagonal(A, offset, dim1, dim2)


def vander(x: Tensor, *, N: int | None = None) -> Tensor:
    """Return the powers 0 to N - 1 of the elements of vectors (..., M) as columns (..., M, N)."""
    vectors = unsqueeze(x, 0) if array_of("vander", x, "x").ndim == 0 else x
    return _powers.vander(vectors, N, increasing=True)

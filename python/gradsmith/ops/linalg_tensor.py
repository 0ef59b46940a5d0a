# SPDX-License-Identifier: Apache-2.0
"""Tensors taken for matrices between groups of their dimensions: inverse and systems."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gradsmith.autograd.mode import in_float32
from gradsmith.ops.linalg_solve import inv, solve
from gradsmith.ops.options import check_int, names_errors
from gradsmith.ops.shape import movedim, reshape
from gradsmith.tensor import Tensor, array_of


@in_float32
@names_errors
def tensorinv(A: Tensor, ind: int = 2) -> Tensor:
    """Return the inverse of ``tensordot(A, X, X.ndim)``.

    Args:
        A: its first ``ind`` sizes multiply to as much as the others.
        ind: how many dimensions count as rows.

    Returns:
        A tensor of the shape ``A.shape[ind:] + A.shape[:ind]``.

    Raises:
        ValueError: ``ind`` is not positive, the sizes do not match, or A is singular.
    """
    shape = array_of("tensorinv", A, "A").shape
    if check_int("tensorinv", "ind", ind) < 1:
        raise ValueError(f"tensorinv: ind is {ind}, expected a number > 0")
    rows, columns = shape[:ind], shape[ind:]
    if math.prod(rows) != math.prod(columns):
        raise ValueError(
            f"tensorinv: A has shape {shape}, the products of {rows} and {columns} differ"
        )
    size = math.prod(rows)
    return reshape(inv(reshape(A, (size, size))), columns + rows)


@in_float32
@names_errors
def tensorsolve(A: Tensor, B: Tensor, dims: Sequence[int] | None = None) -> Tensor:
    """Return X with ``tensordot(A, X, X.ndim) = B``.

    Args:
        A: of the shape ``B.shape + X.shape``, both with as many elements.
        B: the right-hand side.
        dims: dimensions of A that are moved behind the others first.

    Raises:
        ValueError: the shapes do not match, or A is singular.
        IndexError: there is no such dimension.
    """
    a, b = array_of("tensorsolve", A, "A"), array_of("tensorsolve", B, "B")
    if dims is not None:
        A = movedim(A, tuple(dims), tuple(range(a.ndim - len(dims), a.ndim)))
    columns = A.shape[b.ndim :]
    size = b.size
    if math.prod(columns) != size or A.numel() != size * size:
        raise ValueError(f"tensorsolve: shapes {A.shape} and {b.shape} do not match")
    return reshape(solve(reshape(A, (size, size)), reshape(B, -1)), columns)

# SPDX-License-Identifier: Apache-2.0
"""Products built on `matmul`: of vectors, of chains of matrices, of Kronecker, with an addend."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

from gradsmith.ops.elementwise import mul, sub
from gradsmith.ops.gemm import (
    check_addend,
    dot,
    matmul,
    mv,
    outer,
    require_ndim,
    scaled_sum,
    tensordot,
)
from gradsmith.ops.options import names_errors
from gradsmith.ops.reduce import sum
from gradsmith.ops.shape import axis_of, broadcast_tensors, permute, reshape, unsqueeze
from gradsmith.ops.shape_copy import roll
from gradsmith.tensor import Tensor, array_of

# ---- vectors -------------------------------------------------------------------------------------


@names_errors
def vdot(input: Tensor, other: Tensor) -> Tensor:
    """Return the inner product of two vectors of equal length (numbers here are real)."""
    return dot(input, other)


@names_errors
def inner(input: Tensor, other: Tensor) -> Tensor:
    """Return the sums of products over the last dimensions, (..., K) and (***, K) -> (..., ***).

    Raises:
        ValueError: the last dimensions differ in size.
    """
    left, right = array_of("inner", input), array_of("inner", other, "other")
    if left.ndim == 0 or right.ndim == 0:
        return mul(input, other)
    if left.shape[-1] != right.shape[-1]:
        raise ValueError(
            f"inner: shapes {left.shape} and {right.shape} differ in the size of the last dimension"
        )
    return tensordot(input, other, ((-1,), (-1,)))


@names_errors
def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """Return the inner products of vectors along a dimension; the others broadcast.

    Raises:
        ValueError: the shapes do not broadcast.
        IndexError: there is no such dimension.
    """
    array_of("vecdot", x, "x")
    array_of("vecdot", y, "y")
    return sum(mul(x, y), dim)


@names_errors
def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """Return the vector products along a dimension of size 3; the others broadcast.

    Args:
        input: first operand.
        other: second operand, of as many dimensions.
        dim: the dimension; by default the first of size 3.

    Raises:
        ValueError: the shapes do not broadcast, or the dimension has another size.
        IndexError: there is no such dimension.
    """
    left, right = array_of("cross", input), array_of("cross", other, "other")
    if left.ndim != right.ndim:
        raise ValueError(
            f"cross: shapes {left.shape} and {right.shape} differ in the number of dimensions"
        )
    if dim is None:
        dim = next((d for d, size in enumerate(left.shape) if size == 3), left.ndim)
        if dim == left.ndim:
            raise ValueError(f"cross: input has shape {left.shape}, expected a dimension of size 3")
    axis = axis_of("cross", dim, left.ndim)
    if left.ndim == 0 or left.shape[axis] != 3 or right.shape[axis] != 3:
        raise ValueError(
            f"cross: shapes {left.shape} and {right.shape}, expected size 3 in dimension {dim}"
        )
    a, b = broadcast_tensors(input, other)
    ahead = mul(roll(a, -1, axis), roll(b, -2, axis))
    return sub(ahead, mul(roll(a, -2, axis), roll(b, -1, axis)))


ger = outer


# ---- products with an addend ---------------------------------------------------------------------


@names_errors
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """Return ``beta * input + alpha * (mat @ vec)``; the input broadcasts to (M).

    Raises:
        ValueError: an operand is no matrix or vector, or the shapes do not match.
    """
    check_addend("addmv", input, require_ndim("addmv", "mat", mat, 2).shape[:1])
    return scaled_sum(input, mv(mat, vec), beta, alpha)


@names_errors
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """Return ``beta * input + alpha * outer(vec1, vec2)``; the input broadcasts to (M, N).

    Raises:
        ValueError: an operand is no vector, or the shapes do not match.
    """
    product = outer(vec1, vec2)
    check_addend("addr", input, product.shape)
    return scaled_sum(input, product, beta, alpha)


@names_errors
def addbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    """Return ``beta * input + alpha * sum of batch1[b] @ batch2[b]``; the input broadcasts.

    Args:
        input: what is added, broadcasts to (M, N).
        batch1: (B, M, K).
        batch2: (B, K, N).
        beta: factor of the input; with 0, NaN in it is ignored.
        alpha: factor of the sum.

    Raises:
        ValueError: a batch is not 3-d, or the shapes do not match.
    """
    a = require_ndim("addbmm", "batch1", batch1, 3)
    b = require_ndim("addbmm", "batch2", batch2, 3)
    if (a.shape[0], a.shape[2]) != b.shape[:2]:
        raise ValueError(f"addbmm: shapes {a.shape} and {b.shape} do not match")
    check_addend("addbmm", input, (a.shape[1], b.shape[2]))
    inner_size = a.shape[0] * a.shape[2]
    # One product, over batches and columns at once.
    left = reshape(permute(batch1, (1, 0, 2)), (a.shape[1], inner_size))
    product = matmul(left, reshape(batch2, (inner_size, b.shape[2])))
    return scaled_sum(input, product, beta, alpha)


# ---- Kronecker, chains ---------------------------------------------------------------------------


@names_errors
def kron(input: Tensor, other: Tensor) -> Tensor:
    """Return Kronecker's product: blocks of ``other``, each times one element of the input.

    >>> import gradsmith as gs
    >>> gs.kron(gs.tensor([1, 10]), gs.tensor([1, 2]))
    tensor([ 1,  2, 10, 20])
    """
    left, right = array_of("kron", input), array_of("kron", other, "other")
    ndim = max(left.ndim, right.ndim)
    a_shape = (1,) * (ndim - left.ndim) + left.shape
    b_shape = (1,) * (ndim - right.ndim) + right.shape
    pairs = list(zip(a_shape, b_shape, strict=True))
    a = reshape(input, tuple(size for n, _ in pairs for size in (n, 1)))
    b = reshape(other, tuple(size for _, n in pairs for size in (1, n)))
    return reshape(mul(a, b), tuple(n * m for n, m in pairs))


@names_errors
def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """Return the product of a chain of matrices in the order that takes the fewest operations.

    Args:
        tensors: two matrices or more; the first may be a row (N), the last a column (N).

    Raises:
        ValueError: there are fewer, or the shapes do not match.
    """
    chain = list(tensors)
    if len(chain) < 2:
        raise ValueError(f"multi_dot: got {len(chain)} tensors, expected two or more")
    first, last = chain[0], chain[-1]
    if array_of("multi_dot", first, "tensors[0]").ndim == 1:
        chain[0] = unsqueeze(first, 0)
    if array_of("multi_dot", last, f"tensors[{len(chain) - 1}]").ndim == 1:
        chain[-1] = unsqueeze(last, 1)
    sizes: list[int] = []
    for i, each in enumerate(chain):
        shape = require_ndim("multi_dot", f"tensors[{i}]", each, 2).shape
        if sizes and sizes[-1] != shape[0]:
            raise ValueError(
                f"multi_dot: tensors[{i}] has shape {shape}, expected {sizes[-1]} rows"
            )
        sizes += shape if not sizes else shape[1:]
    product = _chain_product(chain, tuple(sizes))
    shape = first.shape[: first.ndim - 1] + last.shape[1:]
    return product if product.shape == shape else reshape(product, shape)


def _chain_product(chain: list[Tensor], sizes: tuple[int, ...]) -> Tensor:
    """Return the product of matrices of sizes[i] rows and sizes[i + 1] columns."""

    @functools.cache
    def best(start: int, end: int) -> tuple[float, int]:
        """Return the operations of matrices start ... end, and the last before the cut."""
        if start == end:
            return 0, start
        return min(
            (
                best(start, cut)[0]
                + best(cut + 1, end)[0]
                + math.prod((sizes[start], sizes[cut + 1], sizes[end + 1])),
                cut,
            )
            for cut in range(start, end)
        )

    def product(start: int, end: int) -> Tensor:
        if start == end:
            return chain[start]
        cut = best(start, end)[1]
        return matmul(product(start, cut), product(cut + 1, end))

    return product(0, len(chain) - 1)


@names_errors
def chain_matmul(*matrices: Tensor) -> Tensor:
    """Return the product of a chain of matrices (see `linalg.multi_dot`)."""
    if len(matrices) == 1:
        array_of("chain_matmul", matrices[0], "matrices")
        return matrices[0].clone()
    return multi_dot(matrices)

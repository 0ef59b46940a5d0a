# SPDX-License-Identifier: Apache-2.0
"""Diagonals of matrices, as views and written into new ones, and triangles."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from gradsmith.autograd import Node, record
from gradsmith.backend import EXTENSIONS, Array, like
from gradsmith.ops.elementwise import where
from gradsmith.ops.options import check_int, names_errors
from gradsmith.ops.reduce import sum
from gradsmith.ops.shape import _view, axis_of, reshape
from gradsmith.tensor import Tensor, array_of, wrap

# NumPy's diagonal() counts in 32 bits and does not check that it can.
_MOST_OFFSET = 2**31 - 1


def _offset(op: str, argument: str, value: int, limit: int) -> int:
    """Return the offset of a diagonal; all beyond ``limit`` are equally empty."""
    limit = min(limit, _MOST_OFFSET)
    return max(-limit, min(check_int(op, argument, value), limit))


def _two_axes(op: str, dim1: int, dim2: int, ndim: int) -> tuple[int, int]:
    first, second = axis_of(op, dim1, ndim), axis_of(op, dim2, ndim)
    if first == second:
        raise ValueError(f"{op}: dim1 and dim2 are both dimension {first}")
    return first, second


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
    first, second = _two_axes("diagonal", dim1, dim2, array.ndim)
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
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Return matrices whose diagonals are the last dimension: (..., N) -> (..., N, N).

    Args:
        input: at least 1-d.
        offset: 0 for the main diagonal, positive above it, negative below.
        dim1: dimension of the result that holds the rows.
        dim2: dimension of the result that holds the columns.

    Raises:
        ValueError: the tensor has no dimension, or the dimensions are the same.
        IndexError: there is no such dimension.
    """
    array = array_of("diag_embed", input)
    if array.ndim == 0:
        raise ValueError("diag_embed: the tensor has no dimension")
    if builtins.abs(check_int("diag_embed", "offset", offset)) > _MOST_OFFSET:
        raise MemoryError(
            f"diag_embed: offset is {offset}, which makes matrices larger than memory"
        )
    first, second = _two_axes("diag_embed", dim1, dim2, array.ndim + 1)
    shape = list(array.shape[:-1])
    for axis in sorted((first, second)):
        shape.insert(axis, array.shape[-1] + builtins.abs(offset))
    return _on_diagonal(input, tuple(shape), offset, first, second)


@names_errors
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """Return the square matrix with all elements of the tensor on a diagonal."""
    return diag_embed(reshape(input, -1), offset)


@names_errors
def diagonal_scatter(
    input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Tensor:
    """Return a copy with ``src`` written on a diagonal (see `diagonal`).

    Raises:
        ValueError: ``src`` does not have the shape of the diagonal.
        TypeError: the dtypes differ.
    """
    array, source = array_of("diagonal_scatter", input), array_of("diagonal_scatter", src, "src")
    place = diagonal(input.detach(), offset, dim1, dim2)
    if source.shape != place.shape or source.dtype != array.dtype:
        raise (ValueError if source.dtype == array.dtype else TypeError)(
            f"diagonal_scatter: src is {source.dtype} of shape {source.shape}, expected "
            f"{array.dtype} of shape {place.shape}"
        )
    offset = _offset("diagonal_scatter", "offset", offset, max(array.shape))
    first, second = _two_axes("diagonal_scatter", dim1, dim2, array.ndim)
    ones = wrap(EXTENSIONS[type(array)].full(source.shape, True, np.dtype(np.bool_)))
    hit = _on_diagonal(ones, array.shape, offset, first, second)
    return where(hit, _on_diagonal(src, array.shape, offset, first, second), input)


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

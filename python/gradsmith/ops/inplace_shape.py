# SPDX-License-Identifier: Apache-2.0
"""Changes of a tensor's shape in place: it becomes another view of its memory.

What saved the tensor for its gradient would see the new shape, so these count as changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gradsmith.backend import Array, like
from gradsmith.ops import shape
from gradsmith.ops.indexing_mask import masked_fill
from gradsmith.ops.inplace import change, is_recorded, rebase
from gradsmith.ops.options import check_flag, names_errors
from gradsmith.tensor import Tensor, array_of, wrap


def _become(op: str, input: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Let ``input`` become the view that the function gives of it."""
    recorded = is_recorded(op, input)
    same = wrap(input._array)
    if recorded:
        same.requires_grad = True
        same._node, same._index = input._node, input._index
    result = function(same)
    input._array = result._array
    if recorded:
        rebase(input, result)
    else:
        input._bump()
    return input


@names_errors
def unsqueeze_(input: Tensor, dim: int) -> Tensor:
    """Insert a dimension of size 1 in place (see `unsqueeze`)."""
    return _become("unsqueeze_", input, lambda x: shape.unsqueeze(x, dim))


@names_errors
def squeeze_(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """Drop dimensions of size 1 in place (see `squeeze`)."""
    return _become("squeeze_", input, lambda x: shape.squeeze(x, dim))


@names_errors
def t_(input: Tensor) -> Tensor:
    """Transpose a matrix in place (see `t`)."""
    return _become("t_", input, shape.t)


@names_errors
def transpose_(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Exchange two dimensions in place (see `transpose`)."""
    return _become("transpose_", input, lambda x: shape.transpose(x, dim0, dim1))


@names_errors
def swapaxes_(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """Exchange two dimensions in place (see `transpose`)."""
    return transpose_(input, axis0, axis1)


swapdims_ = transpose_


def _diagonal_mask(array: Array, wraps: bool) -> Tensor:
    """Return where the main diagonal is; ``wraps`` lets it begin again below a tall matrix."""
    mask = np.zeros(array.shape, bool)
    step = 1 + sum(int(np.prod(array.shape[d:])) for d in range(1, array.ndim))
    end = None if wraps and array.ndim == 2 else int(np.prod(array.shape[1:])) * array.shape[-1]
    mask.reshape(-1)[:end:step] = True
    return wrap(like(mask, array))


@names_errors
def fill_diagonal_(input: Tensor, fill_value: float, wrap: bool = False) -> Tensor:
    """Write a number on the main diagonal in place.

    Args:
        input: a matrix, or a tensor of equal sizes.
        fill_value: the number.
        wrap: go on after a row without a diagonal element, below a matrix that is tall.

    Raises:
        ValueError: there are less than two dimensions, or the sizes of more differ.
    """
    array = array_of("fill_diagonal_", input)
    if array.ndim < 2 or (array.ndim > 2 and len(set(array.shape)) > 1):
        raise ValueError(
            f"fill_diagonal_: got shape {array.shape}, expected a matrix or equal sizes"
        )
    mask = _diagonal_mask(array, check_flag("fill_diagonal_", "wrap", wrap))
    return change("fill_diagonal_", input, (fill_value,), lambda x, v: masked_fill(x, mask, v))

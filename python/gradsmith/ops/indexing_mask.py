# SPDX-License-Identifier: Apache-2.0
"""Reading and writing where a mask is True."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradsmith.backend import Array, bool_, broadcast_to
from gradsmith.ops.elementwise import to, where
from gradsmith.ops.indexing import check_same_dtype, number_of
from gradsmith.ops.indexing_items import getitem, setitem
from gradsmith.ops.options import names_errors
from gradsmith.ops.shape import expand, reshape
from gradsmith.ops.shape_copy import clone
from gradsmith.tensor import Tensor, array_of, wrap


def check_mask(op: str, mask: Any) -> Array:
    """Return the array of a bool tensor.

    Raises:
        TypeError: it is something else.
    """
    array = array_of(op, mask, "mask")
    if array.dtype != bool_:
        raise TypeError(f"{op}: mask is {array.dtype}, expected bool")
    return array


@names_errors
def masked_fill(input: Tensor, mask: Tensor, value: Tensor | float) -> Tensor:
    """Return ``value`` (a number or 0-d tensor) where the bool ``mask``, else the input.

    Raises:
        TypeError: the mask is not bool, or the value no number.
        ValueError: the shapes do not broadcast, or the dtype cannot hold the value.
    """
    array = array_of("masked_fill", input)
    check_mask("masked_fill", mask)
    if isinstance(value, Tensor) and value.requires_grad:
        if value.ndim:
            raise ValueError(f"masked_fill: value has shape {value.shape}, expected a 0-d tensor")
        return where(mask, to(value, array.dtype), input)
    return where(mask, number_of("masked_fill", value, array.dtype), input)


def _common_shape(op: str, array: Array, mask: Array) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(array.shape, mask.shape)
    except ValueError:
        raise ValueError(
            f"{op}: input of shape {array.shape} and mask of shape {mask.shape} do not broadcast"
        ) from None


@names_errors
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """Return the elements where the bool ``mask``, in one dimension; the two broadcast.

    Raises:
        TypeError: the mask is not bool.
        ValueError: the shapes do not broadcast.
    """
    array = array_of("masked_select", input)
    chosen = check_mask("masked_select", mask)
    shape = _common_shape("masked_select", array, chosen)
    return getitem(expand(input, shape), wrap(broadcast_to(chosen, shape)))


@names_errors
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """Return a copy whose elements where the bool ``mask`` are those of ``source``, in their order.

    Args:
        input: any tensor; it and the mask broadcast.
        mask: where to write.
        source: at least as many elements as the mask has True ones, of the input's dtype.

    Raises:
        TypeError: the mask is not bool, or the dtypes differ.
        ValueError: the shapes do not broadcast, or ``source`` has too few elements.

    >>> import gradsmith as gs
    >>> x = gs.tensor([1, 2, 3])
    >>> gs.masked_scatter(x, x != 2, gs.tensor([7, 8]))
    tensor([7, 2, 8])
    """
    array = array_of("masked_scatter", input)
    chosen = check_mask("masked_scatter", mask)
    given = array_of("masked_scatter", source, "source")
    check_same_dtype("masked_scatter", array, given, "source")
    shape = _common_shape("masked_scatter", array, chosen)
    where_true = wrap(broadcast_to(chosen, shape))
    count = int(where_true.sum())
    if given.size < count:
        raise ValueError(
            f"masked_scatter: source has {given.size} elements, expected at least {count}"
        )
    out = clone(expand(input, shape))
    setitem(out, where_true, getitem(reshape(source, -1), slice(count)))
    return out

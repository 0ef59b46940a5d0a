# SPDX-License-Identifier: Apache-2.0
"""Pieces of a tensor as views of its memory: split, chunk, unbind, narrow, select."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradsmith.autograd import Node, record_many
from gradsmith.ops.indexing_items import getitem
from gradsmith.ops.options import check_int, names_errors
from gradsmith.ops.shape import axis_of, sizes
from gradsmith.tensor import Tensor, array_of


def along(axis: int, key: Any) -> tuple[Any, ...]:
    """Return the index that applies ``key`` to one dimension."""
    return (*(slice(None),) * axis, key)


def _views(
    backward: Any, arrays: Sequence[Any], base: Tensor, saved: tuple[Any, ...]
) -> tuple[Tensor, ...]:
    """Record results that share the base's memory, and its count of in-place changes."""
    outs = record_many(backward, arrays, (base,), saved)
    version = base._shared_version()
    for out in outs:
        out._version = version
        out._view_of = version.rebased
    return outs


def _split_backward(node: Node, *dys: Tensor) -> Any:
    from gradsmith.ops.joining import cat

    (axis,) = node.saved
    return (cat(dys, axis),)


@names_errors
def split(tensor: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0) -> Any:
    """Return views of consecutive pieces of ``dim``, as a tuple.

    Args:
        tensor: tensor of at least one dimension.
        split_size_or_sections: size of every piece (the last may be smaller), or all sizes.
        dim: the dimension to cut.

    Raises:
        ValueError: the sizes do not add up to that of ``dim``, or one is negative.
        IndexError: there is no such dimension.
    """
    array = array_of("split", tensor, "tensor")
    axis = axis_of("split", dim, array.ndim)
    if array.ndim == 0:
        raise ValueError("split: the tensor has no dimension to cut")
    length = array.shape[axis]
    if isinstance(split_size_or_sections, (int, np.integer)):
        step = int(split_size_or_sections)
        if step < 0 or (step == 0 and length > 0):
            raise ValueError(f"split: split_size is {step}, expected a positive size")
        sections = [min(step, length - at) for at in range(0, length, max(step, 1))] or [0]
    else:
        sections = list(sizes("split", (split_size_or_sections,)))
        if any(size < 0 for size in sections) or sum(sections) != length:
            raise ValueError(
                f"split: sections {sections} do not add up to the size {length} of dim {dim}"
            )
    ends = list(itertools.accumulate(sections))
    pieces = [
        array[along(axis, slice(end - size, end))] for size, end in zip(sections, ends, strict=True)
    ]
    return _views(_split_backward, pieces, tensor, (axis,))


@names_errors
def chunk(input: Tensor, chunks: int, dim: int = 0) -> Any:
    """Return at most ``chunks`` views of equal pieces of ``dim`` (the last may be smaller).

    Raises:
        ValueError: ``chunks`` is not positive.
        IndexError: there is no such dimension.
    """
    if check_int("chunk", "chunks", chunks) < 1:
        raise ValueError(f"chunk: chunks is {chunks}, expected a positive number")
    array = array_of("chunk", input)
    axis = axis_of("chunk", dim, array.ndim)
    length = array.shape[axis] if array.ndim else 0
    return split(input, max(-(-length // chunks), 1), axis)


def _unbind_backward(node: Node, *dys: Tensor) -> Any:
    from gradsmith.ops.joining import stack

    (axis,) = node.saved
    return (stack(dys, axis),)


def unbind(input: Tensor, dim: int = 0) -> Any:
    """Return views of the slices along ``dim``, which is dropped, as a tuple.

    Raises:
        ValueError: the tensor has no dimension.
        IndexError: there is no such dimension.
    """
    array = array_of("unbind", input)
    axis = axis_of("unbind", dim, array.ndim)
    if array.ndim == 0:
        raise ValueError("unbind: the tensor has no dimension to take apart")
    if array.shape[axis] == 0:
        return ()
    # A full index would give NumPy's scalars for a 1-d tensor; the ellipsis keeps arrays.
    slices = [array[(*along(axis, i), ...)] for i in range(array.shape[axis])]
    return _views(_unbind_backward, slices, input, (axis,))


@names_errors
def narrow(input: Tensor, dim: int, start: int | Tensor, length: int) -> Tensor:
    """Return the view of ``length`` positions of ``dim`` from ``start`` on.

    Raises:
        IndexError: there is no such dimension, or the positions leave it.
    """
    array = array_of("narrow", input)
    axis = axis_of("narrow", dim, array.ndim)
    size = array.shape[axis] if array.ndim else 0
    if isinstance(start, Tensor) and start.ndim == 0:
        start = start.item()
    start = check_int("narrow", "start", start)
    check_int("narrow", "length", length)
    first = start + size if start < 0 else start
    if not 0 <= first <= first + length <= size:
        raise IndexError(
            f"narrow: start {start} with length {length} leaves dim {dim} of size {size}"
        )
    return getitem(input, along(axis, slice(first, first + length)))


@names_errors
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """Return the view of one slice along ``dim``, which is dropped.

    Raises:
        IndexError: there is no such dimension or slice.
    """
    array = array_of("select", input)
    axis = axis_of("select", dim, array.ndim)
    size = array.shape[axis] if array.ndim else 0
    if not -size <= check_int("select", "index", index) < size:
        raise IndexError(f"select: index {index} is out of range for dim {dim} of size {size}")
    return getitem(input, along(axis, int(index)))


# ---- by NumPy's rules ----------------------------------------------------------------------------


@names_errors
def tensor_split(
    input: Tensor, indices_or_sections: int | Sequence[int] | Tensor, dim: int = 0
) -> Any:
    """Return views of consecutive pieces of ``dim``, as a tuple.

    Args:
        input: tensor of at least one dimension.
        indices_or_sections: the number of pieces, the first ones longer by one where the size does
            not divide; or the positions between pieces, a list or 1-d tensor.
        dim: the dimension to cut.

    Raises:
        ValueError: the number of pieces is not positive, or the tensor has no dimension.
        IndexError: there is no such dimension.

    >>> import gradsmith as gs
    >>> gs.tensor_split(gs.arange(5), 2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    array = array_of("tensor_split", input)
    axis = axis_of("tensor_split", dim, array.ndim)
    if array.ndim == 0:
        raise ValueError("tensor_split: the tensor has no dimension to cut")
    if isinstance(indices_or_sections, Tensor):
        indices_or_sections = indices_or_sections.tolist()
    length = array.shape[axis]
    if isinstance(indices_or_sections, (int, np.integer)):
        count = check_int("tensor_split", "indices_or_sections", indices_or_sections)
        if count < 1:
            raise ValueError(f"tensor_split: {count} pieces, expected a positive number")
        small, longer = divmod(length, count)
        return split(input, [small + 1] * longer + [small] * (count - longer), axis)
    cuts = [0, *sizes("tensor_split", (tuple(indices_or_sections),)), None]
    pieces = [slice(start, end) for start, end in itertools.pairwise(cuts)]
    return tuple(getitem(input, along(axis, piece)) for piece in pieces)


def _split_along(op: str, input: Tensor, pieces: Any, dim: int, ndim: int) -> Any:
    """Split as NumPy's function of that name: a number of pieces has to divide the size."""
    array = array_of(op, input)
    if array.ndim < ndim:
        raise ValueError(f"{op}: input has shape {array.shape}, expected {ndim} dimensions or more")
    if isinstance(pieces, (int, np.integer)) and (pieces < 1 or array.shape[dim] % pieces):
        raise ValueError(f"{op}: {pieces} pieces of dim {dim} of size {array.shape[dim]}")
    return tensor_split(input, pieces, dim)


@names_errors
def hsplit(input: Tensor, indices_or_sections: int | Sequence[int]) -> Any:
    """Return pieces of dimension 1 (0 of a vector), equal ones or between positions.

    Raises:
        ValueError: the tensor has no dimension, or its size does not divide.
    """
    dim = 0 if array_of("hsplit", input).ndim == 1 else 1
    return _split_along("hsplit", input, indices_or_sections, dim, 1)


@names_errors
def vsplit(input: Tensor, indices_or_sections: int | Sequence[int]) -> Any:
    """Return pieces of dimension 0, equal ones or between positions.

    Raises:
        ValueError: the tensor has fewer than two dimensions, or its size does not divide.
    """
    return _split_along("vsplit", input, indices_or_sections, 0, 2)


@names_errors
def dsplit(input: Tensor, indices_or_sections: int | Sequence[int]) -> Any:
    """Return pieces of dimension 2, equal ones or between positions.

    Raises:
        ValueError: the tensor has fewer than three dimensions, or its size does not divide.
    """
    return _split_along("dsplit", input, indices_or_sections, 2, 3)

# SPDX-License-Identifier: Apache-2.0
"""Copies of a tensor with something written at an index; in place they are in `inplace_indexing`.

Where an index occurs twice the last write stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradsmith.autograd.mode import cast_together
from gradsmith.backend import EXTENSIONS, bool_, on_host
from gradsmith.ops.elementwise import add, to, where
from gradsmith.ops.indexing import check_same_dtype, index_tensor, number_of
from gradsmith.ops.indexing_items import Plan, getitem, parse, setitem, spread_at
from gradsmith.ops.options import check_flag, names_errors
from gradsmith.ops.shape import axis_of, expand, reshape
from gradsmith.ops.shape_copy import clone
from gradsmith.ops.shape_pieces import along
from gradsmith.tensor import Tensor, array_of, wrap


def place_of(op: str, indices: Any) -> tuple[Any, ...]:
    """Return the index that a tuple of tensors stands for, in which None takes all.

    Raises:
        TypeError: it is no sequence.
    """
    if not isinstance(indices, (tuple, list)):
        raise TypeError(f"{op}: indices is a {type(indices).__name__}, expected a tuple of tensors")
    return tuple(slice(None) if each is None else each for each in indices)


@names_errors
def index_put(
    input: Tensor, indices: Sequence[Tensor | None], values: Tensor, accumulate: bool = False
) -> Tensor:
    """Return a copy with ``values`` written at, or added to, ``input[indices]``.

    Args:
        input: any tensor.
        indices: tensors of integers or masks, None for a whole dimension.
        values: what to write, of the input's dtype; broadcasts to ``input[indices]``.
        accumulate: whether to add, equal indices one after the other.

    Raises:
        IndexError: an index is out of range.
        TypeError, ValueError: dtype or shape of the values do not fit.

    >>> import gradsmith as gs
    >>> gs.index_put(gs.zeros(3), (gs.tensor([0, 0, 2]),), gs.ones(3), accumulate=True)
    tensor([2., 0., 1.])
    """
    input, values = cast_together(input, values)
    array = array_of("index_put", input)
    check_same_dtype("index_put", array, array_of("index_put", values, "values"), "values")
    index = place_of("index_put", indices)
    if not check_flag("index_put", "accumulate", accumulate):
        out = clone(input)
        setitem(out, index, values)
        return out
    place = parse("index_put", array, index)
    shape = place.shapes(place.target(array))[0] if isinstance(place, Plan) else array[place].shape
    return add(input, spread_at(expand(values, shape), array.shape, place))


@names_errors
def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """Return a copy with ``source`` written at, or added to, places of the flattened input.

    Args:
        input: any tensor.
        index: integers of any shape.
        source: as many elements as the index, of the input's dtype.
        accumulate: whether to add.

    Raises:
        IndexError: an index is out of range.
        TypeError, ValueError: the dtypes or numbers of elements differ.
    """
    ids = index_tensor("put", index)
    given = array_of("put", source, "source")
    if given.size != ids.numel():
        raise ValueError(f"put: source has {given.size} elements, the index {ids.numel()}")
    flat = index_put(
        reshape(input, -1), (reshape(ids, -1),), reshape(source, -1), accumulate=accumulate
    )
    return reshape(flat, input.shape)


def _slices(op: str, input: Tensor, dim: int, index: Tensor) -> tuple[int, Tensor, tuple[Any, ...]]:
    """Return dimension, positions and the index of the slices an op writes to."""
    array = array_of(op, input)
    axis = axis_of(op, dim, array.ndim)
    ids = index_tensor(op, index)
    if ids.ndim > 1:
        raise ValueError(f"{op}: index has shape {ids.shape}, expected one dimension")
    flat = reshape(ids, -1)
    return axis, flat, along(axis, flat)


@names_errors
def index_fill(input: Tensor, dim: int, index: Tensor, value: Tensor | float) -> Tensor:
    """Return a copy whose slices at ``index`` along ``dim`` hold a number.

    Args:
        input: any tensor.
        dim: dimension in which the index counts.
        index: integers, one dimension.
        value: a number or 0-d tensor.

    Raises:
        IndexError: an index or ``dim`` is out of range.
        ValueError: the index or the value has more dimensions, or does not fit the dtype.
    """
    axis, ids, _ = _slices("index_fill", input, dim, index)
    if isinstance(value, Tensor):
        if value.ndim:
            raise ValueError(f"index_fill: value has shape {value.shape}, expected a 0-d tensor")
        value = to(value, input.dtype)
    else:
        value = number_of("index_fill", value, input.dtype)
    # A mask, so that a slice named twice counts once in the gradient of the value.
    hit = wrap(EXTENSIONS[type(input._array)].zeros(input.shape[axis : axis + 1] or (1,), bool_))
    setitem(hit, (ids,), True)
    shape = (-1, *(1,) * (input.ndim - axis - 1)) if input.ndim else ()
    return where(reshape(hit, shape), value, input)


def slices_to_write(
    op: str, input: Tensor, dim: int, index: Tensor, source: Tensor
) -> tuple[int, Tensor, tuple[Any, ...]]:
    """Return dimension, positions and the index of the slices that ``source`` is written to.

    Raises:
        IndexError: a position is out of range, negative ones too.
        TypeError, ValueError: dtype or shape of source or index do not fit.
    """
    axis, ids, place = _slices(op, input, dim, index)
    given = array_of(op, source, "source")
    check_same_dtype(op, input._array, given, "source")
    positions = on_host(ids._array)
    size = input.shape[axis] if input.ndim else 1
    if ((positions < 0) | (positions >= size)).any():
        raise IndexError(
            f"{op}: index goes from {positions.min()} to {positions.max()}, expected "
            f"0 to {size - 1} for dim {dim}"
        )
    shape = (*input.shape[:axis], ids.numel(), *input.shape[axis + 1 :])
    if given.shape != shape and not (input.ndim == given.ndim == 0 and ids.numel() == 1):
        raise ValueError(f"{op}: source has shape {given.shape}, expected {shape}")
    return axis, ids, place


@names_errors
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """Return a copy whose slice index[k] along ``dim`` is slice k of ``source``.

    Args:
        input: any tensor.
        dim: dimension in which the index counts.
        index: integers, one dimension.
        source: the input's shape, but in ``dim`` the length of the index; the input's dtype.

    Raises:
        IndexError: an index or ``dim`` is out of range.
        TypeError, ValueError: dtype or shape of source or index do not fit.
    """
    _, _, place = slices_to_write("index_copy", input, dim, index, source)
    out = clone(reshape(input, (1,)) if input.ndim == 0 else input)
    setitem(out, place, source)
    return reshape(out, input.shape)


def _written(op: str, input: Tensor, place: tuple[Any, ...], src: Tensor) -> Tensor:
    """Return a copy with ``src``, which has the shape and dtype of the place, written there."""
    given = array_of(op, src, "src")
    check_same_dtype(op, input._array, given, "src")
    shape = getitem(input.detach(), place).shape
    if given.shape != shape:
        raise ValueError(f"{op}: src has shape {given.shape}, expected {shape}")
    out = clone(input)
    setitem(out, place, src)
    return out


@names_errors
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """Return a copy with ``src`` written on one slice along ``dim`` (see `select`).

    Raises:
        IndexError: there is no such dimension or slice.
        TypeError, ValueError: ``src`` has not the dtype or shape of the slice.
    """
    axis = axis_of("select_scatter", dim, array_of("select_scatter", input).ndim)
    return _written("select_scatter", input, along(axis, index), src)


@names_errors
def slice_scatter(
    input: Tensor,
    src: Tensor,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Tensor:
    """Return a copy with ``src`` written on every ``step``-th slice along ``dim``.

    Raises:
        IndexError: there is no such dimension.
        TypeError, ValueError: ``src`` has not the dtype or shape of the slices.
    """
    axis = axis_of("slice_scatter", dim, array_of("slice_scatter", input).ndim)
    return _written("slice_scatter", input, along(axis, slice(start, end, step)), src)

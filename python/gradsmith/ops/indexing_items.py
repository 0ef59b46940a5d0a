# SPDX-License-Identifier: Apache-2.0
"""Brackets: ``x[index]`` and ``x[index] = value`` with everything NumPy allows.

Integers, slices, None and Ellipsis give a view. Once an index holds a list, array, integer tensor
or mask, the result is a copy: a `Plan` turns the index into one list of positions per indexed
dimension, which the kernels take.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import EllipsisType
from typing import Any, TypeAlias

import numpy as np

from gradsmith.autograd import Node, record
from gradsmith.backend import (
    EXTENSIONS,
    Array,
    DType,
    broadcast_to,
    is_array,
    library_for,
    like,
    may_share_memory,
)
from gradsmith.ops.indexing import accumulated, number_of
from gradsmith.ops.options import names_errors
from gradsmith.ops.shape import _view
from gradsmith.tensor import Tensor, as_array, wrap

Basic: TypeAlias = tuple[Any, ...]  # ints, slices, None and one Ellipsis
_PLAIN = frozenset({int, slice, EllipsisType, type(None)})
_ALL = slice(None)


@dataclass(frozen=True, slots=True)
class Plan:
    """An index with arrays in it.

    ``array[basic].transpose(order)`` has the indexed dimensions side by side from ``dim`` on, one
    for each array of ``positions``; they become the dimensions ``batch``.
    """

    basic: Basic
    order: tuple[int, ...] | None
    dim: int
    positions: tuple[Array, ...]
    batch: tuple[int, ...]

    def target(self, array: Array) -> Array:
        """Return the view of ``array`` that the positions index."""
        view = array[self.basic]
        return view if self.order is None else view.transpose(self.order)

    def shapes(self, target: Array) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the shape of the result, and that of the rows the kernels see."""
        before = target.shape[: self.dim]
        after = target.shape[self.dim + len(self.positions) :]
        return (*before, *self.batch, *after), (*before, self.positions[0].size, *after)


# ---- from the index to basic indexing or a plan --------------------------------------------------


def parse(op: str, array: Array, index: Any) -> Basic | Plan:
    """Return what an index means for this array.

    Raises:
        IndexError: it has too many dimensions, more than one Ellipsis, a mask of another shape, or
            something that is no index.
    """
    given = index if type(index) is tuple else (index,)
    if all(type(item) in _PLAIN for item in given):
        items = list(given)
    else:
        items = [_item(op, item) for item in given]
    ellipses = sum(item is Ellipsis for item in items)
    if ellipses > 1:
        raise IndexError(f"{op}: the index holds {ellipses} Ellipsis (...), at most one is allowed")
    if ellipses == 0:
        items.append(Ellipsis)
    shape = array.shape
    used = sum(_dimensions(item) for item in items)
    if used > len(shape):
        raise IndexError(
            f"{op}: the index has {used} dimensions, the tensor of shape {shape} has {len(shape)}"
        )
    if any(is_array(item) for item in items):
        return _plan(op, array, items, len(shape) - used)
    return tuple(items)


def _item(op: str, item: Any) -> Any:
    """Return an item of an index as an int, slice, None, Ellipsis, int64 array or bool array."""
    if type(item) in _PLAIN:
        if isinstance(item, int) and not -(2**63) <= item < 2**63:
            raise IndexError(f"{op}: index {item} is out of range")
        return item
    if isinstance(item, (bool, np.bool_)):
        return np.asarray(item)
    if isinstance(item, Tensor):
        array = library_for(item._array)[1]
    elif isinstance(item, (np.ndarray, np.integer, list, tuple)):
        array = _array_of_items(op, item)
    elif is_array(item):
        array = item
    elif hasattr(type(item), "__index__"):
        return item.__index__()
    else:
        array = np.asarray(0.0)
    if array.dtype.kind not in "iub":
        kind = f"{array.dtype} " if array.ndim else ""
        raise IndexError(
            f"{op}: the index holds a {kind}{type(item).__name__}, expected integers, slices, "
            "None, Ellipsis, bool masks, or lists and tensors of integers"
        )
    if array.dtype.kind == "b":
        return array
    # astype() copies: the index may change before the backward pass reads it.
    return int(array) if array.ndim == 0 else array.astype(np.int64)


def _array_of_items(op: str, item: Any) -> Array:
    if isinstance(item, (list, tuple)):
        item = [each.tolist() if isinstance(each, Tensor) else each for each in item]
    try:
        array = np.asarray(item)
    except ValueError:
        raise IndexError(f"{op}: the index holds a ragged list") from None
    return array.astype(np.int64) if array.size == 0 and isinstance(item, list) else array


def _dimensions(item: Any) -> int:
    """Return how many dimensions of the tensor an item of an index takes up."""
    if item is None or item is Ellipsis:
        return 0
    return item.ndim if is_array(item) and item.dtype == np.bool_ else 1


def _plan(op: str, array: Array, items: list[Any], missing: int) -> Plan:
    shape = array.shape
    basic: list[Any] = []
    indexed: list[tuple[int, Array]] = []  # dimension of the view, positions in it
    places: list[int] = []  # which items are arrays; integers beside arrays count as such
    dim = 0
    for place, item in enumerate(items):
        if item is None:
            basic.append(None)
        elif item is Ellipsis:
            basic += [_ALL] * missing
            dim += missing
        elif isinstance(item, slice):
            basic.append(item)
            dim += 1
        else:
            places.append(place)
            arrays = _positions(op, shape, item, dim)
            indexed += [(len(basic) + i, each) for i, each in enumerate(arrays)]
            takes = _dimensions(item)
            basic += [_ALL] * takes or [None]
            dim += takes
    dims = [each for each, _ in indexed]
    library = library_for(array)[0]
    try:
        broadcast = library.broadcast_arrays(*(library.asarray(each) for _, each in indexed))
    except ValueError:
        shapes = ", ".join(str(each.shape) for _, each in indexed)
        raise IndexError(f"{op}: index arrays of shapes {shapes} do not broadcast") from None
    positions = tuple(
        like(library.ascontiguousarray(each).reshape(-1), array) for each in broadcast
    )
    side_by_side = places[-1] - places[0] == len(places) - 1
    if side_by_side:
        return Plan(tuple(basic), None, dims[0], positions, broadcast[0].shape)
    order = (*dims, *(d for d in range(len(basic)) if d not in dims))
    return Plan(tuple(basic), order, 0, positions, broadcast[0].shape)


def _positions(op: str, shape: tuple[int, ...], item: Any, dim: int) -> tuple[Array, ...]:
    """Return the positions an integer, integer array or mask means, per dimension."""
    if isinstance(item, int):
        return (np.asarray(item, dtype=np.int64),)
    if item.dtype != np.bool_:
        return (item,)
    if item.ndim == 0:
        return (np.zeros(int(item), dtype=np.int64),)
    if item.shape != shape[dim : dim + item.ndim]:
        raise IndexError(
            f"{op}: a mask has shape {item.shape}, expected {shape[dim : dim + item.ndim]} "
            f"(the tensor has shape {shape})"
        )
    return tuple(EXTENSIONS[type(item)].true_places(item))


def _basic_part(op: str, array: Array, basic: Basic) -> Array:
    try:
        part: Array = array[basic]
    except (IndexError, OverflowError) as error:
        raise IndexError(f"{op}: {error} (the tensor has shape {array.shape})") from None
    return part


# ---- reading -------------------------------------------------------------------------------------


def getitem(input: Tensor, index: Any) -> Tensor:
    """Return ``input[index]``: a view, or a copy if the index holds arrays, lists or masks.

    Dimensions come out where NumPy puts them.

    Raises:
        IndexError: an index is out of range, or no index.
    """
    array = input._array
    given = index if type(index) is tuple else (index,)
    if not _PLAIN.issuperset(map(type, given)) or Ellipsis in given:
        return _read("getitem", input, parse("getitem", array, index))
    basic = (*given, Ellipsis)  # without which NumPy gives scalars
    try:
        part: Array = array[basic]
    except (IndexError, OverflowError):
        return _read("getitem", input, parse("getitem", array, index))  # which says what is wrong
    return _view(_getitem_backward, part, input, (array.shape, basic))


def _read(op: str, input: Tensor, place: Basic | Plan) -> Tensor:
    array = input._array
    if not isinstance(place, Plan):
        part = _basic_part(op, array, place)
        return _view(_getitem_backward, part, input, (array.shape, place))
    target = place.target(array)
    shape, _ = place.shapes(target)
    rows = EXTENSIONS[type(array)].index_get(target, place.dim, list(place.positions), True, op)
    return record(_getitem_backward, rows.reshape(shape), (input,), (array.shape, place))


def _getitem_backward(node: Node, dy: Tensor) -> Any:
    shape, place = node.saved
    return (spread_at(dy, shape, place),)


def _spread_backward(node: Node, dy: Tensor) -> Any:
    (place,) = node.saved
    return (_read("getitem", dy, place),)


def spread_at(dy: Tensor, shape: tuple[int, ...], place: Basic | Plan) -> Tensor:
    """Return zeros of ``shape`` with ``dy`` added at ``place``: the transpose of reading there."""
    rows = dy._array
    extension = EXTENSIONS[type(rows)]
    if not isinstance(place, Plan):
        out = extension.zeros(shape, rows.dtype, rows)
        extension.copy(out[place], rows)
        return record(_spread_backward, out, (dy,), (place,))
    out = extension.zeros(shape, rows.dtype)

    def add(array: Array, dtype: DType) -> None:
        target = place.target(array)
        values = extension.contiguous(extension.cast(rows, dtype))
        values = values.reshape(place.shapes(target)[1])
        positions = list(place.positions)
        extension.index_add(target, place.dim, positions, values, 1.0, True, "getitem")

    return record(_spread_backward, accumulated(out, add), (dy,), (place,))


# ---- writing -------------------------------------------------------------------------------------


@names_errors
def setitem(input: Tensor, index: Any, value: Any) -> None:
    """Write ``value`` (a tensor, number, array or list that broadcasts) to ``input[index]``.

    The value takes the tensor's dtype. On the tape this is an in-place change with its rules: see
    `inplace`. Where an index occurs twice the last write stays.

    Raises:
        IndexError: an index is out of range; nothing is written then.
        ValueError: the value does not broadcast to the place, or a number does not fit the dtype.
        RuntimeError: the change cannot be recorded.
    """
    assign("setitem", input, parse("setitem", input._array, index), value)


def assign(op: str, input: Tensor, place: Basic | Plan, value: Any) -> None:
    """Write ``value`` to the place that `parse` found (see `setitem`)."""
    from gradsmith.ops.inplace import is_recorded, rebase

    recorded = is_recorded(op, input, value)
    source = value if isinstance(value, Tensor) else wrap(_values(op, value, input._array))
    _write(op, input._array, place, source._array)
    if not recorded:
        input._bump()
        return
    saved = (place, source.shape, source.dtype)
    rebase(input, record(_setitem_backward, input._array, (input, source), saved))


def _values(op: str, value: Any, target: Array) -> Array:
    if isinstance(value, (bool, int, float, np.generic)):
        number = number_of(op, value, target.dtype)
        filled: Array = EXTENSIONS[type(target)].full((), number, target.dtype)
        return filled
    return like(as_array(value), target)


def _write(op: str, array: Array, place: Basic | Plan, source: Array) -> None:
    extension = EXTENSIONS[type(array)]
    if not isinstance(place, Plan):
        part = _basic_part(op, array, place)
        extension.copy(part, _fitted(op, source, part.shape, part))
        return
    target = place.target(array)
    shape, row_shape = place.shapes(target)
    values = extension.cast(_fitted(op, source, shape, array), array.dtype)
    rows = extension.contiguous(broadcast_to(values, shape)).reshape(row_shape)
    extension.index_put(target, place.dim, list(place.positions), rows, True, op)


def _fitted(op: str, source: Array, shape: tuple[int, ...], target: Array) -> Array:
    """Return ``source`` without needless leading dimensions, and apart from the memory written."""
    extra = source.ndim - len(shape)
    wanted = source.shape
    if extra > 0 and all(size == 1 for size in wanted[:extra]):
        source = source.reshape(wanted[extra:])
    pairs = zip(reversed(source.shape), reversed(shape), strict=False)
    if source.ndim > len(shape) or any(a not in (1, b) for a, b in pairs):
        raise ValueError(f"{op}: a value of shape {wanted} does not fit into shape {shape}")
    if may_share_memory(source, target):
        copy: Array = EXTENSIONS[type(source)].copy_of(source)
        return copy
    return source


def _setitem_backward(node: Node, dy: Tensor) -> Any:
    from gradsmith.ops.elementwise import to
    from gradsmith.ops.reduce import sum_to
    from gradsmith.ops.shape import reshape

    place, shape, dtype = node.saved
    dx = _cleared(dy, place) if node.needs(0) else None
    dvalue = None
    if node.needs(1):
        part = _read("setitem", dy, place)
        extra = max(len(shape) - part.ndim, 0)
        dvalue = to(reshape(sum_to(part, shape[extra:]), shape), dtype)
    return dx, dvalue


def _cleared_backward(node: Node, dy: Tensor) -> Any:
    (place,) = node.saved
    return (_cleared(dy, place),)


def _cleared(x: Tensor, place: Basic | Plan) -> Tensor:
    """Return a copy of ``x`` with zeros at ``place``."""
    extension = EXTENSIONS[type(x._array)]
    out = extension.copy_of(x._array)
    _write("setitem", out, place, extension.zeros((), out.dtype))
    return record(_cleared_backward, out, (x,), (place,))

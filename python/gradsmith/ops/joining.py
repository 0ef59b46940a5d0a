# SPDX-License-Identifier: Apache-2.0
"""Joining tensors: cat, stack and what is built on them."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradsmith.autograd import Node, record
from gradsmith.backend import EXTENSIONS, DType, like
from gradsmith.ops.creation import empty
from gradsmith.ops.elementwise import to
from gradsmith.ops.indexing import take
from gradsmith.ops.options import check_flag, check_int, names_errors
from gradsmith.ops.shape import (
    atleast_1d,
    atleast_2d,
    atleast_3d,
    axis_of,
    expand,
    reshape,
)
from gradsmith.ops.shape_copy import pad
from gradsmith.ops.shape_pieces import split, unbind
from gradsmith.tensor import Tensor, array_of, wrap


def _common_dtype(arrays: Sequence[Any]) -> DType:
    """Return the dtype all arrays promote to, as an elementwise sum of them would have."""
    dtypes = list(dict.fromkeys(array.dtype for array in arrays))
    return functools.reduce(_promoted, dtypes)


def _promoted(first: DType, second: DType) -> DType:
    from gradsmith.ops.elementwise import add

    dtype: DType = add(wrap(np.zeros(1, first)), wrap(np.zeros(1, second))).dtype
    return dtype


def _sequence(name: str, tensors: Sequence[Tensor]) -> list[Tensor]:
    given = list(tensors)
    if not given:
        raise ValueError(f"{name}: got no tensors")
    arrays = [array_of(name, each, f"tensors[{i}]") for i, each in enumerate(given)]
    dtype = _common_dtype(arrays)
    return [to(each, dtype) for each in given]


def _cat_backward(node: Node, dy: Tensor) -> Any:
    sections, axis = node.saved
    return split(dy, sections, axis)


@names_errors
def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Return the tensors one after the other along ``dim``; types promote.

    Raises:
        ValueError: there is none, or sizes differ in another dimension.
        IndexError: there is no such dimension.
    """
    given = _sequence("cat", tensors)
    # An empty vector fits beside every shape, as the start of a loop that collects tensors.
    given = [each for each in given if each.shape != (0,)] or given
    first = given[0]._array
    if first.ndim == 0:
        raise ValueError("cat: tensors[0] has no dimension (stack joins 0-d tensors)")
    axis = axis_of("cat", dim, first.ndim)
    for i, each in enumerate(given):
        shape = each._array.shape
        rest = (*first.shape[:axis], *shape[axis : axis + 1], *first.shape[axis + 1 :])
        if shape != rest:
            raise ValueError(
                f"cat: tensors[{i}] has shape {shape}, expected {first.shape} but for dim {dim}"
            )
    sections = [each._array.shape[axis] for each in given]
    extension = EXTENSIONS[type(first)]
    shape = (*first.shape[:axis], sum(sections), *first.shape[axis + 1 :])
    largest = max((each._array for each in given), key=lambda array: array.size)
    result = extension.empty(shape, first.dtype, largest)
    at = 0
    for each, size in zip(given, sections, strict=True):
        extension.copy(result[(*(slice(None),) * axis, slice(at, at + size))], each._array)
        at += size
    return record(_cat_backward, result, tuple(given), (sections, axis))


concat = cat
concatenate = cat


def _stack_backward(node: Node, dy: Tensor) -> Any:
    (axis,) = node.saved
    return unbind(dy, axis)


@names_errors
def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Return the tensors, all of one shape, side by side along a new dimension ``dim``.

    Raises:
        ValueError: there is none, or shapes differ.
        IndexError: there is no such dimension.
    """
    given = _sequence("stack", tensors)
    first = given[0]._array
    axis = axis_of("stack", dim, first.ndim + 1)
    for i, each in enumerate(given):
        if each._array.shape != first.shape:
            raise ValueError(
                f"stack: tensors[{i}] has shape {each._array.shape}, expected {first.shape}"
            )
    extension = EXTENSIONS[type(first)]
    shape = (*first.shape[:axis], len(given), *first.shape[axis:])
    result = extension.empty(shape, first.dtype)
    for i, each in enumerate(given):
        extension.copy(result[(*(slice(None),) * axis, i, ...)], each._array)
    return record(_stack_backward, result, tuple(given), (axis,))


@names_errors
def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Return the tensors joined along dimension 1 (0 for 1-d ones)."""
    given = [atleast_1d(each) for each in _sequence("hstack", tensors)]
    return cat(given, 0 if given[0].ndim == 1 else 1)


@names_errors
def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Return the tensors joined along dimension 0; 1-d ones count as rows."""
    return cat([atleast_2d(each) for each in _sequence("vstack", tensors)], 0)


row_stack = vstack


@names_errors
def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """Return the tensors joined along dimension 2; (N) counts as (1, N, 1), (M, N) as (M, N, 1)."""
    return cat([atleast_3d(each) for each in _sequence("dstack", tensors)], 2)


@names_errors
def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Return the tensors joined along dimension 1; 0-d and 1-d ones count as columns."""
    given = _sequence("column_stack", tensors)
    return cat([reshape(each, (-1, 1)) if each.ndim < 2 else each for each in given], 1)


@names_errors
def block_diag(*tensors: Tensor) -> Tensor:
    """Return the matrix with the tensors as blocks on its diagonal; vectors count as rows.

    Raises:
        ValueError: a tensor has more than two dimensions.

    >>> import gradsmith as gs
    >>> gs.block_diag(gs.tensor([[1, 2]]), gs.tensor(3))
    tensor([[1, 2, 0],
            [0, 0, 3]])
    """
    given = [atleast_2d(each) for each in _sequence("block_diag", tensors)] if tensors else []
    for i, each in enumerate(given):
        if each.ndim > 2:
            raise ValueError(f"block_diag: tensors[{i}] has shape {each.shape}, expected 2-d")
    width = sum(each.shape[1] for each in given)
    rows, before = [], 0
    for each in given:
        after = width - before - each.shape[1]
        rows.append(pad(each, (before, after)))
        before += each.shape[1]
    return cat(rows, 0) if rows else empty(1, 0)


@names_errors
def cartesian_prod(*tensors: Tensor) -> Tensor:
    """Return all choices of one element of each 1-d tensor, as rows; of one tensor itself.

    Raises:
        ValueError: there is none, or a tensor is not 1-d.
    """
    given = _sequence("cartesian_prod", tensors)
    for i, each in enumerate(given):
        if each.ndim != 1:
            raise ValueError(f"cartesian_prod: tensors[{i}] has shape {each.shape}, expected 1-d")
    if len(given) == 1:
        return given[0]
    return stack([reshape(each, -1) for each in meshgrid(*given)], 1)


@names_errors
def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """Return all choices of r elements of a 1-d tensor, in the order of itertools, as rows.

    Args:
        input: 1-d tensor.
        r: how many elements.
        with_replacement: whether an element may be chosen again.

    Raises:
        ValueError: the tensor is not 1-d, or r is negative.

    >>> import gradsmith as gs
    >>> gs.combinations(gs.tensor([1, 2, 3]))
    tensor([[1, 2],
            [1, 3],
            [2, 3]])
    """
    array = array_of("combinations", input)
    if array.ndim != 1 or check_int("combinations", "r", r) < 0:
        raise ValueError(
            f"combinations: input has shape {array.shape} and r is {r}, expected a 1-d tensor and "
            "a number >= 0"
        )
    if r == 0:
        return input[:0]
    check_flag("combinations", "with_replacement", with_replacement)
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    places = np.array(list(choose(range(array.size), r)), dtype=np.int64).reshape(-1, r)
    return take(input, wrap(like(places, array)))


@names_errors
def meshgrid(*tensors: Tensor, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Return for each 1-d tensor its values over the grid that all of them span.

    Args:
        tensors: 1-d or 0-d tensors, or one sequence of them.
        indexing: ``"ij"``, or ``"xy"`` for a grid whose first two dimensions are exchanged.

    Raises:
        ValueError: a tensor has more dimensions, or ``indexing`` is unknown.
    """
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    if indexing not in ("ij", "xy"):
        raise ValueError(f"meshgrid: indexing is {indexing!r}, expected 'ij' or 'xy'")
    for i, each in enumerate(tensors):
        if array_of("meshgrid", each, f"tensors[{i}]").ndim > 1:
            raise ValueError(f"meshgrid: tensors[{i}] has shape {each.shape}, expected 1-d")
    order = list(range(len(tensors)))
    if indexing == "xy" and len(tensors) > 1:
        order[:2] = [1, 0]
    shape = tuple(tensors[i].numel() for i in order)
    grids = []
    for i, each in enumerate(tensors):
        place = tuple(each.numel() if d == order.index(i) else 1 for d in range(len(tensors)))
        grids.append(expand(reshape(each, place), shape))
    return tuple(grids)

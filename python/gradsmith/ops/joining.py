# SPDX-License-Identifier: Apache-2.0
"""Joining tensors: cat, stack and what is built on them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradsmith.autograd import Node, record
from gradsmith.backend import EXTENSIONS, DType
from gradsmith.ops.elementwise import to
from gradsmith.ops.options import names_errors
from gradsmith.ops.shape import (
    atleast_1d,
    atleast_2d,
    axis_of,
    expand,
    reshape,
)
from gradsmith.ops.shape_pieces import split, unbind
from gradsmith.tensor import Tensor, array_of


def _common_dtype(arrays: Sequence[Any]) -> DType:
    """Return the dtype all arrays promote to, as an elementwise sum of them would have."""
    dtypes = list(dict.fromkeys(array.dtype for array in arrays))
    return functools.reduce(_promoted, dtypes)


def _promoted(first: DType, second: DType) -> DType:
    from gradsmith.ops.elementwise import add
    from gradsmith.tensor import wrap

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
    result = extension.empty(shape, first.dtype)
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


@names_errors
def meshgrid(*tensors: Tensor, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Return for each 1-d tensor its values over the grid that all of them span.

    Args:
        tensors: 1-d or 0-d tensors.
        indexing: ``"ij"``, or ``"xy"`` for a grid whose first two dimensions are exchanged.

    Raises:
        ValueError: a tensor has more dimensions, or ``indexing`` is unknown.
    """
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

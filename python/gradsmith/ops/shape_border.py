# SPDX-License-Identifier: Apache-2.0
"""Padding with a tensor's own elements: one copy of the inside, then a small one of each border.

Borders are filled dimension after dimension, each over what earlier ones filled, so corners come
by themselves. The gradient takes the way back: the borders of the last dimension are folded first.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gradsmith.autograd import Node, record
from gradsmith.backend import EXTENSIONS, Array
from gradsmith.tensor import Tensor


class Border(NamedTuple):
    """How many elements to put before and after an axis; not negative."""

    axis: int
    before: int
    after: int


def _along(axis: int, key: slice) -> tuple[slice, ...]:
    return (*(slice(None),) * axis, key)


def _inside(array: Array, border: Border) -> Array:
    """Return the view of a padded array without this border."""
    axis, before, after = border
    return array[_along(axis, slice(before, array.shape[axis] - after))]


def _pairs(mode: str, size: int, border: Border) -> list[tuple[slice, slice]]:
    """Return each side's place in the padded axis, and in the inside where its elements are."""
    _, before, after = border
    first, last = slice(0, before), slice(before + size, before + size + after)
    if mode == "replicate":
        sources = slice(0, 1), slice(size - 1, size)
    elif mode == "circular":
        sources = slice(size - before, size), slice(0, after)
    else:
        stop = size - 2 - after
        sources = slice(before, 0, -1), slice(size - 2, stop if stop >= 0 else None, -1)
    sides = ((before, first, sources[0]), (after, last, sources[1]))
    return [(target, source) for count, target, source in sides if count]


def _padded(array: Array, mode: str, borders: tuple[Border, ...]) -> Array:
    extension = EXTENSIONS[type(array)]
    shape = list(array.shape)
    for axis, before, after in borders:
        shape[axis] += before + after
    out: Array = extension.empty(tuple(shape), array.dtype)
    region = out
    regions = []
    for border in reversed(borders):
        regions.append(region)
        region = _inside(region, border)
    extension.copy(region, array)
    for border, region in zip(borders, reversed(regions), strict=True):
        inside = _inside(region, border)
        for target, source in _pairs(mode, array.shape[border.axis], border):
            extension.copy(region[_along(border.axis, target)], inside[_along(border.axis, source)])
    return out


def _folded(array: Array, mode: str, borders: tuple[Border, ...]) -> Array:
    """Return the inside in memory of its own, with each border added where it came from."""
    extension = EXTENSIONS[type(array)]
    out: Array
    if not borders:
        out = extension.copy_of(array)
        return out
    *rest, border = borders
    axis, inner = border.axis, tuple(rest)
    out = _folded(_inside(array, border), mode, inner)
    for target, source in _pairs(mode, out.shape[axis], border):
        piece = _folded(array[_along(axis, target)], mode, inner)
        if mode == "replicate":
            piece = extension.sum(piece, (axis,), True)
        place = out[_along(axis, source)]
        extension.add(place, piece, 0.0, 0.0, place)
    return out


def _fold_backward(node: Node, ddx: Tensor) -> Any:
    mode, borders = node.saved
    return (bordered(ddx, mode, borders),)


def _bordered_backward(node: Node, dy: Tensor) -> Any:
    mode, borders = node.saved
    array = _folded(dy._array, mode, borders)
    return (record(_fold_backward, array, (dy,), (mode, borders)),)


def bordered(input: Tensor, mode: str, borders: tuple[Border, ...]) -> Tensor:
    """Return the tensor with borders by ``"reflect"``, ``"replicate"`` or ``"circular"``.

    Each axis occurs once, and its borders are no larger than the mode allows.
    """
    array = _padded(input._array, mode, borders)
    return record(_bordered_backward, array, (input,), (mode, borders))

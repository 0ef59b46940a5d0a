# SPDX-License-Identifier: Apache-2.0
"""Views with strides of one's own: windows along a dimension, and any strides at all.

Where elements occur several times the view is read-only, and their gradients add up.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradsmith.autograd import Node
from gradsmith.backend import CUDA, Array, device_of, like
from gradsmith.ops.indexing import index_add, zeros
from gradsmith.ops.options import check_int, names_errors
from gradsmith.ops.shape import _view, axis_of, flatten, movedim, permute, reshape, sizes
from gradsmith.tensor import Tensor, array_of, wrap


def _strided(array: Array, shape: tuple[int, ...], strides: tuple[int, ...]) -> Array:
    """Return a view of an array's memory from its first element on; strides in bytes.

    Who calls it has made sure that it stays within the memory.
    """
    read_only = _overlaps(shape, strides)
    if device_of(array) is CUDA:
        tricks = importlib.import_module("cupy.lib.stride_tricks")
        view: Array = tricks.as_strided(array, shape, strides)
        return view
    host = np.lib.stride_tricks.as_strided(
        array.view(np.ndarray), shape, strides, writeable=array.flags.writeable and not read_only
    )
    return host if type(array) is np.ndarray else host.view(type(array))


def _overlaps(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether elements may share memory: a stride does not step over what lies within."""
    reach = 0
    for step, size in sorted((abs(s), n) for s, n in zip(strides, shape, strict=True) if n > 1):
        if step <= reach:
            return True
        reach += step * (size - 1)
    return False


# ---- windows -------------------------------------------------------------------------------------


def _unfold_backward(node: Node, dy: Tensor) -> Any:
    shape, axis, size, step = node.saved
    positions = np.arange(dy.shape[axis])[:, None] * step + np.arange(size)
    ids = wrap(like(positions.reshape(-1), dy._array))
    rows = flatten(movedim(dy, -1, axis + 1), axis, axis + 1)
    return (index_add(zeros(shape, dy), axis, ids, rows),)


@names_errors
def unfold(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Return the windows of ``size`` elements along a dimension, ``step`` apart, as a view.

    The windows' elements are the new last dimension; the dimension itself counts windows.

    Raises:
        IndexError: there is no such dimension.
        ValueError: the size is negative or larger than the dimension, or the step not positive.

    >>> import gradsmith as gs
    >>> gs.arange(5).unfold(0, 3, 1)
    tensor([[0, 1, 2],
            [1, 2, 3],
            [2, 3, 4]])
    """
    array = array_of("unfold", input)
    axis = axis_of("unfold", dimension, array.ndim)
    length = array.shape[axis] if array.ndim else 1
    if not 0 <= check_int("unfold", "size", size) <= length:
        raise ValueError(f"unfold: size is {size}, expected 0 to {length} for dim {dimension}")
    if check_int("unfold", "step", step) < 1:
        raise ValueError(f"unfold: step is {step}, expected a number > 0")
    if array.ndim == 0:
        return reshape(input, (1,))[:size]
    count = (length - size) // step + 1
    shape = (*array.shape[:axis], count, *array.shape[axis + 1 :], size)
    stride = array.strides[axis]
    strides = (*array.strides[:axis], stride * step, *array.strides[axis + 1 :], stride)
    saved = (array.shape, axis, size, step)
    return _view(_unfold_backward, _strided(array, shape, strides), input, saved)


# ---- any strides ---------------------------------------------------------------------------------


def _positions(size: tuple[int, ...], stride: tuple[int, ...], offset: int) -> Array:
    places = np.full(size, offset, np.int64)
    for axis, (count, step) in enumerate(zip(size, stride, strict=True)):
        along = [1] * len(size)
        along[axis] = count
        places += (np.arange(count) * step).reshape(along)
    return places


def _as_strided_backward(node: Node, dy: Tensor) -> Any:
    shape, size, stride, offset = node.saved
    ids = wrap(like(_positions(size, stride, offset).reshape(-1), dy._array))
    flat = index_add(zeros((math.prod(shape),), dy), 0, ids, reshape(dy, -1))
    return (reshape(flat, shape),)


@names_errors
def as_strided(
    input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Tensor:
    """Return a view of the tensor's memory with a shape and strides of one's own.

    Args:
        input: a tensor whose elements lie side by side in memory, in any order of dimensions.
        size: the shape.
        stride: for each dimension the distance of neighbours, in elements.
        storage_offset: where the first element lies, in elements from the tensor's own first.

    Raises:
        ValueError: an element would lie outside of the tensor's memory, a size or stride is
            negative, or the tensor's elements do not lie side by side.

    >>> import gradsmith as gs
    >>> gs.arange(6).as_strided((2, 3), (2, 1))
    tensor([[0, 1, 2],
            [2, 3, 4]])
    """
    array = array_of("as_strided", input)
    shape, steps = sizes("as_strided", (tuple(size),)), sizes("as_strided", (tuple(stride),))
    offset = check_int("as_strided", "storage_offset", storage_offset or 0)
    if len(shape) != len(steps) or min((*shape, *steps, offset), default=0) < 0:
        raise ValueError(
            f"as_strided: size is {shape}, stride {steps} and storage_offset {offset}, expected "
            "numbers >= 0, one stride for each size"
        )
    if not array.flags.c_contiguous:
        order = sorted(range(array.ndim), key=lambda d: -array.strides[d])
        if not array.transpose(order).flags.c_contiguous:
            raise ValueError(
                f"as_strided: the elements of shape {array.shape} and strides {input.stride()} do "
                "not lie side by side; use contiguous()"
            )
        return as_strided(permute(input, tuple(order)), shape, steps, offset)
    last = offset + sum((n - 1) * step for n, step in zip(shape, steps, strict=True))
    if math.prod(shape) and last >= array.size:
        raise ValueError(
            f"as_strided: size {shape}, stride {steps} and storage_offset {offset} reach element "
            f"{last} of {array.size}"
        )
    start = array.reshape(-1)[min(offset, array.size) :]
    strides = tuple(step * array.itemsize for step in steps)
    saved = (array.shape, shape, steps, offset)
    return _view(_as_strided_backward, _strided(start, shape, strides), input, saved)

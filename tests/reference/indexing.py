# SPDX-License-Identifier: Apache-2.0
"""Reading and writing by index.

In gather, scatter and scatter_add, index has the rank of x, its size may be smaller than that of
x on every axis but `axis`, and element (i, j, ...) of index addresses x at (i, j, ...) with the
coordinate on `axis` replaced by the index. src has the shape of index (larger: its leading part).
Where scatter meets an index twice the last write stays, while its backward gives every writer
the gradient of the place, as in PyTorch.
"""

from typing import Any

import numpy as np

from . import Array, Ids, Mask
from .elementwise import sum_to


def _grid(index: Ids, axis: int) -> tuple[Ids, ...]:
    """Coordinates of the elements of x that `index` addresses."""
    grid: list[Ids] = list(np.ogrid[tuple(slice(n) for n in index.shape)])
    grid[axis] = index
    return tuple(grid)


def _along(axis: int, index: Ids, ndim: int) -> tuple[Any, ...]:
    """x[:, ..., index, ...] with index on `axis`."""
    return *(slice(None) for _ in range(axis % ndim)), index, ...


def _leading(src: Array, shape: tuple[int, ...]) -> Array:
    return src[tuple(slice(n) for n in shape)]


def gather(x: Array, axis: int, index: Ids) -> Array:
    return x[_grid(index, axis)]


def gather_backward(dy: Array, x: Array, axis: int, index: Ids) -> Array:
    return scatter_add(np.zeros_like(x), axis, index, dy)


def take_along(x: Array, index: Ids, axis: int) -> Array:
    """gather after broadcasting x and index against each other on every axis but `axis`."""
    return np.take_along_axis(x, index, axis)


def take_along_backward(dy: Array, x: Array, index: Ids, axis: int) -> Array:
    axis = axis % x.ndim
    shape, index_shape = list(dy.shape), list(dy.shape)
    shape[axis], index_shape[axis] = x.shape[axis], index.shape[axis]
    dx = scatter_add(np.zeros(shape), axis, np.broadcast_to(index, index_shape), dy)
    return dx if dx.shape == x.shape else _sum_stretched(dx, x, axis)


def _sum_stretched(dx: Array, x: Array, axis: int) -> Array:
    stretched = tuple(i for i in range(x.ndim) if x.shape[i] == 1 and i != axis)
    return np.sum(dx, axis=stretched, keepdims=True)


def scatter(x: Array, axis: int, index: Ids, src: Array | float) -> Array:
    """A copy of x with src (an array or one number) written at the indices."""
    y = x.copy()
    y[_grid(index, axis)] = _leading(src, index.shape) if isinstance(src, np.ndarray) else src
    return y


def scatter_backward(dy: Array, x: Array, axis: int, index: Ids) -> tuple[Array, Array]:
    """Returns dx, dsrc (unused where src was a number)."""
    return scatter(dy, axis, index, 0.0), gather(dy, axis, index)


def scatter_add(x: Array, axis: int, index: Ids, src: Array) -> Array:
    y = x.copy()
    np.add.at(y, _grid(index, axis), _leading(src, index.shape))
    return y


def scatter_add_backward(dy: Array, x: Array, axis: int, index: Ids) -> tuple[Array, Array]:
    """Returns dx, dsrc."""
    return dy.copy(), gather(dy, axis, index)


def index_select(x: Array, axis: int, index: Ids) -> Array:
    """index (K): whole slices of x along axis."""
    return x[_along(axis, index, x.ndim)]


def index_select_backward(dy: Array, x: Array, axis: int, index: Ids) -> Array:
    return index_add(np.zeros_like(x), axis, index, dy)


def index_add(x: Array, axis: int, index: Ids, src: Array, alpha: float = 1.0) -> Array:
    """A copy of x with alpha * src added, slice k of src on slice index[k] of x."""
    y = x.copy()
    np.add.at(y, _along(axis, index, x.ndim), alpha * src)
    return y


def index_add_backward(
    dy: Array, x: Array, axis: int, index: Ids, alpha: float = 1.0
) -> tuple[Array, Array]:
    """Returns dx, dsrc."""
    return dy.copy(), alpha * index_select(dy, axis, index)


def masked_fill(x: Array, mask: Mask, value: float) -> Array:
    """value where mask is True, else x; both broadcast."""
    return np.where(mask, value, x)


def masked_fill_backward(dy: Array, x: Array, mask: Mask) -> tuple[Array, Array]:
    """Returns dx, dvalue (a 0-d array)."""
    return sum_to(np.where(mask, 0, dy), x.shape), np.asarray(np.sum(np.where(mask, dy, 0)))


REDUCE = {
    "sum": np.add.reduce,
    "prod": np.multiply.reduce,
    "mean": np.mean,
    "amax": np.maximum.reduce,
    "amin": np.minimum.reduce,
}


def index_reduce(
    x: Array, axis: int, index: Ids, src: Array, how: str, include_self: bool = True
) -> Array:
    """A copy of x whose slice t is reduced with all slices k of src that have index[k] = t."""
    y = np.moveaxis(x.copy(), axis, 0)
    source = np.moveaxis(src, axis, 0)
    for t in np.unique(index):
        values = list(source[index == t])
        y[t] = REDUCE[how](np.stack([y[t], *values] if include_self else values), axis=0)
    return np.moveaxis(y, 0, axis)


def scatter_reduce(
    x: Array, axis: int, index: Ids, src: Array, how: str, include_self: bool = True
) -> Array:
    """As index_reduce, for the single elements that index addresses as in scatter."""
    targets = np.arange(x.size).reshape(x.shape)[_grid(index, axis)].reshape(-1)
    values = _leading(src, index.shape).reshape(-1)
    return index_reduce(x.reshape(-1), 0, targets, values, how, include_self).reshape(x.shape)


def index_put(x: Array, place: Any, values: Array, accumulate: bool = False) -> Array:
    """A copy of x with values written to, or added to, x[place]."""
    y = x.copy()
    if accumulate:
        np.add.at(y, place, values)
    else:
        y[place] = values
    return y


def masked_scatter(x: Array, mask: Mask, source: Array) -> Array:
    """A copy whose elements where mask is True are the first of source, in order."""
    y = x.copy()
    y[mask] = source.reshape(-1)[: np.count_nonzero(mask)]
    return y

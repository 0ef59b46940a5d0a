# SPDX-License-Identifier: Apache-2.0
"""Sums, means and maxima over bags of rows that are looked up in a table."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from gradsmith.autograd import Node, record
from gradsmith.backend import EXTENSIONS, FLOATING, Array, like, on_host
from gradsmith.ops.elementwise import mul, where
from gradsmith.ops.embedding import check_dense, embedding, embedding_gradient, scale_down
from gradsmith.ops.indexing import index_add, index_select, index_tensor, zeros
from gradsmith.ops.options import check_flag, check_int, names_errors
from gradsmith.ops.reduce import max as maximum_along
from gradsmith.ops.shape import reshape, unsqueeze
from gradsmith.tensor import Tensor, array_of, wrap

_NAME = "embedding_bag"


class _Bags(NamedTuple):
    """Which places of the flat input are looked up (None: all), and where each bag starts there."""

    places: Array | None
    starts: Array  # (bags + 1)

    def sizes(self) -> Array:
        return np.diff(self.starts)

    def numbers(self) -> Array:
        """Return the bag of each place."""
        return np.repeat(np.arange(len(self.starts) - 1), self.sizes())


def _bag_starts(offsets: Tensor, count: int, include_last_offset: bool) -> Array:
    starts = on_host(index_tensor(_NAME, offsets, "offsets")._array)
    if starts.ndim != 1 or not starts.size:
        raise ValueError(f"{_NAME}: offsets has shape {starts.shape}, expected (bags,)")
    if starts[0] != 0 or (np.diff(starts) < 0).any() or starts[-1] > count:
        raise ValueError(
            f"{_NAME}: offsets is {starts.tolist()}, expected rising places from 0 to at most "
            f"{count}, the size of input"
        )
    if include_last_offset and starts[-1] != count:
        raise ValueError(
            f"{_NAME}: the last of offsets is {starts[-1]}, expected {count}, the size of input"
        )
    return starts[:-1] if include_last_offset else starts


def _bags(
    ids: Tensor, offsets: Tensor | None, include_last_offset: bool, padding_idx: int | None
) -> _Bags:
    """Return the bags of the input, places with the padding id left out."""
    shape = ids._array.shape
    if len(shape) == 2:
        if offsets is not None:
            raise ValueError(f"{_NAME}: offsets is given, expected None with input (bags, size)")
        starts = np.arange(shape[0] + 1) * shape[1]
    elif len(shape) == 1:
        if offsets is None:
            raise ValueError(f"{_NAME}: offsets is None, expected the start of each bag")
        starts = np.append(_bag_starts(offsets, shape[0], include_last_offset), shape[0])
    else:
        raise ValueError(f"{_NAME}: input has shape {shape}, expected 1 or 2 dimensions")
    if padding_idx is None:
        return _Bags(None, starts)
    counts = on_host(ids._array).reshape(-1) != padding_idx
    return _Bags(np.flatnonzero(counts), np.append(0, np.cumsum(counts))[starts])


def _largest(rows: Tensor, bags: _Bags) -> Tensor:
    """Return the maxima over the bags, which follow each other in the rows; 0 for an empty one."""
    sizes = bags.sizes()
    order = np.arange(int(sizes.max(initial=0)))
    places = np.minimum(bags.starts[:-1, None] + order, max(len(rows) - 1, 0))
    valid = wrap(like((order < sizes[:, None])[..., None], rows._array))
    chosen = index_select(rows, 0, wrap(like(places.reshape(-1), rows._array)))
    by_bag = reshape(chosen, (*places.shape, rows.shape[1]))
    largest = maximum_along(where(valid, by_bag, -math.inf), 1).values
    return where(wrap(like(sizes[:, None] > 0, rows._array)), largest, 0.0)


def _shares(bags: _Bags, like_this: Tensor) -> Tensor:
    """Return how much a row counts in the mean of its bag, (bags, 1)."""
    shares = 1 / np.maximum(bags.sizes(), 1)[:, None]
    return wrap(like(shares.astype(like_this.dtype), like_this._array))


def _embedding_bag_backward(node: Node, dy: Tensor) -> Any:
    ids, rows, bags, is_mean, by_frequency = node.saved
    shares = mul(dy, _shares(bags, dy)) if is_mean else dy
    dy_of_ids = index_select(shares, 0, wrap(like(bags.numbers(), dy._array)))
    return (embedding_gradient(dy_of_ids, ids, rows, -1, by_frequency),)


def _added(ids: Tensor, weight: Tensor, bags: _Bags, is_mean: bool, by_frequency: bool) -> Tensor:
    """Return the sum or the mean of the rows of each bag of the flat ids."""
    table = weight._array
    starts = like(bags.starts, table)
    y = EXTENSIONS[type(table)].embedding_bags(table, ids._array, starts, is_mean)
    saved = (ids, table.shape[0], bags, is_mean, by_frequency)
    return record(_embedding_bag_backward, y, (weight,), saved)


def _check_options(
    ids: Tensor, weight: Tensor, mode: str, by_frequency: bool, per_sample_weights: Tensor | None
) -> None:
    if mode not in ("sum", "mean", "max"):
        raise ValueError(f"{_NAME}: mode is {mode!r}, expected 'sum', 'mean' or 'max'")
    if mode == "max" and by_frequency:
        raise ValueError(f"{_NAME}: scale_grad_by_freq is True, expected False with mode 'max'")
    if per_sample_weights is None:
        return
    given = array_of(_NAME, per_sample_weights, "per_sample_weights")
    if mode != "sum":
        raise ValueError(f"{_NAME}: per_sample_weights are given, expected None with mode {mode!r}")
    if given.shape != ids.shape:
        raise ValueError(
            f"{_NAME}: per_sample_weights has shape {given.shape}, expected {ids.shape} as input"
        )
    if given.dtype not in FLOATING or given.dtype != weight.dtype:
        raise TypeError(f"{_NAME}: per_sample_weights is {given.dtype}, expected {weight.dtype}")


@names_errors
def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """Return the sum, mean or maximum of the rows of ``weight`` in each bag of ids.

    Args:
        input: ids (B, N), a bag per row, or (T,), cut into bags at ``offsets``.
        weight: table of shape (V, E).
        offsets: where each bag of a one-dimensional input starts, (B,), the first at 0.
        max_norm: rows looked up are first scaled down to this norm, in place.
        norm_type: order of that norm.
        scale_grad_by_freq: divide the gradient of a row by how often its id occurs.
        mode: ``"sum"``, ``"mean"`` or ``"max"``.
        sparse: only False is supported.
        per_sample_weights: factor of each row, in the shape of input; only with ``"sum"``.
        include_last_offset: whether ``offsets`` ends with the size of input, (B + 1,).
        padding_idx: id that counts for nothing; negative counts from the end.

    Returns:
        Tensor of shape (B, E); bags without ids give zeros.

    Raises:
        IndexError: an id is out of range.
        TypeError: input or offsets hold no integers, or a dtype does not fit.
        ValueError: a shape does not fit, offsets do not rise, or options exclude each other.
    """
    table = array_of(_NAME, weight, "weight")
    ids = index_tensor(_NAME, input, "input")
    if table.ndim != 2:
        raise ValueError(f"{_NAME}: weight has shape {table.shape}, expected (V, E)")
    check_flag(_NAME, "include_last_offset", include_last_offset)
    _check_options(ids, weight, mode, scale_grad_by_freq, per_sample_weights)
    if padding_idx is not None:
        rows = table.shape[0]
        if not -rows <= check_int(_NAME, "padding_idx", padding_idx) < rows:
            raise ValueError(
                f"{_NAME}: padding_idx is {padding_idx}, expected {-rows} to {rows - 1}"
            )
        padding_idx %= rows
    by_frequency = check_flag(_NAME, "scale_grad_by_freq", scale_grad_by_freq)
    check_dense(_NAME, sparse)
    bags = _bags(ids, offsets, include_last_offset, padding_idx)
    chosen = reshape(ids, -1)
    if bags.places is not None:
        chosen = index_select(chosen, 0, wrap(like(bags.places, table)))
    scale_down(chosen, weight, max_norm, norm_type)
    if mode != "max" and per_sample_weights is None:
        return _added(chosen, weight, bags, mode == "mean", by_frequency)
    looked_up = embedding(chosen, weight, scale_grad_by_freq=by_frequency)
    if mode == "max" and len(looked_up):
        return _largest(looked_up, bags)
    if per_sample_weights is not None:
        factors = reshape(per_sample_weights, -1)
        if bags.places is not None:
            factors = index_select(factors, 0, wrap(like(bags.places, table)))
        looked_up = mul(looked_up, unsqueeze(factors, 1))
    nothing = zeros((len(bags.starts) - 1, table.shape[1]), weight)
    return index_add(nothing, 0, wrap(like(bags.numbers(), table)), looked_up)

# SPDX-License-Identifier: Apache-2.0
"""Reductions by index: scatter_reduce and index_reduce.

Sums are those of `scatter_add` and `index_add`. Products and extremes combine neighbours among the
values of one target, then neighbours among the results, until each target has one: log2(n) steps
on ever fewer values, the same for any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import gradsmith._cpu as _cpu
from gradsmith.autograd import OUTPUT, Node, no_grad, record
from gradsmith.backend import FLOATING, Array, like, on_host
from gradsmith.ops.creation import ones_like
from gradsmith.ops.elementwise import div, eq, maximum, minimum, mul, where
from gradsmith.ops.indexing import (
    gather,
    index_add,
    index_select,
    index_tensor,
    scatter,
    scatter_add,
    scatter_source,
)
from gradsmith.ops.indexing_write import index_copy, index_fill, slices_to_write
from gradsmith.ops.options import check_flag, names_errors
from gradsmith.ops.shape import axis_of, reshape
from gradsmith.tensor import Tensor, array_of, wrap

_COMBINE: dict[str, Callable[[Any, Any], Tensor]] = {"prod": mul, "amax": maximum, "amin": minimum}


def _check(op: str, reduce: str, known: tuple[str, ...], include_self: bool) -> None:
    if reduce not in known:
        names = ", ".join(repr(each) for each in known)
        raise ValueError(f"{op}: reduce is {reduce!r}, expected one of {names}")
    check_flag(op, "include_self", include_self)


def _tensor(positions: Array, like_tensor: Tensor) -> Tensor:
    return wrap(like(positions, like_tensor._array))


def _combined(reduce: str, values: Tensor, dim: int, targets: Array) -> tuple[Array, Tensor]:
    """Return the targets, each once, and what their slices of ``values`` combine to."""
    targets, order = _cpu.sort(targets, 0, 0, len(targets), False)
    values = index_select(values, dim, _tensor(order, values))
    while len(targets):
        first = np.searchsorted(targets, targets)
        rank = np.arange(len(targets)) - first
        if not rank.any():
            break
        left = np.flatnonzero(rank % 2 == 0)
        right = np.minimum(left + 1, len(targets) - 1)
        paired = (right > left) & (targets[left] == targets[right])
        ones = index_select(values, dim, _tensor(left, values))
        others = index_select(values, dim, _tensor(right, values))
        shape = [1] * values.ndim
        shape[dim] = len(left)
        # What has no partner is combined with what leaves it as it is.
        neutral = 1 if reduce == "prod" else ones
        others = where(_tensor(paired.reshape(shape), values), others, neutral)
        values = _COMBINE[reduce](ones, others)
        targets = targets[left]
    return targets, values


def _shaped(counts: Array, input: Tensor, dim: int) -> Tensor:
    """Return one number for each slice, on the input's device, in its dtype."""
    shape = [1] * input.ndim
    shape[dim] = len(counts)
    return wrap(like(counts.astype(input.dtype).reshape(shape), input._array))


def _extreme_backward(node: Node, dy: Tensor) -> Any:
    """All that equal the result share its gradient evenly."""
    x, source, y, dim, ids, include_self = node.saved
    sources = eq(source, index_select(y.detach(), dim, ids)).to(y.dtype)
    own = eq(x, y.detach()).to(y.dtype)
    if not include_self:
        own = index_fill(ones_like(own), dim, ids, 0)
    count = index_add(own, dim, ids, sources)
    share = div(dy, where(eq(count, 0), 1.0, count))
    return mul(share, own), mul(index_select(share, dim, ids), sources)


def _reduced(
    reduce: str, input: Tensor, dim: int, ids: Tensor, source: Tensor, include_self: bool
) -> Tensor:
    targets, values = _combined(reduce, source, dim, on_host(ids._array))
    places = _tensor(targets, input)
    if include_self:
        values = _COMBINE[reduce](index_select(input, dim, places), values)
    return index_copy(input, dim, places, values)


def _mean(input: Tensor, dim: int, ids: Tensor, source: Tensor, include_self: bool) -> Tensor:
    base = input if include_self else index_fill(input, dim, ids, 0)
    total = index_add(base, dim, ids, source)
    counts = np.bincount(on_host(ids._array), minlength=input.shape[dim]) + include_self
    mode = None if total.dtype in FLOATING else "floor"
    return div(total, _shaped(np.maximum(counts, 1), input, dim), rounding_mode=mode)


@names_errors
def index_reduce(
    input: Tensor,
    dim: int,
    index: Tensor,
    source: Tensor,
    reduce: str,
    *,
    include_self: bool = True,
) -> Tensor:
    """Return a copy whose slices at ``index`` are reduced with slices of ``source``.

    Args:
        input: tensor of numbers.
        dim: dimension in which the index counts.
        index: integers, one dimension.
        source: the input's shape, but in ``dim`` the length of the index; the input's dtype.
        reduce: ``"prod"``, ``"mean"``, ``"amax"`` or ``"amin"``.
        include_self: whether the input's own slices take part.

    Raises:
        IndexError: an index or ``dim`` is out of range.
        TypeError, ValueError: dtype or shape of source or index do not fit, or ``reduce`` is
            unknown.
    """
    _check("index_reduce", reduce, ("prod", "mean", "amax", "amin"), include_self)
    axis, ids, _ = slices_to_write("index_reduce", input, dim, index, source)
    if input.ndim == 0:
        one, ones = reshape(input, (1,)), reshape(source, (1,))
        return reshape(index_reduce(one, 0, ids, ones, reduce, include_self=include_self), ())
    if reduce == "mean":
        return _mean(input, axis, ids, source, include_self)
    if reduce == "prod":
        return _reduced(reduce, input, axis, ids, source, include_self)
    with no_grad():
        result = _reduced(reduce, input, axis, ids, source, include_self)._array
    saved = (input, source, OUTPUT, axis, ids, include_self)
    return record(_extreme_backward, result, (input, source), saved)


def _flat_targets(shape: tuple[int, ...], axis: int, index: Array) -> Array:
    """Return the place in the flattened tensor of each element that an index addresses."""
    if not shape:
        return index.reshape(-1)
    places: list[Array] = list(np.indices(index.shape, sparse=True))
    places[axis] = index
    return np.ravel_multi_index(tuple(np.broadcast_arrays(*places)), shape).reshape(-1)


@names_errors
def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """Return a copy whose elements at ``index`` are reduced with those of ``src`` written there.

    Args:
        input: tensor of numbers.
        dim: dimension in which the index counts.
        index: integers, as in `gather`.
        src: tensor at least as large as the index, of the input's dtype.
        reduce: ``"sum"``, ``"prod"``, ``"mean"``, ``"amax"`` or ``"amin"``.
        include_self: whether the input's own element takes part.

    Raises:
        IndexError: an index or ``dim`` is out of range.
        TypeError, ValueError: dtype or shape of ``src`` or the index do not fit, or ``reduce`` is
            unknown.

    >>> import gradsmith as gs
    >>> ids, src = gs.tensor([0, 1, 0]), gs.tensor([1.0, 2.0, 5.0])
    >>> gs.scatter_reduce(gs.zeros(3), 0, ids, src, "amax")
    tensor([5., 2., 0.])
    """
    op = "scatter_reduce"
    _check(op, reduce, ("sum", "prod", "mean", "amax", "amin"), include_self)
    array = array_of(op, input)
    axis = axis_of(op, dim, array.ndim)
    ids = index_tensor(op, index)
    array_of(op, src, "src")
    source = scatter_source(op, array, ids, src, None)
    if reduce == "sum":
        return scatter_add(
            input if include_self else scatter(input, axis, ids, value=0), axis, ids, source
        )
    gather(input.detach(), axis, ids)  # refuses an index that does not fit
    flat_ids = _tensor(_flat_targets(array.shape, axis, on_host(ids._array)), input)
    flat = index_reduce(
        reshape(input, -1), 0, flat_ids, reshape(source, -1), reduce, include_self=include_self
    )
    return reshape(flat, array.shape)

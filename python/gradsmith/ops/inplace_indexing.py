# SPDX-License-Identifier: Apache-2.0
"""In-place changes at an index, by the rules of `inplace`; what they write is in `indexing_write`
and `indexing_reduce`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradsmith.ops import indexing_mask, indexing_reduce, indexing_write
from gradsmith.ops.indexing_items import assign, parse
from gradsmith.ops.inplace import change
from gradsmith.ops.options import check_flag, names_errors
from gradsmith.tensor import Tensor, array_of


@names_errors
def index_put_(
    input: Tensor, indices: Sequence[Tensor | None], values: Tensor, accumulate: bool = False
) -> Tensor:
    """Write ``values`` at, or add them to, ``input[indices]`` in place (see `index_put`)."""
    if not check_flag("index_put_", "accumulate", accumulate):
        place = parse(
            "index_put_",
            array_of("index_put_", input),
            indexing_write.place_of("index_put_", indices),
        )
        assign("index_put_", input, place, values)
        return input

    def add(x: Tensor, rows: Tensor) -> Tensor:
        return indexing_write.index_put(x, indices, rows, accumulate=True)

    return change("index_put_", input, (values,), add)


@names_errors
def put_(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """Write ``source`` at places of the flattened tensor in place (see `put`)."""

    def write(x: Tensor, values: Tensor) -> Tensor:
        return indexing_write.put(x, index, values, accumulate)

    return change("put_", input, (source,), write)


@names_errors
def index_fill_(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """Write a number on the slices at ``index`` in place (see `index_fill`)."""

    def fill(x: Tensor, number: Any) -> Tensor:
        return indexing_write.index_fill(x, dim, index, number)

    return change("index_fill_", input, (value,), fill)


@names_errors
def index_copy_(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """Write the slices of ``source`` on those at ``index`` in place (see `index_copy`)."""

    def write(x: Tensor, rows: Tensor) -> Tensor:
        return indexing_write.index_copy(x, dim, index, rows)

    return change("index_copy_", input, (source,), write)


@names_errors
def masked_scatter_(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """Write the elements of ``source`` where the bool ``mask`` in place (see `masked_scatter`)."""

    def write(x: Tensor, values: Tensor) -> Tensor:
        return indexing_mask.masked_scatter(x, mask, values)

    return change("masked_scatter_", input, (source,), write)


@names_errors
def scatter_reduce_(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """Reduce the elements at ``index`` with those of ``src`` in place (see `scatter_reduce`)."""

    def combine(x: Tensor, values: Tensor) -> Tensor:
        return indexing_reduce.scatter_reduce(
            x, dim, index, values, reduce, include_self=include_self
        )

    return change("scatter_reduce_", input, (src,), combine)


@names_errors
def index_reduce_(
    input: Tensor,
    dim: int,
    index: Tensor,
    source: Tensor,
    reduce: str,
    *,
    include_self: bool = True,
) -> Tensor:
    """Reduce the slices at ``index`` with those of ``source`` in place (see `index_reduce`)."""

    def combine(x: Tensor, rows: Tensor) -> Tensor:
        return indexing_reduce.index_reduce(x, dim, index, rows, reduce, include_self=include_self)

    return change("index_reduce_", input, (source,), combine)

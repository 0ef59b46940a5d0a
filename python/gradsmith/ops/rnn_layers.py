# SPDX-License-Identifier: Apache-2.0
"""One recurrent layer of any cell, over padded or packed sequences, in one direction or both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gradsmith.backend import Array, like
from gradsmith.ops.elementwise import add, mul
from gradsmith.ops.indexing import index_select
from gradsmith.ops.joining import cat
from gradsmith.ops.rnn import GATES, bidirectional_layer, recurrent_layer
from gradsmith.ops.rnn_packing import mirrored
from gradsmith.ops.rnn_variants import VARIANTS, Weights
from gradsmith.ops.shape import reshape
from gradsmith.ops.shape_pieces import chunk, narrow
from gradsmith.tensor import Tensor, wrap

# Rows of the weights per unit of the state, and the parameter a cell has beside the usual four.
ROWS = GATES | {"lstm_projected": 4, "lstm_peephole": 4, "gru_reset_before": 3}
EXTRA = {"lstm_projected": "weight_hr", "lstm_peephole": "weight_ch"}
MERGE_MODES = ("concat", "sum", "mul", "ave", None)

States = Sequence[Tensor]


def has_cell_state(cell: str) -> bool:
    """Whether the state is a pair, as an LSTM's."""
    return cell.startswith("lstm")


def _one_direction(
    cell: str, x: Tensor, states: States, weights: Weights, reverse: bool
) -> tuple[Tensor, ...]:
    if cell in VARIANTS:
        return VARIANTS[cell](x, states, weights, reverse)
    h0, c0 = states if has_cell_state(cell) else (states[0], None)
    return recurrent_layer(cell, x, h0, c0, *weights[:4], reverse)


def _runs(batch_sizes: Array) -> Iterator[tuple[int, int, int]]:
    """Yield first packed row, number of steps and sequences of each run of equally many."""
    starts = np.flatnonzero(np.diff(batch_sizes, prepend=-1))
    row = 0
    for start, end in zip(starts, [*starts[1:], len(batch_sizes)], strict=True):
        steps, count = int(end - start), int(batch_sizes[start])
        yield row, steps, count
        row += steps * count


def _one_packed_direction(
    cell: str, data: Tensor, batch_sizes: Array, states: States, weights: Weights, reverse: bool
) -> tuple[Tensor, ...]:
    """Run over packed sequences: the layer for each run of steps, on those that still go on.

    Backwards, every sequence is mirrored within its own rows, there and back.
    """
    mirror = wrap(like(mirrored(batch_sizes), data._array)) if reverse else None
    data = data if mirror is None else index_select(data, 0, mirror)
    current, ended, ys = list(states), [], []
    for row, steps, count in _runs(batch_sizes):
        over = current[0].shape[0] - count
        if over:
            ended.append([narrow(each, 0, count, over) for each in current])
            current = [narrow(each, 0, 0, count) for each in current]
        x = reshape(narrow(data, 0, row, steps * count), (steps, count, -1))
        y, *current = _one_direction(cell, x, current, weights, False)
        ys.append(reshape(y, (steps * count, -1)))
    y = cat(ys, 0)
    last = zip(current, *reversed(ended), strict=True)
    y = y if mirror is None else index_select(y, 0, mirror)
    return y, *(cat(list(parts), 0) for parts in last)


def layer(
    cell: str,
    x: Tensor,
    states: Sequence[States],
    weights: Sequence[Weights],
    batch_sizes: Array | None,
) -> tuple[Tensor, list[list[Tensor]]]:
    """Run one layer in as many directions as there are states and weights.

    Args:
        cell: a key of `ROWS`.
        x: (T, B, I), or packed rows (S, I).
        states: of each direction, the initial ones (B, H).
        weights: of each direction.
        batch_sizes: sequences per step of packed rows, else None.

    Returns:
        The outputs, those of two directions side by side, and the last states of each.
    """
    if cell in GATES and len(weights) == 2 and batch_sizes is None:
        pairs = [each if has_cell_state(cell) else (each[0], None) for each in states]
        operands = [(*pair, *each[:4]) for pair, each in zip(pairs, weights, strict=True)]
        y, *last = bidirectional_layer(cell, x, *operands)
        count = len(last) // 2
        return y, [last[:count], last[count:]]
    ys, finals = [], []
    for number, (initial, each) in enumerate(zip(states, weights, strict=True)):
        if batch_sizes is None:
            y, *final = _one_direction(cell, x, initial, each, number == 1)
        else:
            y, *final = _one_packed_direction(cell, x, batch_sizes, initial, each, number == 1)
        ys.append(y)
        finals.append(final)
    return (ys[0] if len(ys) == 1 else cat(ys, -1)), finals


def merged(y: Tensor, merge_mode: str | None) -> Tensor | tuple[Tensor, Tensor]:
    """Return the outputs of two directions (..., 2*H) as one of `MERGE_MODES` says."""
    if merge_mode == "concat":
        return y
    forward, backward = chunk(y, 2, -1)
    if merge_mode is None:
        return forward, backward
    if merge_mode == "mul":
        return mul(forward, backward)
    total = add(forward, backward)
    return total if merge_mode == "sum" else mul(total, 0.5)

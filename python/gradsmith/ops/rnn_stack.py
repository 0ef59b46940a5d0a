# SPDX-License-Identifier: Apache-2.0
"""Recurrent networks: layers on top of each other, in one direction or both."""

from __future__ import annotations

from collections.abc import Sequence

from gradsmith.backend import Array
from gradsmith.ops.joining import stack
from gradsmith.ops.options import check_int
from gradsmith.ops.random_dropout import dropout as drop
from gradsmith.ops.rnn_layers import EXTRA, has_cell_state, layer
from gradsmith.ops.rnn_variants import Weights
from gradsmith.ops.shape import reshape, transpose, unsqueeze
from gradsmith.ops.shape_pieces import unbind
from gradsmith.tensor import Tensor, array_of


def _check_states(op: str, name: str, state: Tensor, expected: tuple[int, ...]) -> None:
    shape = array_of(op, state, name).shape
    if shape != expected:
        raise ValueError(
            f"{op}: {name} has shape {shape}, expected {expected} (layers times directions, batch, "
            "hidden)"
        )


def _grouped(cell: str, params: Sequence[Tensor], has_biases: bool) -> list[Weights]:
    """Return the params of each layer and direction."""
    each = 2 + 2 * has_biases + (cell in EXTRA)
    groups = []
    for start in range(0, len(params), each):
        weights = list(params[start : start + each])
        extra = weights.pop() if cell in EXTRA else None
        b_ih, b_hh = weights[2:] if has_biases else (None, None)
        groups.append(Weights(weights[0], weights[1], b_ih, b_hh, extra))
    return groups


def _taken_apart(state: Tensor) -> Sequence[Tensor]:
    """Return the states of each layer and direction; of a single one without `unbind`'s cost."""
    shape = state._array.shape
    return (reshape(state, shape[1:]),) if shape[0] == 1 else unbind(state, 0)


def _together(states: Sequence[Tensor]) -> Tensor:
    """Return the states side by side; a single one without a copy."""
    return unsqueeze(states[0], 0) if len(states) == 1 else stack(states, 0)


def recurrent_network(
    cell: str,
    input: Tensor,
    states: tuple[Tensor, ...],
    params: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
    batch_sizes: Array | None = None,
) -> tuple[Tensor, ...]:
    """Run layers on top of each other.

    Args:
        cell: a key of `rnn_layers.ROWS`.
        input: (T, B, I), (B, T, I) with ``batch_first``, or packed rows (S, I).
        states: the initial ones, (L*D, B, H), for L layers in D directions; an LSTM's are a pair.
        params: w_ih, w_hh, with ``has_biases`` b_ih and b_hh, and what the cell has beside them
            (`rnn_layers.EXTRA`), of each layer and direction.
        has_biases: whether ``params`` holds biases.
        num_layers: number L of layers.
        dropout: share of each layer's outputs but the last's that is dropped in training.
        train: whether to drop.
        bidirectional: whether a second set of weights walks the sequence backwards (D = 2).
        batch_first: whether the batch is the first dimension of input and output.
        batch_sizes: sequences per step of packed rows, on the host; None for padded input.

    Returns:
        y (T, B, D*H) or (S, D*H), and the last states (L*D, B, H).

    Raises:
        ValueError: a shape or the number of params does not fit.
    """
    shape = array_of(cell, input).shape
    if batch_sizes is None and len(shape) != 3:
        raise ValueError(
            f"{cell}: input has shape {shape}, expected 3 dimensions "
            f"({'batch, steps' if batch_first else 'steps, batch'}, features)"
        )
    directions = 2 if bidirectional else 1
    each = 2 + 2 * has_biases + (cell in EXTRA)
    expected = num_layers * directions * each
    if check_int(cell, "num_layers", num_layers) < 1 or len(params) != expected:
        raise ValueError(
            f"{cell}: got {len(params)} params for {num_layers} layers, expected {expected} "
            f"({each} for each layer and direction)"
        )
    weight = array_of(cell, params[1], "w_hh")
    hidden = weight.shape[-1] if weight.ndim else 0
    cells = weight.shape[0] // 4 if has_cell_state(cell) else 0
    padded_batch = shape[0] if batch_first else shape[1]
    batch = padded_batch if batch_sizes is None else int(batch_sizes[0])
    for name, state, size in zip(("h_0", "c_0"), states, (hidden, cells), strict=False):
        _check_states(cell, name, state, (num_layers * directions, batch, size))
    is_turned = batch_first and batch_sizes is None
    x = transpose(input, 0, 1) if is_turned else input
    initial = list(zip(*map(_taken_apart, states), strict=True))
    weights = _grouped(cell, params, has_biases)
    final: list[list[Tensor]] = []
    for number in range(num_layers):
        own = slice(number * directions, (number + 1) * directions)
        x, last = layer(cell, x, initial[own], weights[own], batch_sizes)
        final += last
        if dropout > 0 and train and number < num_layers - 1:
            x = drop(x, dropout, True)
    y = transpose(x, 0, 1) if is_turned else x
    return y, *map(_together, zip(*final, strict=True))

# SPDX-License-Identifier: Apache-2.0
"""Recurrent networks: layers on top of each other, in one direction or both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradsmith.ops.joining import stack
from gradsmith.ops.options import check_int
from gradsmith.ops.random_dropout import dropout as drop
from gradsmith.ops.rnn import Operands, States, bidirectional_layer, pair_of, recurrent_layer
from gradsmith.ops.shape import transpose
from gradsmith.ops.shape_pieces import unbind
from gradsmith.tensor import Tensor, array_of


def _check_states(op: str, name: str, state: Tensor, layers: int, batch: int, hidden: int) -> None:
    shape = array_of(op, state, name).shape
    if shape != (layers, batch, hidden):
        raise ValueError(
            f"{op}: {name} has shape {shape}, expected {(layers, batch, hidden)} (layers times "
            "directions, batch, hidden)"
        )


def _run(
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
) -> tuple[Tensor, ...]:
    """Return the last layer's outputs and, stacked, the last states of all layers."""
    shape = array_of(cell, input).shape
    if len(shape) != 3:
        raise ValueError(
            f"{cell}: input has shape {shape}, expected 3 dimensions "
            f"({'batch, steps' if batch_first else 'steps, batch'}, features)"
        )
    directions = 2 if bidirectional else 1
    each = 4 if has_biases else 2
    expected = num_layers * directions * each
    if check_int(cell, "num_layers", num_layers) < 1 or len(params) != expected:
        raise ValueError(
            f"{cell}: got {len(params)} params for {num_layers} layers, expected {expected} "
            f"({each} for each layer and direction)"
        )
    weight = array_of(cell, params[1], "w_hh")
    hidden = weight.shape[-1] if weight.ndim else 0
    for name, state in zip(("h_0", "c_0"), states, strict=False):
        batch = shape[0] if batch_first else shape[1]
        _check_states(cell, name, state, num_layers * directions, batch, hidden)
    x = transpose(input, 0, 1) if batch_first else input
    initial = list(zip(*(unbind(state, 0) for state in states), strict=True))
    final = []
    for layer in range(num_layers):
        operands: list[Operands] = []
        for index in range(layer * directions, (layer + 1) * directions):
            h0, c0 = initial[index] if cell == "lstm" else (*initial[index], None)
            weights = params[index * each : (index + 1) * each]
            b_ih, b_hh = weights[2:] if has_biases else (None, None)
            operands.append((h0, c0, weights[0], weights[1], b_ih, b_hh))
        if bidirectional:
            x, *last = bidirectional_layer(cell, x, *operands)
            final += [last[: len(states)], last[len(states) :]]
        else:
            x, *last = recurrent_layer(cell, x, *operands[0])
            final.append(last)
        if dropout > 0 and train and layer < num_layers - 1:
            x = drop(x, dropout, True)
    y = transpose(x, 0, 1) if batch_first else x
    return y, *(stack(list(group), 0) for group in zip(*final, strict=True))


def rnn_tanh(
    input: Tensor,
    hx: Tensor,
    params: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> States:
    """Run a network of tanh layers.

    Args:
        input: (T, B, I), or (B, T, I) with ``batch_first``.
        hx: initial states, (L*D, B, H), for L layers in D directions.
        params: w_ih, w_hh and, with ``has_biases``, b_ih, b_hh of each layer and direction.
        has_biases: whether ``params`` holds biases.
        num_layers: number L of layers.
        dropout: share of each layer's outputs but the last's that is dropped in training.
        train: whether to drop.
        bidirectional: whether a second set of weights walks the sequence backwards (D = 2).
        batch_first: whether the batch is the first dimension of input and output.

    Returns:
        y (T, B, D*H) and the last states (L*D, B, H).

    Raises:
        ValueError: a shape or the number of params does not fit.
    """
    options = (has_biases, num_layers, dropout, train, bidirectional, batch_first)
    y, h = _run("rnn_tanh", input, (hx,), params, *options)
    return y, h


def rnn_relu(
    input: Tensor,
    hx: Tensor,
    params: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> States:
    """Run a network of relu layers; arguments, result and errors are those of `rnn_tanh`."""
    options = (has_biases, num_layers, dropout, train, bidirectional, batch_first)
    y, h = _run("rnn_relu", input, (hx,), params, *options)
    return y, h


def lstm(
    input: Tensor,
    hx: Any,
    params: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run an LSTM; arguments and errors are those of `rnn_tanh`, ``hx`` is the pair (h_0, c_0).

    Returns:
        y (T, B, D*H), the last states and the last cells (L*D, B, H).
    """
    options = (has_biases, num_layers, dropout, train, bidirectional, batch_first)
    y, h, c = _run("lstm", input, pair_of("lstm", hx), params, *options)
    return y, h, c


def gru(
    input: Tensor,
    hx: Tensor,
    params: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> States:
    """Run a GRU; arguments, result and errors are those of `rnn_tanh`."""
    options = (has_biases, num_layers, dropout, train, bidirectional, batch_first)
    y, h = _run("gru", input, (hx,), params, *options)
    return y, h

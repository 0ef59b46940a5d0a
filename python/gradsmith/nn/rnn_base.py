# SPDX-License-Identifier: Apache-2.0
"""What recurrent layers share: options, parameters, initial states, packing of sequences."""

from __future__ import annotations

import math
import warnings
from typing import Any

from gradsmith.nn import init
from gradsmith.nn.module import Module
from gradsmith.nn.sizes import checked_count_of_layers, checked_int, new_parameter
from gradsmith.ops.creation import zeros
from gradsmith.ops.indexing import index_select
from gradsmith.ops.options import check_number
from gradsmith.ops.rnn_layers import EXTRA, MERGE_MODES, ROWS, has_cell_state, merged
from gradsmith.ops.rnn_packing import (
    PackedSequence,
    host_batch_sizes,
    pack_padded_sequence,
    pad_packed_sequence,
)
from gradsmith.ops.rnn_stack import recurrent_network
from gradsmith.ops.shape import squeeze, unsqueeze
from gradsmith.tensor import Tensor, array_of


def draw_parameters(module: Module, hidden_size: int) -> None:
    """Draw all parameters uniformly within 1 / sqrt(hidden_size)."""
    bound = 1 / math.sqrt(hidden_size)
    for parameter in module.parameters():
        init.uniform_(parameter, -bound, bound)


def cell_of(layer: str, nonlinearity: str) -> str:
    """Return the cell with this nonlinearity.

    Raises:
        ValueError: the nonlinearity is unknown.
    """
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f"{layer}: nonlinearity is {nonlinearity!r}, expected 'tanh' or 'relu'")
    return f"rnn_{nonlinearity}"


class Recurrent(Module):
    """Layers of one cell, each over the outputs of the one below."""

    def __init__(
        self,
        cell: str,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        device: Any,
        dtype: Any,
        merge_mode: str | None = "concat",
        proj_size: int = 0,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.input_size = checked_int(name, "input_size", input_size)
        self.hidden_size = checked_int(name, "hidden_size", hidden_size)
        self.num_layers = checked_count_of_layers(name, num_layers)
        if not 0 <= check_number(name, "dropout", dropout) <= 1:
            raise ValueError(f"{name}: dropout is {dropout!r}, expected a number from 0 to 1")
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                f"{name}: dropout is {dropout}, but it acts between layers and there is only one",
                stacklevel=3,
            )
        self.bias = bool(bias)
        self.batch_first = bool(batch_first)
        self.dropout = float(dropout)
        self.bidirectional = bool(bidirectional)
        self._cell = cell
        if merge_mode not in MERGE_MODES:
            raise ValueError(
                f"{name}: merge_mode is {merge_mode!r}, expected 'concat', 'sum', 'mul', 'ave' or "
                "None"
            )
        if merge_mode != "concat" and not bidirectional:
            raise ValueError(
                f"{name}: merge_mode is {merge_mode!r}, expected bidirectional=True with it"
            )
        self.merge_mode = merge_mode
        rows, hidden = ROWS[cell] * self.hidden_size, proj_size or self.hidden_size
        self._state_sizes = (hidden, self.hidden_size) if has_cell_state(cell) else (hidden,)
        extra_shape = (proj_size, self.hidden_size) if proj_size else (3 * self.hidden_size,)
        directions = 2 if bidirectional else 1
        self._names: list[str] = []
        for layer in range(self.num_layers):
            columns = self.input_size if layer == 0 else hidden * directions
            shapes: dict[str, tuple[int, ...]] = {
                "weight_ih": (rows, columns),
                "weight_hh": (rows, hidden),
            }
            if bias:
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
            if cell in EXTRA:
                shapes[EXTRA[cell]] = extra_shape
            for suffix in ("", "_reverse")[:directions]:
                for kind, shape in shapes.items():
                    parameter = new_parameter(*shape, device=device, dtype=dtype)
                    self.register_parameter(f"{kind}_l{layer}{suffix}", parameter)
                    self._names.append(f"{kind}_l{layer}{suffix}")
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew, uniform within 1 / sqrt(hidden_size)."""
        draw_parameters(self, self.hidden_size)

    def flatten_parameters(self) -> None:
        """Do nothing: the parameters need no arrangement. For programs that ask for it."""

    def _run(
        self, input: Tensor | PackedSequence, states: tuple[Tensor, ...] | None, lengths: Any
    ) -> tuple[Any, ...]:
        """Return the outputs and the last states, arranged as the input is."""
        name = type(self).__name__.lower()
        if isinstance(input, PackedSequence):
            if lengths is not None:
                raise ValueError(f"{name}: lengths is given, expected None with packed sequences")
            self._check_features(name, input.data, (2,), "(total steps, features)")
            rows, *last = self._over_packed(name, input, states)
            y = merged(rows, self.merge_mode)
            if isinstance(y, tuple):
                return tuple(map(input.with_data, y)), *last
            return input.with_data(y), *last
        places = "(steps, features, and a batch between or before them)"
        has_batch = self._check_features(name, input, (2, 3), places) == 3
        if lengths is None:
            padded, *last = self._over_padded(name, input, states, has_batch)
        elif not has_batch:
            raise ValueError(
                f"{name}: lengths is given and input has shape {input.shape}, expected a batch"
            )
        else:
            packed = pack_padded_sequence(input, lengths, self.batch_first, enforce_sorted=False)
            rows, *last = self._over_packed(name, packed, states)
            steps = input.shape[1 if self.batch_first else 0]
            packed = packed.with_data(rows)
            padded, _ = pad_packed_sequence(packed, self.batch_first, total_length=steps)
        return merged(padded, self.merge_mode), *last

    def _check_features(
        self, name: str, input: Tensor, dims: tuple[int, ...], expected: str
    ) -> int:
        """Check an input's dimensions and features; return how many dimensions it has."""
        array = array_of(name, input)
        if array.ndim not in dims:
            numbers = " or ".join(map(str, dims))
            raise ValueError(
                f"{name}: input has shape {array.shape}, expected {numbers} dimensions {expected}"
            )
        if array.shape[-1] != self.input_size:
            raise ValueError(
                f"{name}: input has {array.shape[-1]} features, expected {self.input_size}"
            )
        return array.ndim

    def _zero_states(self, like: Tensor, batch: int) -> tuple[Tensor, ...]:
        layers = self.num_layers * (2 if self.bidirectional else 1)
        return tuple(
            zeros(layers, batch, size, dtype=like.dtype, device=like.device)
            for size in self._state_sizes
        )

    def _network(
        self, x: Tensor, states: tuple[Tensor, ...], batch_sizes: Any
    ) -> tuple[Tensor, ...]:
        """Return outputs and last states."""
        return recurrent_network(
            self._cell,
            x,
            states,
            [getattr(self, each) for each in self._names],
            self.bias,
            self.num_layers,
            self.dropout,
            self.training,
            self.bidirectional,
            self.batch_first,
            batch_sizes,
        )

    def _over_padded(
        self, name: str, input: Tensor, states: tuple[Tensor, ...] | None, has_batch: bool
    ) -> tuple[Tensor, ...]:
        batch_dim = 0 if self.batch_first else 1
        x = input if has_batch else unsqueeze(input, batch_dim)
        if states is None:
            states = self._zero_states(x, x.shape[batch_dim])
        else:
            for label, state in zip(("h_0", "c_0"), states, strict=False):
                if array_of(name, state, label).ndim != input.ndim:
                    raise ValueError(
                        f"{name}: {label} has shape {state.shape}, expected {input.ndim} "
                        f"dimensions, for an input of shape {input.shape}"
                    )
            if not has_batch:
                states = tuple(unsqueeze(state, 1) for state in states)
        y, *last = self._network(x, states, None)
        if has_batch:
            return y, *last
        return squeeze(y, batch_dim), *(squeeze(state, 1) for state in last)

    def _over_packed(
        self, name: str, packed: PackedSequence, states: tuple[Tensor, ...] | None
    ) -> tuple[Tensor, ...]:
        """Return outputs, packed rows, and last states; states are in the order of the batch."""
        batch_sizes = host_batch_sizes(name, packed)
        if states is None:
            states = self._zero_states(packed.data, int(batch_sizes[0]))
        elif packed.sorted_indices is not None:
            for label, state in zip(("h_0", "c_0"), states, strict=False):
                shape = array_of(name, state, label).shape
                if len(shape) != 3 or shape[1] != batch_sizes[0]:
                    raise ValueError(
                        f"{name}: {label} has shape {shape}, expected (layers times directions, "
                        f"{batch_sizes[0]}, hidden)"
                    )
            order = packed.sorted_indices
            states = tuple(index_select(state, 1, order) for state in states)
        y, *last = self._network(packed.data, states, batch_sizes)
        if packed.unsorted_indices is not None:
            last = [index_select(state, 1, packed.unsorted_indices) for state in last]
        return y, *last

    def extra_repr(self) -> str:
        """Return the options that differ from their defaults."""
        text = f"{self.input_size}, {self.hidden_size}"
        if self._state_sizes[0] != self.hidden_size:
            text += f", proj_size={self._state_sizes[0]}"
        if self.num_layers != 1:
            text += f", num_layers={self.num_layers}"
        if not self.bias:
            text += ", bias=False"
        if self.batch_first:
            text += ", batch_first=True"
        if self.dropout:
            text += f", dropout={self.dropout}"
        if self.bidirectional:
            text += ", bidirectional=True"
        if self.merge_mode != "concat":
            text += f", merge_mode={self.merge_mode!r}"
        return text

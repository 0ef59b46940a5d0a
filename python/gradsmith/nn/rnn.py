# SPDX-License-Identifier: Apache-2.0
"""Recurrent layers over sequences: `RNN`, `LSTM` and `GRU`."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

from gradsmith.nn import init
from gradsmith.nn.module import Module
from gradsmith.nn.sizes import checked_int, new_parameter
from gradsmith.ops import rnn_stack
from gradsmith.ops.creation import zeros
from gradsmith.ops.options import check_number
from gradsmith.ops.rnn import GATES, States, pair_of
from gradsmith.ops.shape import squeeze, unsqueeze
from gradsmith.tensor import Tensor, array_of

_NETWORKS: dict[str, Callable[..., tuple[Tensor, ...]]] = {
    "rnn_tanh": rnn_stack.rnn_tanh,
    "rnn_relu": rnn_stack.rnn_relu,
    "lstm": rnn_stack.lstm,
    "gru": rnn_stack.gru,
}


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


# More would only fill the memory with parameters.
_MOST_LAYERS = 10_000


class _Recurrent(Module):
    """What the three networks share: options, parameters, the call."""

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
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.input_size = checked_int(name, "input_size", input_size)
        self.hidden_size = checked_int(name, "hidden_size", hidden_size)
        self.num_layers = checked_int(name, "num_layers", num_layers)
        if self.num_layers > _MOST_LAYERS:
            raise ValueError(f"{name}: num_layers is {num_layers}, expected 1 to {_MOST_LAYERS}")
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
        rows, hidden = GATES[cell] * self.hidden_size, self.hidden_size
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
            for suffix in ("", "_reverse")[:directions]:
                for kind, shape in shapes.items():
                    parameter = new_parameter(*shape, device=device, dtype=dtype)
                    self.register_parameter(f"{kind}_l{layer}{suffix}", parameter)
                    self._names.append(f"{kind}_l{layer}{suffix}")
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew, uniform within 1 / sqrt(hidden_size)."""
        draw_parameters(self, self.hidden_size)

    def _run(self, input: Tensor, states: tuple[Tensor, ...] | None) -> tuple[Tensor, ...]:
        """Return the outputs and the last states, with a batch dimension if the input has one."""
        name = type(self).__name__.lower()
        array = array_of(name, input)
        if array.ndim not in (2, 3):
            raise ValueError(
                f"{name}: input has shape {array.shape}, expected 2 or 3 dimensions "
                "(steps, features, and a batch between or before them)"
            )
        if array.shape[-1] != self.input_size:
            raise ValueError(
                f"{name}: input has {array.shape[-1]} features, expected {self.input_size}"
            )
        has_batch = array.ndim == 3
        batch_dim = 0 if self.batch_first else 1
        x = input if has_batch else unsqueeze(input, batch_dim)
        if states is None:
            layers = self.num_layers * (2 if self.bidirectional else 1)
            shape = (layers, x.shape[batch_dim], self.hidden_size)
            zero = zeros(*shape, dtype=x.dtype, device=x.device)
            states = (zero, zero) if self._cell == "lstm" else (zero,)
        else:
            for label, state in zip(("h_0", "c_0"), states, strict=False):
                if array_of(name, state, label).ndim != array.ndim:
                    raise ValueError(
                        f"{name}: {label} has shape {state.shape}, expected {array.ndim} "
                        f"dimensions, for an input of shape {array.shape}"
                    )
            if not has_batch:
                states = tuple(unsqueeze(state, 1) for state in states)
        y, *last = _NETWORKS[self._cell](
            x,
            states if self._cell == "lstm" else states[0],
            [getattr(self, each) for each in self._names],
            self.bias,
            self.num_layers,
            self.dropout,
            self.training,
            self.bidirectional,
            self.batch_first,
        )
        if has_batch:
            return y, *last
        return squeeze(y, batch_dim), *(squeeze(state, 1) for state in last)

    def extra_repr(self) -> str:
        """Return the options that differ from their defaults."""
        text = f"{self.input_size}, {self.hidden_size}"
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
        return text


class RNN(_Recurrent):
    """Layers of ``h = tanh(weight_ih x + bias_ih + weight_hh h + bias_hh)`` over a sequence.

    Attributes:
        weight_ih_l0: (hidden_size, input_size); deeper layers take hidden_size times directions.
        weight_hh_l0: (hidden_size, hidden_size).
        bias_ih_l0: (hidden_size), like bias_hh_l0 there only with ``bias``. The backward
            direction's parameters end in ``_reverse``.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the parameters; ``nonlinearity`` is ``"tanh"`` or ``"relu"``.

        Raises:
            ValueError: a size is not positive, ``dropout`` is not in [0, 1], or the nonlinearity
                is unknown.
        """
        cell = cell_of("RNN", nonlinearity)
        options = (num_layers, bias, batch_first, dropout, bidirectional, device, dtype)
        super().__init__(cell, input_size, hidden_size, *options)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> States:
        """Return the outputs of the last layer and the last states of all.

        Args:
            input: (T, B, I), or (B, T, I) with ``batch_first``, or (T, I).
            hx: initial states, (layers * directions, B, H), zeros if None; no B if input has none.

        Raises:
            ValueError: a shape does not fit.
        """
        y, h = self._run(input, None if hx is None else (hx,))
        return y, h

    def extra_repr(self) -> str:
        """Return the options that differ from their defaults."""
        text = super().extra_repr()
        return text if self.nonlinearity == "tanh" else f"{text}, nonlinearity='relu'"


class LSTM(_Recurrent):
    """Long short-term memory over a sequence, gates in the order i, f, g, o.

    Attributes:
        weight_ih_l0: (4 * hidden_size, input_size); the rest as in `RNN`, with 4 * hidden_size.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the parameters.

        Raises:
            ValueError: a size is not positive, or ``dropout`` is not in [0, 1].
        """
        options = (num_layers, bias, batch_first, dropout, bidirectional, device, dtype)
        super().__init__("lstm", input_size, hidden_size, *options)

    def forward(self, input: Tensor, hx: States | None = None) -> tuple[Tensor, States]:
        """Return the outputs of the last layer and the pair of last states and cells of all.

        Args:
            input: (T, B, I), or (B, T, I) with ``batch_first``, or (T, I).
            hx: the pair (h_0, c_0), each (layers * directions, B, H), zeros if None; no B if
                input has none.

        Raises:
            ValueError: a shape does not fit.
            TypeError: ``hx`` is no pair.
        """
        y, h, c = self._run(input, None if hx is None else pair_of("lstm", hx))
        return y, (h, c)


class GRU(_Recurrent):
    """Gated recurrent units over a sequence, gates in the order r, z, n.

    Attributes:
        weight_ih_l0: (3 * hidden_size, input_size); the rest as in `RNN`, with 3 * hidden_size.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the parameters; errors are those of `LSTM`."""
        options = (num_layers, bias, batch_first, dropout, bidirectional, device, dtype)
        super().__init__("gru", input_size, hidden_size, *options)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> States:
        """Return the outputs of the last layer and the last states of all, as `RNN.forward`."""
        y, h = self._run(input, None if hx is None else (hx,))
        return y, h

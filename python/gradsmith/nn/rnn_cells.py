# SPDX-License-Identifier: Apache-2.0
"""Single recurrent cells, one step per call: LSTM, peephole LSTM and GRU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from gradsmith.nn.module import Module
from gradsmith.nn.parameter import Parameter
from gradsmith.nn.rnn_base import cell_of, draw_parameters
from gradsmith.nn.sizes import checked_int, new_parameter
from gradsmith.ops import rnn
from gradsmith.ops.creation import zeros
from gradsmith.ops.rnn import States, pair_of
from gradsmith.ops.rnn_variants import peephole_lstm_cell
from gradsmith.ops.shape import squeeze, unsqueeze
from gradsmith.tensor import Tensor, array_of


class _Cell(Module):
    """What the cells share."""

    gates: ClassVar[int]
    states: ClassVar[int] = 1
    has_peepholes: ClassVar[bool] = False
    weight_ih: Parameter
    weight_hh: Parameter
    bias_ih: Parameter | None
    bias_hh: Parameter | None

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool, device: Any, dtype: Any
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.input_size = checked_int(name, "input_size", input_size)
        self.hidden_size = checked_int(name, "hidden_size", hidden_size)
        self.bias = bool(bias)
        rows = self.gates * self.hidden_size
        self.weight_ih = new_parameter(rows, self.input_size, device=device, dtype=dtype)
        self.weight_hh = new_parameter(rows, self.hidden_size, device=device, dtype=dtype)
        for kind in ("bias_ih", "bias_hh"):
            parameter = new_parameter(rows, device=device, dtype=dtype) if bias else None
            self.register_parameter(kind, parameter)
        if self.has_peepholes:
            self.weight_ch = new_parameter(3 * self.hidden_size, device=device, dtype=dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew, uniform within 1 / sqrt(hidden_size)."""
        draw_parameters(self, self.hidden_size)

    def _step(
        self,
        function: Callable[..., Any],
        input: Tensor,
        states: tuple[Tensor, ...] | None,
    ) -> tuple[Tensor, ...]:
        """Return the new states, with a batch dimension if the input has one."""
        name = type(self).__name__.lower()
        array = array_of(name, input)
        if array.ndim not in (1, 2):
            raise ValueError(
                f"{name}: input has shape {array.shape}, expected 1 or 2 dimensions "
                "(features, and a batch before them)"
            )
        if array.shape[-1] != self.input_size:
            raise ValueError(
                f"{name}: input has {array.shape[-1]} features, expected {self.input_size}"
            )
        count = self.states
        if states is None:
            shape = (*array.shape[:-1], self.hidden_size)
            states = (zeros(*shape, dtype=input.dtype, device=input.device),) * count
        for state in states:
            if array_of(name, state, "hx").ndim != array.ndim:
                raise ValueError(
                    f"{name}: hx has shape {state.shape}, expected {array.ndim} dimensions, for an "
                    f"input of shape {array.shape}"
                )
        has_batch = array.ndim == 2
        if not has_batch:
            input, states = unsqueeze(input, 0), tuple(unsqueeze(each, 0) for each in states)
        weights = (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        result = function(input, states if count == 2 else states[0], *weights)
        new = result if count == 2 else (result,)
        return new if has_batch else tuple(squeeze(each, 0) for each in new)

    def extra_repr(self) -> str:
        """Return the sizes and the options that differ from their defaults."""
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(_Cell):
    """One step ``h = tanh(weight_ih x + bias_ih + weight_hh h + bias_hh)``.

    Attributes:
        weight_ih: (hidden_size, input_size).
        weight_hh: (hidden_size, hidden_size).
        bias_ih: (hidden_size) or None, like bias_hh.
    """

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the parameters; ``nonlinearity`` is ``"tanh"`` or ``"relu"``.

        Raises:
            ValueError: a size is not positive, or the nonlinearity is unknown.
        """
        cell = cell_of("RNNCell", nonlinearity)
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity
        self._function = rnn.rnn_tanh_cell if cell == "rnn_tanh" else rnn.rnn_relu_cell

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """Return the new state (B, H) for an input (B, I) and a state (B, H), zeros if None.

        Raises:
            ValueError: a shape does not fit.
        """
        return self._step(self._function, input, None if hx is None else (hx,))[0]

    def extra_repr(self) -> str:
        """Return the sizes and the options that differ from their defaults."""
        text = super().extra_repr()
        return text if self.nonlinearity == "tanh" else f"{text}, nonlinearity='relu'"


class LSTMCell(_Cell):
    """One LSTM step, gates in the order i, f, g, o; parameters as in `RNNCell`, four times."""

    gates = 4
    states = 2

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the parameters.

        Raises:
            ValueError: a size is not positive.
        """
        super().__init__(input_size, hidden_size, bias, device, dtype)

    def forward(self, input: Tensor, hx: States | None = None) -> States:
        """Return the new state and cell (B, H) for an input (B, I) and the pair before.

        Raises:
            ValueError: a shape does not fit.
            TypeError: ``hx`` is no pair.
        """
        h, c = self._step(rnn.lstm_cell, input, None if hx is None else pair_of("lstmcell", hx))
        return h, c


class PeepholeLSTMCell(LSTMCell):
    """One LSTM step whose gates see the cell (Gers and Schmidhuber 2000).

    Attributes:
        weight_ch: (3 * hidden_size), from the cell to the gates i, f, o; the rest as in `LSTMCell`.
    """

    has_peepholes = True
    weight_ch: Parameter

    def forward(self, input: Tensor, hx: States | None = None) -> States:
        """Return what `LSTMCell.forward` returns, of the same arguments."""

        def step(x: Tensor, states: States, w_ih: Tensor, w_hh: Tensor, *biases: Any) -> States:
            return peephole_lstm_cell(x, states, w_ih, w_hh, self.weight_ch, *biases)

        states = None if hx is None else pair_of("peepholelstmcell", hx)
        h, c = self._step(step, input, states)
        return h, c


class GRUCell(_Cell):
    """One GRU step, gates in the order r, z, n; parameters as in `RNNCell`, three times."""

    gates = 3

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the parameters.

        Raises:
            ValueError: a size is not positive.
        """
        super().__init__(input_size, hidden_size, bias, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """Return the new state (B, H) for an input (B, I) and a state (B, H), zeros if None.

        Raises:
            ValueError: a shape does not fit.
        """
        return self._step(rnn.gru_cell, input, None if hx is None else (hx,))[0]

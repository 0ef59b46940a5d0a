# SPDX-License-Identifier: Apache-2.0
"""Recurrent layers over sequences: `RNN`, `LSTM`, `GRU` and `PeepholeLSTM`.

All take padded input, with the ``lengths`` of its sequences if they differ, or packed sequences.
"""

from __future__ import annotations

from typing import Any

from gradsmith.nn.rnn_base import Recurrent, cell_of
from gradsmith.nn.sizes import checked_int
from gradsmith.ops.rnn import States, pair_of
from gradsmith.ops.rnn_packing import PackedSequence
from gradsmith.tensor import Tensor


class RNN(Recurrent):
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
        *,
        merge_mode: str | None = "concat",
    ) -> None:
        """Make the parameters.

        Args:
            input_size: features of a step.
            hidden_size: features of the state.
            num_layers: layers on top of each other.
            nonlinearity: ``"tanh"`` or ``"relu"``.
            bias: whether there are biases.
            batch_first: whether the batch is the first dimension of input and output.
            dropout: share of each layer's outputs but the last's that is dropped in training.
            bidirectional: whether a second set of weights walks the sequence backwards.
            device: where the parameters are.
            dtype: of the parameters.
            merge_mode: what becomes of the last layer's outputs of both directions: ``"concat"``,
                ``"sum"``, ``"mul"``, ``"ave"``, or None for a pair of them.

        Raises:
            ValueError: a size is not positive, ``dropout`` is not in [0, 1], or the nonlinearity
                or the merge mode is unknown.
        """
        cell = cell_of("RNN", nonlinearity)
        options = (num_layers, bias, batch_first, dropout, bidirectional, device, dtype, merge_mode)
        super().__init__(cell, input_size, hidden_size, *options)
        self.nonlinearity = nonlinearity

    def forward(
        self, input: Tensor | PackedSequence, hx: Tensor | None = None, lengths: Any = None
    ) -> tuple[Any, Tensor]:
        """Return the outputs of the last layer and the last states of all.

        Args:
            input: (T, B, I), or (B, T, I) with ``batch_first``, or (T, I); or packed sequences,
                which give packed outputs.
            hx: initial states, (layers * directions, B, H), zeros if None; no B if input has none.
            lengths: integers (B,) in [1, T]; what lies past a sequence's end is not read, outputs
                there are 0, and the last state is that at the sequence's own end.

        Raises:
            ValueError: a shape does not fit, or a length is out of range.
        """
        y, h = self._run(input, None if hx is None else (hx,), lengths)
        return y, h

    def extra_repr(self) -> str:
        """Return the options that differ from their defaults."""
        text = super().extra_repr()
        return text if self.nonlinearity == "tanh" else f"{text}, nonlinearity='relu'"


class LSTM(Recurrent):
    """Long short-term memory over a sequence, gates in the order i, f, g, o.

    Attributes:
        weight_ih_l0: (4 * hidden_size, input_size); the rest as in `RNN`, with 4 * hidden_size.
        weight_hr_l0: (proj_size, hidden_size), with ``proj_size`` only.

    Example:
        >>> import gradsmith as gs
        >>> lstm = gs.nn.LSTM(3, 5, batch_first=True, bidirectional=True)
        >>> y, (h, c) = lstm(gs.randn(2, 7, 3), lengths=gs.tensor([7, 4]))
        >>> y.shape, h.shape, y[1, 4:].abs().sum().item()
        ((2, 7, 10), (2, 2, 5), 0.0)
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
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
        *,
        merge_mode: str | None = "concat",
    ) -> None:
        """Make the parameters; the arguments are those of `RNN`, and ``proj_size``.

        ``proj_size`` above 0 is the size of the state after a projection (Sak et al. 2014).

        Raises:
            ValueError: as `RNN`, or ``proj_size`` is not below ``hidden_size``.
        """
        self.proj_size = checked_int("LSTM", "proj_size", proj_size, minimum=0)
        if self.proj_size and self.proj_size >= checked_int("LSTM", "hidden_size", hidden_size):
            raise ValueError(
                f"LSTM: proj_size is {proj_size}, expected less than hidden_size {hidden_size}"
            )
        options = (num_layers, bias, batch_first, dropout, bidirectional, device, dtype, merge_mode)
        cell = "lstm_projected" if self.proj_size else "lstm"
        super().__init__(cell, input_size, hidden_size, *options, self.proj_size)

    def forward(
        self, input: Tensor | PackedSequence, hx: States | None = None, lengths: Any = None
    ) -> tuple[Any, States]:
        """Return the outputs of the last layer and the pair of last states and cells of all.

        Args:
            input: as `RNN.forward`.
            hx: the pair (h_0, c_0), each (layers * directions, B, H), zeros if None; no B if
                input has none.
            lengths: as `RNN.forward`.

        Raises:
            ValueError: a shape does not fit, or a length is out of range.
            TypeError: ``hx`` is no pair.
        """
        y, h, c = self._run(input, None if hx is None else pair_of("lstm", hx), lengths)
        return y, (h, c)


class PeepholeLSTM(Recurrent):
    """LSTM whose gates see the cell, through a weight per unit (Gers and Schmidhuber 2000).

    The gates i and f see the cell before, o the new one.

    Attributes:
        weight_ih_l0: (4 * hidden_size, input_size); the rest as in `LSTM`.
        weight_ch_l0: (3 * hidden_size), from the cell to the gates i, f, o.
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
        *,
        merge_mode: str | None = "concat",
    ) -> None:
        """Make the parameters; arguments and errors are those of `RNN`."""
        options = (num_layers, bias, batch_first, dropout, bidirectional, device, dtype, merge_mode)
        super().__init__("lstm_peephole", input_size, hidden_size, *options)

    def forward(
        self, input: Tensor | PackedSequence, hx: States | None = None, lengths: Any = None
    ) -> tuple[Any, States]:
        """Return what `LSTM.forward` returns, of the same arguments."""
        y, h, c = self._run(input, None if hx is None else pair_of("peepholelstm", hx), lengths)
        return y, (h, c)


class GRU(Recurrent):
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
        *,
        merge_mode: str | None = "concat",
        reset_after: bool = True,
    ) -> None:
        """Make the parameters; arguments and errors are those of `RNN`, and ``reset_after``.

        With ``reset_after`` (PyTorch, Keras) ``n = tanh(W x + b + r (U h + c))``, without (Cho et
        al. 2014) ``n = tanh(W x + b + U (r h) + c)``, step by step.
        """
        options = (num_layers, bias, batch_first, dropout, bidirectional, device, dtype, merge_mode)
        super().__init__(
            "gru" if reset_after else "gru_reset_before", input_size, hidden_size, *options
        )
        self.reset_after = bool(reset_after)

    def forward(
        self, input: Tensor | PackedSequence, hx: Tensor | None = None, lengths: Any = None
    ) -> tuple[Any, Tensor]:
        """Return the outputs of the last layer and the last states of all, as `RNN.forward`."""
        y, h = self._run(input, None if hx is None else (hx,), lengths)
        return y, h

    def extra_repr(self) -> str:
        """Return the options that differ from their defaults."""
        return super().extra_repr() + ("" if self.reset_after else ", reset_after=False")

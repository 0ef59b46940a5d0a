# SPDX-License-Identifier: Apache-2.0
"""Positions for attention: added sinusoids, added rows that are learned, rotated features."""

from __future__ import annotations

from typing import Any

from gradsmith.nn import functional as F
from gradsmith.nn import init
from gradsmith.nn.dropout import Dropout
from gradsmith.nn.module import Module
from gradsmith.nn.parameter import Parameter
from gradsmith.nn.sizes import checked_int, new_parameter
from gradsmith.ops.attention_positions import sinusoidal_positions
from gradsmith.ops.elementwise import add
from gradsmith.ops.shape import unsqueeze
from gradsmith.ops.shape_pieces import narrow
from gradsmith.tensor import Tensor, array_of


class _Added(Module):
    """Adds a row of a table per position, then drops."""

    def __init__(self, d_model: int, max_len: int, dropout: float, batch_first: bool) -> None:
        super().__init__()
        name = type(self).__name__
        self.d_model = checked_int(name, "d_model", d_model)
        self.max_len = checked_int(name, "max_len", max_len)
        self.batch_first = bool(batch_first)
        self.dropout = Dropout(dropout)

    def _table(self) -> Tensor:
        raise NotImplementedError

    def forward(self, input: Tensor) -> Tensor:
        """Return the input with its positions: (T, N, d_model), (N, T, d_model) or (T, d_model).

        Raises:
            ValueError: the input has other features, or more steps than ``max_len``.
        """
        name = type(self).__name__.lower()
        shape = array_of(name, input).shape
        if len(shape) not in (2, 3) or shape[-1] != self.d_model:
            raise ValueError(
                f"{name}: input has shape {shape}, expected 2 or 3 dimensions, the last of size "
                f"{self.d_model}"
            )
        along = 1 if self.batch_first and len(shape) == 3 else 0
        if shape[along] > self.max_len:
            raise ValueError(
                f"{name}: input has {shape[along]} steps, expected at most max_len {self.max_len}"
            )
        rows = narrow(self._table(), 0, 0, shape[along])
        positions = unsqueeze(rows, 1) if len(shape) == 3 and not along else rows
        result: Tensor = self.dropout(add(input, positions))
        return result

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.d_model}, max_len={self.max_len}, batch_first={self.batch_first}"


class SinusoidalPositionalEncoding(_Added):
    """Adds ``sin`` and ``cos`` of ``position / 10000 ** (2 i / d_model)`` (Vaswani et al. 2017).

    Attributes:
        table: (max_len, d_model), a buffer that is not part of the state.

    Example:
        >>> import gradsmith as gs
        >>> gs.nn.SinusoidalPositionalEncoding(4)(gs.zeros(2, 4))[0]
        tensor([0., 1., 0., 1.])
    """

    table: Tensor

    def __init__(
        self,
        d_model: int,
        max_len: int = 5000,
        dropout: float = 0.0,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the table.

        Args:
            d_model: features.
            max_len: steps that an input has at most.
            dropout: share of the results that is dropped in training.
            batch_first: whether the batch is the first dimension.
            device: where the table is.
            dtype: of the table.

        Raises:
            ValueError: a size is not positive, or ``dropout`` is not in [0, 1].
        """
        super().__init__(d_model, max_len, dropout, batch_first)
        like = new_parameter(0, device=device, dtype=dtype)
        table = sinusoidal_positions(self.max_len, self.d_model, dtype=like.dtype, device=device)
        self.register_buffer("table", table, persistent=False)

    def _table(self) -> Tensor:
        return self.table


class LearnedPositionalEncoding(_Added):
    """Adds a learned row per position.

    Attributes:
        weight: (max_len, d_model), normal with deviation 0.02 at first (as BERT and GPT-2).
    """

    weight: Parameter

    def __init__(
        self,
        d_model: int,
        max_len: int,
        dropout: float = 0.0,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the rows; arguments and errors are those of `SinusoidalPositionalEncoding`."""
        super().__init__(d_model, max_len, dropout, batch_first)
        self.weight = new_parameter(self.max_len, self.d_model, device=device, dtype=dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the rows anew."""
        init.normal_(self.weight, std=0.02)

    def _table(self) -> Tensor:
        return self.weight


class RotaryEmbedding(Module):
    """Rotates pairs of features of queries and keys by their position (Su et al. 2021)."""

    def __init__(self, dim: int, base: float = 10000.0, interleaved: bool = True) -> None:
        """Remember the options.

        Args:
            dim: features of a head, an even number.
            base: pair i turns by ``position / base ** (2 i / dim)``.
            interleaved: whether a pair are features 2i and 2i + 1, as in the paper; else they are
                i and dim/2 + i.

        Raises:
            ValueError: ``dim`` is not positive or odd.
        """
        super().__init__()
        self.dim = checked_int("RotaryEmbedding", "dim", dim)
        if self.dim % 2:
            raise ValueError(f"RotaryEmbedding: dim is {dim}, expected an even number")
        self.base = base
        self.interleaved = interleaved

    def forward(self, input: Tensor, offset: int = 0) -> Tensor:
        """Return (..., L, dim) rotated; row 0 is at position ``offset``.

        Raises:
            ValueError: the input has other features.
        """
        shape = array_of("rotaryembedding", input).shape
        if shape[-1:] != (self.dim,):
            raise ValueError(f"input has shape {shape}, expected (..., L, {self.dim})")
        return F.rotary_embedding(input, offset, self.base, self.interleaved)

    def extra_repr(self) -> str:
        """Return the options."""
        return f"{self.dim}, base={self.base}, interleaved={self.interleaved}"

# SPDX-License-Identifier: Apache-2.0
"""Dropout layers: in training they zero elements or whole channels at random."""

from __future__ import annotations

from gradsmith.nn import functional as F
from gradsmith.nn.module import Module
from gradsmith.tensor import Tensor


class _Dropout(Module):
    """What the dropout layers share."""

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        """Remember the probability of dropping.

        Raises:
            TypeError: ``p`` is no number.
            ValueError: ``p`` lies outside [0, 1].
        """
        super().__init__()
        if isinstance(p, bool) or not isinstance(p, (int, float)):
            raise TypeError(f"{type(self).__name__}: p is a {type(p).__name__}, expected a number")
        if not 0 <= p <= 1:
            raise ValueError(f"{type(self).__name__}: p is {p}, expected a number in [0, 1]")
        self.p = p
        self.inplace = inplace

    def extra_repr(self) -> str:
        """Return the options."""
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """Zeros each element with probability p; scales the others by 1 / (1 - p)."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the input with elements dropped; unchanged in evaluation."""
        return F.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(_Dropout):
    """Zeros whole channels of (N, C, L) or (C, L)."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the input with channels dropped; unchanged in evaluation."""
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(_Dropout):
    """Zeros whole channels of (N, C, H, W)."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the input with channels dropped; unchanged in evaluation."""
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(_Dropout):
    """Zeros whole channels of (N, C, D, H, W)."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the input with channels dropped; unchanged in evaluation."""
        return F.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(_Dropout):
    """Dropout that keeps mean and variance of `SELU` networks (Klambauer et al. 2017)."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the input with elements set to SELU's lower limit; unchanged in evaluation."""
        return F.alpha_dropout(input, self.p, self.training)

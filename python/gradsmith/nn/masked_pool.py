# SPDX-License-Identifier: Apache-2.0
"""Pooling over the steps of sequences of different lengths."""

from __future__ import annotations

from gradsmith.nn import functional as F
from gradsmith.nn.module import Module
from gradsmith.tensor import Tensor


class MaskedMeanPool(Module):
    """Mean over each sequence's own steps."""

    def forward(self, input: Tensor, lengths: Tensor) -> Tensor:
        """Return (N, *) for an input (N, T, *) and the lengths (N,) of its sequences."""
        return F.masked_mean(input, lengths)


class MaskedMaxPool(Module):
    """Maximum over each sequence's own steps."""

    def forward(self, input: Tensor, lengths: Tensor) -> Tensor:
        """Return (N, *) for an input (N, T, *) and the lengths (N,) of its sequences."""
        return F.masked_max(input, lengths)

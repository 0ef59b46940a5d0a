# SPDX-License-Identifier: Apache-2.0
"""Dropout layers: in training they zero elements or whole channels at random."""

from __future__ import annotations

from gradsmith.nn import functional as F
from gradsmith.nn.module import Module
from gradsmith.ops.options import check_number
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
        if not 0 <= check_number(type(self).__name__, "p", p) <= 1:
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


class FeatureAlphaDropout(_Dropout):
    """`AlphaDropout` of whole channels of (N, C, ...)."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the input with channels set to SELU's lower limit; unchanged in evaluation."""
        return F.feature_alpha_dropout(input, self.p, self.training)


class GaussianNoise(Module):
    """In training, adds normal numbers of mean 0 (Keras)."""

    def __init__(self, stddev: float) -> None:
        """Remember the standard deviation; the call checks it."""
        super().__init__()
        self.stddev = stddev

    def forward(self, input: Tensor) -> Tensor:
        """Return the input with noise; unchanged in evaluation."""
        return F.gaussian_noise(input, self.stddev, self.training)

    def extra_repr(self) -> str:
        """Return the standard deviation."""
        return f"stddev={self.stddev}"


class GaussianDropout(Module):
    """In training, multiplies by normal numbers with dropout's mean and variance (Keras)."""

    def __init__(self, rate: float) -> None:
        """Remember the rate of the dropout it resembles; the call checks it."""
        super().__init__()
        self.rate = rate

    def forward(self, input: Tensor) -> Tensor:
        """Return the input with noise; unchanged in evaluation."""
        return F.gaussian_dropout(input, self.rate, self.training)

    def extra_repr(self) -> str:
        """Return the rate."""
        return f"rate={self.rate}"

# SPDX-License-Identifier: Apache-2.0
"""Activation functions of the textbooks as modules; the formulas stand with the functions."""

from __future__ import annotations

from collections.abc import Sequence

from gradsmith.nn import functional as F
from gradsmith.nn.module import Module
from gradsmith.ops.elementwise_round import sign
from gradsmith.tensor import Tensor, array_of


class Step(Module):
    """1 where positive, 0 where negative, ``at_zero`` (0, 1/2 or 1) at 0; its gradient is 0."""

    def __init__(self, at_zero: float = 1.0) -> None:
        """Remember the value at 0.

        Raises:
            ValueError: it is none of 0, 0.5 and 1.
        """
        super().__init__()
        if at_zero not in (0, 0.5, 1):
            raise ValueError(f"Step: at_zero is {at_zero}, expected 0, 0.5 or 1")
        self.at_zero = at_zero

    def forward(self, input: Tensor) -> Tensor:
        """Return 0, ``at_zero`` or 1 for each element."""
        return F.step(input, self.at_zero)

    def extra_repr(self) -> str:
        """Return the value at 0."""
        return f"at_zero={self.at_zero}"


class Sign(Module):
    """-1 where negative, 0 at 0, 1 where positive; its gradient is 0."""

    def forward(self, input: Tensor) -> Tensor:
        """Return -1, 0 or 1 for each element."""
        return sign(input)


class PiecewiseLinear(Module):
    """Line through knots, constant outside; by default saturating: 0, ``x + 1/2``, 1."""

    def __init__(self, x: Sequence[float] = (-0.5, 0.5), y: Sequence[float] = (0.0, 1.0)) -> None:
        """Remember where the knots are and the values there; the call checks them."""
        super().__init__()
        self.x = tuple(x)
        self.y = tuple(y)

    def forward(self, input: Tensor) -> Tensor:
        """Return the elementwise result."""
        return F.piecewise_linear(input, self.x, self.y)

    def extra_repr(self) -> str:
        """Return the knots."""
        return f"x={self.x}, y={self.y}"


class _Sloped(Module):
    """Has the option ``slope``, the factor of the input."""

    def __init__(self, slope: float = 1.0) -> None:
        """Remember the slope."""
        super().__init__()
        self.slope = slope

    def extra_repr(self) -> str:
        """Return the slope."""
        return f"slope={self.slope}"


class ScaledSigmoid(_Sloped):
    """``1 / (1 + exp(-slope x))``."""

    def forward(self, input: Tensor) -> Tensor:
        """Return values in (0, 1)."""
        return F.scaled_sigmoid(input, self.slope)


class BipolarSigmoid(_Sloped):
    """``2 / (1 + exp(-slope x)) - 1``."""

    def forward(self, input: Tensor) -> Tensor:
        """Return values in (-1, 1)."""
        return F.bipolar_sigmoid(input, self.slope)


class ScaledTanh(Module):
    """``amplitude tanh(slope x)``, by default 1.7159 tanh(2 x / 3) (LeCun 1998)."""

    def __init__(self, amplitude: float = 1.7159, slope: float = 2 / 3) -> None:
        """Remember the options."""
        super().__init__()
        self.amplitude = amplitude
        self.slope = slope

    def forward(self, input: Tensor) -> Tensor:
        """Return values within the amplitude."""
        return F.scaled_tanh(input, self.amplitude, self.slope)

    def extra_repr(self) -> str:
        """Return the options."""
        return f"amplitude={self.amplitude}, slope={self.slope:.6g}"


class ClippedReLU(Module):
    """``min(max(x, 0), max_value)``."""

    def __init__(self, max_value: float = 20.0) -> None:
        """Remember the limit; the call checks it."""
        super().__init__()
        self.max_value = max_value

    def forward(self, input: Tensor) -> Tensor:
        """Return values in [0, max_value]."""
        return F.clipped_relu(input, self.max_value)

    def extra_repr(self) -> str:
        """Return the limit."""
        return f"max_value={self.max_value}"


class RReLU(Module):
    """``x`` above 0, a random multiple of it below; in evaluation the mean one (Xu 2015)."""

    def __init__(
        self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False
    ) -> None:
        """Remember the bounds of the slope."""
        super().__init__()
        self.lower = lower
        self.upper = upper
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Return the elementwise result."""
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)

    def extra_repr(self) -> str:
        """Return the bounds."""
        return f"lower={self.lower}, upper={self.upper}" + (
            ", inplace=True" if self.inplace else ""
        )


class Softmax2d(Module):
    """`Softmax` over the channels of (N, C, H, W) or (C, H, W)."""

    def forward(self, input: Tensor) -> Tensor:
        """Return positive numbers that add up to 1 at each position."""
        if array_of("Softmax2d", input).ndim not in (3, 4):
            raise ValueError(
                f"Softmax2d: input has shape {input.shape}, expected 3 or 4 dimensions"
            )
        return F.softmax(input, -3)

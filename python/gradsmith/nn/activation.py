# SPDX-License-Identifier: Apache-2.0
"""Activation functions as modules; the formulas stand with the functions in `nn.functional`."""

from __future__ import annotations

from typing import Any

from gradsmith.nn import functional as F
from gradsmith.nn import init
from gradsmith.nn.module import Module
from gradsmith.nn.parameter import Parameter
from gradsmith.nn.sizes import checked_int, new_parameter
from gradsmith.tensor import Tensor

# ---- without options -----------------------------------------------------------------------------


class Sigmoid(Module):
    """``1 / (1 + exp(-x))``."""

    def forward(self, input: Tensor) -> Tensor:
        """Return values in (0, 1)."""
        return F.sigmoid(input)


class Tanh(Module):
    """Hyperbolic tangent."""

    def forward(self, input: Tensor) -> Tensor:
        """Return values in (-1, 1)."""
        return F.tanh(input)


class LogSigmoid(Module):
    """``log(sigmoid(x))``, without overflow."""

    def forward(self, input: Tensor) -> Tensor:
        """Return values below 0."""
        return F.logsigmoid(input)


class Softsign(Module):
    """``x / (1 + abs(x))``."""

    def forward(self, input: Tensor) -> Tensor:
        """Return values in (-1, 1)."""
        return F.softsign(input)


class Tanhshrink(Module):
    """``x - tanh(x)``."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the elementwise result."""
        return F.tanhshrink(input)


# ---- with the option `inplace` alone -------------------------------------------------------------


class _MaybeInPlace(Module):
    """Has the option ``inplace``: write the result over the input."""

    def __init__(self, inplace: bool = False) -> None:
        """Remember whether to overwrite the input."""
        super().__init__()
        self.inplace = inplace

    def extra_repr(self) -> str:
        """Return the option if it is on."""
        return "inplace=True" if self.inplace else ""


class ReLU(_MaybeInPlace):
    """``max(x, 0)``."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the elementwise result."""
        return F.relu(input, inplace=self.inplace)


class ReLU6(_MaybeInPlace):
    """``min(max(x, 0), 6)``."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the elementwise result."""
        return F.relu6(input, inplace=self.inplace)


class SELU(_MaybeInPlace):
    """Scaled exponential unit that keeps mean 0 and variance 1 (Klambauer 2017)."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the elementwise result."""
        return F.selu(input, inplace=self.inplace)


class SiLU(_MaybeInPlace):
    """``x * sigmoid(x)``, also called swish."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the elementwise result."""
        return F.silu(input, inplace=self.inplace)


class Mish(_MaybeInPlace):
    """``x * tanh(softplus(x))``."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the elementwise result."""
        return F.mish(input, inplace=self.inplace)


class Hardswish(_MaybeInPlace):
    """``x * relu6(x + 3) / 6``."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the elementwise result."""
        return F.hardswish(input, inplace=self.inplace)


class Hardsigmoid(_MaybeInPlace):
    """``relu6(x + 3) / 6``."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the elementwise result."""
        return F.hardsigmoid(input, inplace=self.inplace)


# ---- with options --------------------------------------------------------------------------------


class _Exponential(Module):
    """An exponential unit with the options ``alpha`` and ``inplace``."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        """Remember the limit ``-alpha`` for small inputs."""
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def extra_repr(self) -> str:
        """Return the options."""
        return f"alpha={self.alpha}" + (", inplace=True" if self.inplace else "")


class ELU(_Exponential):
    """``x`` above 0, ``alpha * (exp(x) - 1)`` below."""

    def forward(self, input: Tensor) -> Tensor:
        """Return values above ``-alpha``."""
        return F.elu(input, self.alpha, self.inplace)


class CELU(_Exponential):
    """``x`` above 0, ``alpha * (exp(x / alpha) - 1)`` below."""

    def forward(self, input: Tensor) -> Tensor:
        """Return values above ``-alpha``."""
        return F.celu(input, self.alpha, self.inplace)


class LeakyReLU(Module):
    """``x`` above 0, ``negative_slope * x`` below."""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        """Remember the slope."""
        super().__init__()
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Return the elementwise result."""
        return F.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self) -> str:
        """Return the options."""
        return f"negative_slope={self.negative_slope}" + (", inplace=True" if self.inplace else "")


class PReLU(Module):
    """`LeakyReLU` whose slope is learned.

    Attributes:
        weight: (num_parameters), ``init`` at first.
    """

    weight: Parameter

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None
    ) -> None:
        """Make one slope for all, or one per channel.

        Raises:
            ValueError: ``num_parameters`` is not positive.
        """
        super().__init__()
        self.num_parameters = checked_int("PReLU", "num_parameters", num_parameters)
        self.init = init
        self.weight = new_parameter(self.num_parameters, device=device, dtype=dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the slopes to their first value."""
        init.constant_(self.weight, self.init)

    def forward(self, input: Tensor) -> Tensor:
        """Return the elementwise result; channels are dimension 1."""
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        """Return the number of slopes."""
        return f"num_parameters={self.num_parameters}"


class GELU(Module):
    """``x`` times the share of a standard normal below ``x``."""

    def __init__(self, approximate: str = "none") -> None:
        """Remember the formula: ``"none"`` for the exact one, ``"tanh"`` for the approximation.

        Raises:
            ValueError: the name is unknown.
        """
        super().__init__()
        if approximate not in ("none", "tanh"):
            raise ValueError(f"GELU: approximate is {approximate!r}, expected 'none' or 'tanh'")
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        """Return the elementwise result."""
        return F.gelu(input, approximate=self.approximate)

    def extra_repr(self) -> str:
        """Return the formula."""
        return f"approximate={self.approximate!r}"


class Softplus(Module):
    """``log(1 + exp(beta * x)) / beta``; the identity where ``beta * x`` exceeds ``threshold``."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        """Remember the options."""
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Tensor) -> Tensor:
        """Return values above 0."""
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        """Return the options."""
        return f"beta={self.beta}, threshold={self.threshold}"


class Hardtanh(Module):
    """``x`` clamped to [min_val, max_val]."""

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        """Remember the bounds.

        Raises:
            ValueError: the bounds are no interval.
        """
        super().__init__()
        if not min_val < max_val:
            raise ValueError(f"Hardtanh: min_val {min_val} is not below max_val {max_val}")
        self.min_val = min_val
        self.max_val = max_val
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Return values in [min_val, max_val]."""
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self) -> str:
        """Return the bounds."""
        bounds = f"min_val={self.min_val}, max_val={self.max_val}"
        return bounds + (", inplace=True" if self.inplace else "")


class Threshold(Module):
    """``x`` above ``threshold``, else ``value``."""

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        """Remember the options."""
        super().__init__()
        self.threshold = threshold
        self.value = value
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Return the elementwise result."""
        return F.threshold(input, self.threshold, self.value, self.inplace)

    def extra_repr(self) -> str:
        """Return the options."""
        options = f"threshold={self.threshold}, value={self.value}"
        return options + (", inplace=True" if self.inplace else "")


class _Shrink(Module):
    """Has the option ``lambd``, the half width of the interval that becomes 0."""

    def __init__(self, lambd: float = 0.5) -> None:
        """Remember the half width."""
        super().__init__()
        self.lambd = lambd

    def extra_repr(self) -> str:
        """Return the half width."""
        return str(self.lambd)


class Softshrink(_Shrink):
    """``x`` moved towards 0 by ``lambd``, 0 within."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the elementwise result."""
        return F.softshrink(input, self.lambd)


class Hardshrink(_Shrink):
    """``x`` outside [-lambd, lambd], 0 within."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the elementwise result."""
        return F.hardshrink(input, self.lambd)


# ---- over a dimension ----------------------------------------------------------------------------


class GLU(Module):
    """First half of a dimension times the sigmoid of the second."""

    def __init__(self, dim: int = -1) -> None:
        """Remember the dimension; its size has to be even."""
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """Return a tensor of half the size in the dimension."""
        return F.glu(input, self.dim)

    def extra_repr(self) -> str:
        """Return the dimension."""
        return f"dim={self.dim}"


class _OverDimension(Module):
    """Normalises along one dimension, which has to be given."""

    def __init__(self, dim: int) -> None:
        """Remember the dimension."""
        super().__init__()
        self.dim = dim

    def extra_repr(self) -> str:
        """Return the dimension."""
        return f"dim={self.dim}"


class Softmax(_OverDimension):
    """``exp(x) / sum(exp(x))`` along ``dim``."""

    def forward(self, input: Tensor) -> Tensor:
        """Return positive numbers that add up to 1."""
        return F.softmax(input, self.dim)


class Softmin(_OverDimension):
    """`Softmax` of ``-x``."""

    def forward(self, input: Tensor) -> Tensor:
        """Return positive numbers that add up to 1."""
        return F.softmin(input, self.dim)


class LogSoftmax(_OverDimension):
    """Logarithm of `Softmax`, computed without underflow."""

    def forward(self, input: Tensor) -> Tensor:
        """Return numbers whose exponentials add up to 1."""
        return F.log_softmax(input, self.dim)

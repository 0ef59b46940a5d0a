# SPDX-License-Identifier: Apache-2.0
"""Losses of predicted numbers, and of the parameters of their distributions, as modules."""

from __future__ import annotations

from gradsmith.nn import functional as F
from gradsmith.nn.loss import _Loss
from gradsmith.nn.module import Module
from gradsmith.ops.loss_checks import check_positive
from gradsmith.tensor import Tensor


class SumSquaredError(Module):
    """The sum of the squared differences over all elements."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return a scalar."""
        return F.sum_squared_error(input, target)


class HalfSumSquaredError(Module):
    """Half the sum of the squared differences, whose slope is the difference."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return a scalar."""
        return F.half_sum_squared_error(input, target)


class PseudoHuberLoss(_Loss):
    """The smooth Huber loss: half the square near 0, slope ``delta`` far away."""

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        """Remember the options (ValueError unless ``delta`` is positive)."""
        super().__init__(reduction)
        self.delta = check_positive("PseudoHuberLoss", "delta", delta)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return a scalar, or the shape of the input for reduction ``"none"``."""
        return F.pseudo_huber_loss(input, target, self.reduction, self.delta)


class LogCoshLoss(_Loss):
    """The logarithm of the hyperbolic cosine of the difference."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return a scalar, or the shape of the input for reduction ``"none"``."""
        return F.log_cosh_loss(input, target, self.reduction)


class PoissonNLLLoss(_Loss):
    """Negative log-likelihood of counts under Poisson distributions of predicted rates."""

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        eps: float = 1e-8,
        reduction: str = "mean",
    ) -> None:
        """Remember the options (see `functional.poisson_nll_loss`)."""
        super().__init__(reduction)
        self.log_input = log_input
        self.full = full
        self.eps = eps

    def forward(self, log_input: Tensor, target: Tensor) -> Tensor:
        """Return a scalar, or the shape of the input for reduction ``"none"``."""
        return F.poisson_nll_loss(
            log_input, target, self.log_input, self.full, self.eps, self.reduction
        )


class GaussianNLLLoss(_Loss):
    """Negative log-likelihood under normal distributions of predicted means and variances."""

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        """Remember the options (ValueError unless ``eps`` is positive)."""
        super().__init__(reduction)
        self.full = full
        self.eps = check_positive("GaussianNLLLoss", "eps", eps)

    def forward(self, input: Tensor, target: Tensor, var: Tensor | float) -> Tensor:
        """Return a scalar, or the shape of the input for reduction ``"none"``."""
        return F.gaussian_nll_loss(input, target, var, self.full, self.eps, self.reduction)

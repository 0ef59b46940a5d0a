# SPDX-License-Identifier: Apache-2.0
"""Rates that go from one number to another by a factor: in steps, straight, or along a curve."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable

from gradsmith.optim.lr_scheduler.base import LRScheduler
from gradsmith.optim.optimizer import Optimizer
from gradsmith.optim.options import check_number


class _FactorLR(LRScheduler):
    """Base of the schedules whose rate is the initial one times a factor of the step's number."""

    def _factor(self) -> float:
        """Return the factor of step ``last_epoch``."""
        raise NotImplementedError

    def _closed_form(self) -> list[float]:
        factor = self._factor()
        return [base * factor for base in self.base_lrs]


class ConstantLR(_FactorLR):
    """Multiplies the rate by a factor until step ``total_iters``."""

    def __init__(
        self,
        optimizer: Optimizer,
        factor: float = 1.0 / 3,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        """Take the factor and how long it lasts.

        Raises:
            ValueError: the factor lies outside [0, 1].
        """
        check_number("ConstantLR", "factor", factor)
        check_number("ConstantLR", "total_iters", total_iters)
        if not factor <= 1:
            raise ValueError(f"ConstantLR: factor is {factor}, expected 0 <= factor <= 1")
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the present rates, lowered at the first step and raised again at the last."""
        if self.last_epoch == 0:
            return [lr * self.factor for lr in self._present()]
        if self.last_epoch != self.total_iters:
            return self._present()
        if self.factor == 0:  # the present rate says nothing about the one before
            return self._closed_form()
        return [lr * (1.0 / self.factor) for lr in self._present()]

    def _factor(self) -> float:
        return 1.0 if self.last_epoch >= self.total_iters else self.factor


class StepLR(_FactorLR):
    """Multiplies the rate by gamma every ``step_size`` steps."""

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        """Take the interval and the factor.

        Raises:
            ValueError: ``step_size`` is below 1.
        """
        check_number("StepLR", "step_size", step_size, low=1)
        self.step_size = step_size
        check_number("StepLR", "gamma", gamma)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the present rates, times gamma at the end of an interval."""
        falls = self.last_epoch > 0 and self.last_epoch % self.step_size == 0
        return [lr * self.gamma if falls else lr for lr in self._present()]

    def _factor(self) -> float:
        return float(self.gamma ** (self.last_epoch // self.step_size))


class MultiStepLR(_FactorLR):
    """Multiplies the rate by gamma at each milestone."""

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ) -> None:
        """Take the steps at which the rate falls; one that occurs twice counts twice."""
        steps = list(milestones) if isinstance(milestones, Iterable) else [milestones]
        for step in steps:
            if isinstance(step, bool) or not isinstance(step, int):
                kind = type(step).__name__
                raise TypeError(f"MultiStepLR: milestones is or holds a {kind}, expected ints")
        self.milestones = Counter(steps)
        check_number("MultiStepLR", "gamma", gamma)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the present rates, times gamma at a milestone."""
        factor = self.gamma ** self.milestones.get(self.last_epoch, 0)
        return [lr * factor for lr in self._present()]

    def _factor(self) -> float:
        passed = bisect_right(sorted(self.milestones.elements()), self.last_epoch)
        return float(self.gamma**passed)


class ExponentialLR(_FactorLR):
    """Multiplies the rate by gamma at every step."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        """Take the factor."""
        check_number("ExponentialLR", "gamma", gamma)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the present rates times gamma."""
        return [lr if self._is_initial else lr * self.gamma for lr in self._present()]

    def _factor(self) -> float:
        return float(self.gamma**self.last_epoch)


class LinearLR(_FactorLR):
    """Multiplies the rate by a factor that goes from one number to another, step by step."""

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        """Take the factors at the start and after ``total_iters`` steps.

        Raises:
            ValueError: a factor lies outside (0, 1] (the first) or [0, 1], or there are no steps.
        """
        check_number("LinearLR", "start_factor", start_factor)
        check_number("LinearLR", "end_factor", end_factor)
        if not 0 < start_factor <= 1:
            raise ValueError(f"LinearLR: start_factor is {start_factor}, expected 0 < it <= 1")
        if not 0 <= end_factor <= 1:
            raise ValueError(f"LinearLR: end_factor is {end_factor}, expected 0 <= it <= 1")
        check_number("LinearLR", "total_iters", total_iters, low=1)
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the present rates times the ratio of this step's factor to the last one's."""
        if self.last_epoch == 0:
            return [lr * self.start_factor for lr in self._present()]
        if self._is_initial or self.last_epoch > self.total_iters:
            return self._present()
        rise = self.end_factor - self.start_factor
        before = self.total_iters * self.start_factor + (self.last_epoch - 1) * rise
        return [lr * (1 + rise / before) for lr in self._present()]

    def _factor(self) -> float:
        share = min(self.total_iters, self.last_epoch) / self.total_iters
        return self.start_factor + (self.end_factor - self.start_factor) * share


class PolynomialLR(_FactorLR):
    """Multiplies the rate by ``(1 - step / total_iters) ** power``, 0 from ``total_iters`` on."""

    def __init__(
        self,
        optimizer: Optimizer,
        total_iters: int = 5,
        power: float = 1.0,
        last_epoch: int = -1,
    ) -> None:
        """Take the number of steps and the power.

        Raises:
            ValueError: there are no steps, or the power is negative.
        """
        check_number("PolynomialLR", "total_iters", total_iters, low=1)
        check_number("PolynomialLR", "power", power)
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the present rates times the ratio of this step's factor to the last one's."""
        if self._is_initial or self.last_epoch > self.total_iters:
            return self._present()
        now = 1 - self.last_epoch / self.total_iters
        before = 1 - (self.last_epoch - 1) / self.total_iters
        return [lr * (now / before) ** self.power for lr in self._present()]

    def _factor(self) -> float:
        share = min(self.total_iters, self.last_epoch) / self.total_iters
        return float((1 - share) ** self.power)


class InverseTimeLR(_FactorLR):
    """Divides the rate by ``1 + decay_rate * step / decay_steps`` (Keras's InverseTimeDecay)."""

    def __init__(
        self,
        optimizer: Optimizer,
        decay_rate: float,
        decay_steps: int = 1,
        staircase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        """Take how fast the rate falls.

        Args:
            optimizer: whose rates to set.
            decay_rate: growth of the divisor.
            decay_steps: in this many steps.
            staircase: let the rate fall only every ``decay_steps`` steps.
            last_epoch: see `LRScheduler`.

        Raises:
            ValueError: the rate is negative, or there are no steps.
        """
        check_number("InverseTimeLR", "decay_rate", decay_rate)
        check_number("InverseTimeLR", "decay_steps", decay_steps, low=1)
        self.decay_rate = decay_rate
        self.decay_steps = decay_steps
        self.staircase = staircase
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return initial rate over divisor."""
        return self._closed_form()

    def _factor(self) -> float:
        time = self.last_epoch / self.decay_steps
        return 1 / (1 + self.decay_rate * (time // 1 if self.staircase else time))

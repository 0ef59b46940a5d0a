# SPDX-License-Identifier: Apache-2.0
"""Learning-rate schedules: call ``step()`` after each epoch (or batch), after the optimiser's.

Each works from the group's present rate where it can, as PyTorch's do, so several may act on one
optimiser.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from gradsmith.optim.optimizer import Optimizer, check_number


class LRScheduler:
    """Base: sets each group's ``lr`` to what `get_lr` returns.

    Attributes:
        last_epoch: number of steps so far; 0 after construction.
        base_lrs: the groups' rates at the start (``initial_lr`` in the group).
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        """Start, or with ``last_epoch`` go on from the ``initial_lr`` the groups hold.

        Raises:
            TypeError: the optimizer is none.
            ValueError: ``last_epoch`` is given but a group has no ``initial_lr``.
        """
        if not isinstance(optimizer, Optimizer):
            raise TypeError(
                f"{type(self).__name__}: optimizer is a {type(optimizer).__name__}, expected an "
                "Optimizer"
            )
        self.optimizer = optimizer
        for number, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise ValueError(
                    f"{type(self).__name__}: group {number} has no initial_lr to go on from"
                )
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._last_lr: list[float] = []
        self.step()

    def get_lr(self) -> list[float]:
        """Return the rate of each group for the step ``last_epoch``."""
        raise NotImplementedError

    def get_last_lr(self) -> list[float]:
        """Return the rates that the last step set."""
        return self._last_lr

    def step(self) -> None:
        """Go on by one step and set the rates."""
        self.last_epoch += 1
        self._set(self.get_lr())

    def _set(self, rates: Sequence[float]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        self._last_lr = list(rates)

    def _present(self) -> list[float]:
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Return everything but the optimiser and functions."""
        return {
            key: value
            for key, value in self.__dict__.items()
            if key not in ("optimizer", "lr_lambdas")
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` returned.

        Raises:
            ValueError: it holds what this schedule has not.
        """
        unknown = set(state_dict) - set(self.__dict__)
        if unknown:
            raise ValueError(f"{type(self).__name__}: the state has unknown entries {unknown}")
        self.__dict__.update(state_dict)


class LambdaLR(LRScheduler):
    """Multiplies the initial rate by a function of the step's number."""

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        """Take one function, or one per group.

        Raises:
            ValueError: their number is not that of the groups.
        """
        groups = len(optimizer.param_groups)
        functions = lr_lambda if isinstance(lr_lambda, Sequence) else [lr_lambda] * groups
        for function in functions:
            if not callable(function):
                kind = type(function).__name__
                raise TypeError(f"LambdaLR: lr_lambda is or holds a {kind}, expected functions")
        self.lr_lambdas = list(functions)
        if len(self.lr_lambdas) != groups:
            raise ValueError(
                f"LambdaLR: got {len(self.lr_lambdas)} functions for {groups} parameter groups"
            )
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return initial rate times function."""
        return [
            base * function(self.last_epoch)
            for base, function in zip(self.base_lrs, self.lr_lambdas, strict=True)
        ]


class StepLR(LRScheduler):
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


class MultiStepLR(LRScheduler):
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
        factor = self.gamma ** self.milestones[self.last_epoch]
        return [lr * factor for lr in self._present()]


class ExponentialLR(LRScheduler):
    """Multiplies the rate by gamma at every step."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        """Take the factor."""
        check_number("ExponentialLR", "gamma", gamma)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the present rates times gamma."""
        return [lr * self.gamma if self.last_epoch > 0 else lr for lr in self._present()]


class LinearLR(LRScheduler):
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
        if self.last_epoch > self.total_iters:
            return self._present()
        rise = self.end_factor - self.start_factor
        before = self.total_iters * self.start_factor + (self.last_epoch - 1) * rise
        return [lr * (1 + rise / before) for lr in self._present()]


class CosineAnnealingLR(LRScheduler):
    """Lets the rate fall along half a cosine to ``eta_min`` in ``T_max`` steps, then rise again.

    From Loshchilov and Hutter 2016 (SGDR), without the restarts.
    """

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        """Take the length of the fall and the lowest rate.

        Raises:
            ValueError: ``T_max`` is below 1.
        """
        check_number("CosineAnnealingLR", "T_max", T_max, low=1)
        check_number("CosineAnnealingLR", "eta_min", eta_min)
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return this step's rates from the present ones."""
        if self.last_epoch == 0:
            return self._present()
        before = 1 + math.cos(math.pi * (self.last_epoch - 1) / self.T_max)
        now = 1 + math.cos(math.pi * self.last_epoch / self.T_max)
        # At the bottom the present rate says nothing about the amplitude.
        if (self.last_epoch - 1 - self.T_max) % (2 * self.T_max) == 0:
            return [
                lr + (base - self.eta_min) * now / 2
                for lr, base in zip(self._present(), self.base_lrs, strict=True)
            ]
        return [self.eta_min + (lr - self.eta_min) * now / before for lr in self._present()]


class ReduceLROnPlateau(LRScheduler):
    """Multiplies the rate by a factor when a metric has not improved for ``patience`` steps.

    ``step(metric)`` takes the metric.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        """Take what counts as better and how to react.

        Args:
            optimizer: whose rates to set.
            mode: ``"min"`` if smaller is better, ``"max"`` if larger is.
            factor: below 1.
            patience: steps without improvement that are let pass.
            threshold: how much better counts as an improvement.
            threshold_mode: ``"rel"``: relative to the best so far; ``"abs"``: a difference.
            cooldown: steps after a reduction in which none is counted.
            min_lr: lower bound of the rate, or one per group.
            eps: a smaller change of the rate is not made.

        Raises:
            ValueError: an option is unknown or out of range.
        """
        for name, value in (
            ("factor", factor),
            ("patience", patience),
            ("threshold", threshold),
            ("cooldown", cooldown),
            ("eps", eps),
        ):
            check_number("ReduceLROnPlateau", name, value)
        if not factor < 1:
            raise ValueError(f"ReduceLROnPlateau: factor is {factor}, expected below 1")
        if mode not in ("min", "max"):
            raise ValueError(f"ReduceLROnPlateau: mode is {mode!r}, expected 'min' or 'max'")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(
                f"ReduceLROnPlateau: threshold_mode is {threshold_mode!r}, expected 'rel' or 'abs'"
            )
        groups = len(optimizer.param_groups)
        self.min_lrs = [min_lr] * groups if isinstance(min_lr, (int, float)) else list(min_lr)
        if len(self.min_lrs) != groups:
            raise ValueError(
                f"ReduceLROnPlateau: got {len(self.min_lrs)} min_lr for {groups} parameter groups"
            )
        self.optimizer = optimizer
        self.mode = mode
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.cooldown = cooldown
        self.eps = eps
        self.last_epoch = 0
        self.cooldown_counter = 0
        self.num_bad_epochs = 0
        self.best = math.inf if mode == "min" else -math.inf
        self._last_lr = self._present()

    def step(self, metrics: Any = None) -> None:
        """Note the metric of one more step, and lower the rates if it is time.

        Raises:
            TypeError: the metric is missing.
        """
        if metrics is None:
            raise TypeError("ReduceLROnPlateau: step needs the metric, as in step(loss)")
        current = float(metrics)
        self.last_epoch += 1
        if self._is_better(current):
            self.best = current
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._last_lr = self._present()

    def _is_better(self, current: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        if self.threshold_mode == "abs":
            return sign * current > sign * self.best + self.threshold
        # PyTorch's bound, also where the best is negative.
        bound = self.best * (1 + sign * self.threshold)
        return sign * current > sign * bound

    def _reduce(self) -> None:
        rates = []
        for lr, lowest in zip(self._present(), self.min_lrs, strict=True):
            new = max(lr * self.factor, lowest)
            rates.append(new if lr - new > self.eps else lr)
        self._set(rates)

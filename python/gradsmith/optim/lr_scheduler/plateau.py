# SPDX-License-Identifier: Apache-2.0
"""A rate that falls when a metric stops improving."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gradsmith.optim.lr_scheduler.base import LRScheduler, check_optimizer, per_group
from gradsmith.optim.optimizer import Optimizer
from gradsmith.optim.options import check_number


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
        self.optimizer = check_optimizer("ReduceLROnPlateau", optimizer)
        self.min_lrs = per_group("ReduceLROnPlateau", "min_lr", optimizer, min_lr)
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

    # PyTorch's signature, unlike that of other schedules.
    def step(self, metrics: Any = None, epoch: int | None = None) -> None:  # type: ignore[override]
        """Note the metric of one more step, and lower the rates if it is time.

        Args:
            metrics: the metric, a number or tensor of one element.
            epoch: the step's number, by default the next one.

        Raises:
            TypeError: the metric is missing.
        """
        if metrics is None:
            raise TypeError("ReduceLROnPlateau: step needs the metric, as in step(loss)")
        current = float(metrics)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
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

# SPDX-License-Identifier: Apache-2.0
"""Callbacks that set the learning rate."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from gradsmith.optim.lr_scheduler import LRScheduler
from gradsmith.optim.optimizer import check_number
from gradsmith.train.callbacks import Callback, Logs, Monitor
from gradsmith.train.compiling import compiled


class _RateCallback(Callback):
    """Logs the learning rate of the first parameter group."""

    def _groups(self) -> list[dict[str, Any]]:
        return compiled(type(self).__name__, self.model).optimizer.param_groups

    def _note(self, logs: Logs | None) -> None:
        if logs is not None:
            logs["learning_rate"] = self._groups()[0]["lr"]


class LearningRateScheduler(_RateCallback):
    """Sets the learning rate: by a function before each epoch, or by an `optim.lr_scheduler`.

    A function gets the epoch, from 0, and the present rate, and returns the new one for all
    parameter groups. A schedule of `optim.lr_scheduler` takes a step after each epoch, or after
    each batch with ``interval="batch"``. The rate is in the logs as ``learning_rate``.

    Raises:
        TypeError: the schedule is neither.
        ValueError: the interval is unknown, or ``"batch"`` for a function.
    """

    def __init__(
        self, schedule: Callable[[int, float], float] | LRScheduler, interval: str = "epoch"
    ) -> None:
        """Keep the schedule."""
        super().__init__()
        if not callable(schedule) and not isinstance(schedule, LRScheduler):
            kind = type(schedule).__name__
            raise TypeError(
                f"LearningRateScheduler: schedule is a {kind}, expected a function or an "
                "LRScheduler"
            )
        steps = isinstance(schedule, LRScheduler)
        if interval not in ("epoch", "batch") or (interval == "batch" and not steps):
            raise ValueError(
                f"LearningRateScheduler: interval is {interval!r}, expected 'epoch', or 'batch' "
                "with a schedule of optim.lr_scheduler"
            )
        self.schedule = schedule
        self.interval = interval

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Set what a function returns."""
        if isinstance(self.schedule, LRScheduler):
            return
        for group in self._groups():
            rate = self.schedule(epoch, group["lr"])
            check_number("LearningRateScheduler", "the schedule's result", rate)
            group["lr"] = float(rate)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Take a step of a schedule that counts batches."""
        if self.interval == "batch" and isinstance(self.schedule, LRScheduler):
            self.schedule.step()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Log the rate of this epoch, then take the step of a schedule that counts epochs."""
        self._note(logs)
        if self.interval == "epoch" and isinstance(self.schedule, LRScheduler):
            self.schedule.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the schedule's state."""
        return self.schedule.state_dict() if isinstance(self.schedule, LRScheduler) else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the schedule's state."""
        if isinstance(self.schedule, LRScheduler):
            self.schedule.load_state_dict(state)


class ReduceLROnPlateau(_RateCallback):
    """Multiplies the learning rate by ``factor`` when the monitored value stops improving.

    Args:
        monitor: name in the logs.
        factor: what the rate is multiplied by, below 1.
        patience: epochs in a row without improvement after which the rate falls.
        verbose: 1 prints when it does.
        mode: "min", "max", or "auto", which maximises accuracies and minimises the rest.
        min_delta: a smaller change is no improvement.
        cooldown: epochs after a fall in which none is counted.
        min_lr: the rate never falls below it.

    Raises:
        ValueError: an option is out of range.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        """Check the options."""
        super().__init__()
        options = {"factor": factor, "patience": patience, "cooldown": cooldown, "min_lr": min_lr}
        for name, value in options.items():
            check_number("ReduceLROnPlateau", name, value)
        if not factor < 1:
            raise ValueError(f"ReduceLROnPlateau: factor is {factor}, expected below 1")
        self._monitor = Monitor("ReduceLROnPlateau", monitor, mode, min_delta)
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.min_lr = min_lr

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forget earlier trainings."""
        self.best = self._monitor.worst
        self.wait = 0
        self.cooldown_counter = 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare with the best epoch so far."""
        left_out = self._monitor.is_left_out(logs, self.params)
        self._note(logs)
        if not left_out:
            self._compare(epoch, self._monitor.value(logs))

    def _compare(self, epoch: int, value: float) -> None:
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.wait = 0
        if self._monitor.is_better(value, self.best):
            self.best, self.wait = value, 0
        elif self.cooldown_counter == 0:
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        self.cooldown_counter, self.wait = self.cooldown, 0
        for group in self._groups():
            if group["lr"] > self.min_lr:
                group["lr"] = max(group["lr"] * self.factor, self.min_lr)
        if self.verbose:
            rate = self._groups()[0]["lr"]
            print(f"epoch {epoch + 1}: the learning rate falls to {rate:g}", file=sys.stderr)

    def state_dict(self) -> dict[str, Any]:
        """Return the best value and the counters."""
        return {
            "best": self.best,
            "wait": self.wait,
            "cooldown_counter": self.cooldown_counter,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take them over."""
        self.__dict__.update(state)

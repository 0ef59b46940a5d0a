# SPDX-License-Identifier: Apache-2.0
"""Rates that rise and fall, with a momentum that falls and rises (Smith 2015, 2017)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from gradsmith.optim.lr_scheduler.base import LRScheduler, check_optimizer, per_group
from gradsmith.optim.optimizer import Optimizer
from gradsmith.optim.options import check_count, check_number

_PerGroup = float | Sequence[float]


class _CycleLR(LRScheduler):
    """Base of the schedules that may set the momentum, or the first beta, of each group too."""

    cycle_momentum: bool
    use_beta1: bool

    def _start_momentum(
        self, base: _PerGroup, highest: _PerGroup, is_first: bool
    ) -> tuple[list[float], list[float]]:
        """Begin at the upper end of the range, and return its lower and upper ends by group."""
        name = type(self).__name__
        defaults = self.optimizer.defaults
        if "momentum" not in defaults and "betas" not in defaults:
            raise ValueError(
                f"{name}: cycle_momentum is True, but {type(self.optimizer).__name__} has neither "
                "momentum nor betas"
            )
        self.use_beta1 = "betas" in defaults
        lowest = per_group(name, "base_momentum", self.optimizer, base)
        uppermost = per_group(name, "max_momentum", self.optimizer, highest)
        if is_first:
            pairs = zip(lowest, uppermost, strict=True)
            for group, (low, high) in zip(self.optimizer.param_groups, pairs, strict=True):
                self._set_momentum(group, high)
                group["max_momentum"], group["base_momentum"] = high, low
        return lowest, uppermost

    def _set_momentum(self, group: dict[str, Any], momentum: float) -> None:
        if self.use_beta1:
            group["betas"] = (momentum, *group["betas"][1:])
        else:
            group["momentum"] = momentum


class CyclicLR(_CycleLR):
    """Lets the rate rise and fall on straight lines between two numbers, over and over.

    Call ``step()`` after each batch.
    """

    _not_saved = ("optimizer", "_scale_fn")

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: _PerGroup,
        max_lr: _PerGroup,
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: _PerGroup = 0.8,
        max_momentum: _PerGroup = 0.9,
        last_epoch: int = -1,
    ) -> None:
        """Take the range and the shape of the cycles.

        Args:
            optimizer: whose rates to set.
            base_lr: lowest rate, one or one per group.
            max_lr: highest rate of the first cycle, likewise.
            step_size_up: steps of a rise.
            step_size_down: steps of a fall, by default as many.
            mode: ``"triangular"``, ``"triangular2"`` (each cycle half as high as the last) or
                ``"exp_range"`` (height times ``gamma ** step``).
            gamma: see ``"exp_range"``.
            scale_fn: factor of the height instead of ``mode``, of the number of the cycle, from 1
                on, or of the step.
            scale_mode: ``"cycle"`` or ``"iterations"``: what ``scale_fn`` takes.
            cycle_momentum: whether the momentum (Adam's first beta) goes the other way.
            base_momentum: lowest momentum.
            max_momentum: highest momentum.
            last_epoch: see `LRScheduler`.

        Raises:
            TypeError: the optimizer is none, or a rate no number.
            ValueError: an option is unknown or out of range, or the optimiser has no momentum.
        """
        name = "CyclicLR"
        self.optimizer = check_optimizer(name, optimizer)
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ValueError(
                f"{name}: mode is {mode!r}, expected 'triangular', 'triangular2' or 'exp_range'"
            )
        if scale_mode not in ("cycle", "iterations"):
            raise ValueError(
                f"{name}: scale_mode is {scale_mode!r}, expected 'cycle' or 'iterations'"
            )
        down = step_size_up if step_size_down is None else step_size_down
        check_number(name, "step_size_up", step_size_up, low=1)
        check_number(name, "step_size_down", down, low=1)
        check_number(name, "gamma", gamma)
        base_lrs = per_group(name, "base_lr", optimizer, base_lr)
        self.max_lrs = per_group(name, "max_lr", optimizer, max_lr)
        if last_epoch == -1:
            for group, lr in zip(optimizer.param_groups, base_lrs, strict=True):
                group["lr"] = lr
        self.total_size = float(step_size_up) + float(down)
        self.step_ratio = step_size_up / self.total_size
        self.mode = mode
        self.gamma = gamma
        self._scale_fn = scale_fn
        self.scale_mode = scale_mode
        if scale_fn is None:
            self.scale_mode = "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            ends = self._start_momentum(base_momentum, max_momentum, last_epoch == -1)
            self.base_momentums, self.max_momentums = ends
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x: float) -> float:
        """Return the factor of the height in cycle x, or at step x."""
        if self._scale_fn is not None:
            return self._scale_fn(x)
        if self.mode == "triangular2":
            return float(1 / 2.0 ** (x - 1))
        return float(self.gamma**x) if self.mode == "exp_range" else 1.0

    def get_lr(self) -> list[float]:
        """Return this step's rates, and set its momentum."""
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        place = 1.0 + self.last_epoch / self.total_size - cycle
        if place <= self.step_ratio:
            height = place / self.step_ratio
        else:
            height = (place - 1) / (self.step_ratio - 1)
        height *= self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            pairs = zip(self.base_momentums, self.max_momentums, strict=True)
            for group, (low, high) in zip(self.optimizer.param_groups, pairs, strict=True):
                self._set_momentum(group, high - (high - low) * height)
        return [
            low + (high - low) * height
            for low, high in zip(self.base_lrs, self.max_lrs, strict=True)
        ]


class OneCycleLR(_CycleLR):
    """Lets the rate rise once from a low one to the highest, then fall far below (Smith 2017).

    Call ``step()`` after each batch.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: _PerGroup,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: _PerGroup = 0.85,
        max_momentum: _PerGroup = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        """Take the highest rate and the number of steps.

        Args:
            optimizer: whose rates to set.
            max_lr: highest rate, one or one per group.
            total_steps: number of steps, by default ``epochs * steps_per_epoch``.
            epochs: see there.
            steps_per_epoch: see there.
            pct_start: share of the steps in which the rate rises.
            anneal_strategy: ``"cos"`` or ``"linear"``.
            cycle_momentum: whether the momentum (Adam's first beta) goes the other way.
            base_momentum: lowest momentum.
            max_momentum: highest momentum.
            div_factor: the first rate is ``max_lr / div_factor``.
            final_div_factor: the last rate is the first over this.
            three_phase: fall to the first rate as fast as it rose, and only then to the last.
            last_epoch: see `LRScheduler`.

        Raises:
            TypeError: the optimizer is none, or an option of another type.
            ValueError: an option is unknown or out of range, or the optimiser has no momentum.
        """
        name = "OneCycleLR"
        self.optimizer = check_optimizer(name, optimizer)
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError(f"{name}: got neither total_steps nor epochs and steps_per_epoch")
            check_count(name, "epochs", epochs)
            check_count(name, "steps_per_epoch", steps_per_epoch)
            total_steps = epochs * steps_per_epoch
        check_count(name, "total_steps", total_steps)
        check_number(name, "pct_start", pct_start)
        if not pct_start <= 1:
            raise ValueError(f"{name}: pct_start is {pct_start}, expected a number from 0 to 1")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"{name}: anneal_strategy is {anneal_strategy!r}, expected 'cos' or 'linear'"
            )
        for argument, value in (("div_factor", div_factor), ("final_div_factor", final_div_factor)):
            check_number(name, argument, value)
            if value == 0:
                raise ValueError(f"{name}: {argument} is 0, expected a positive number")
        self.total_steps = total_steps
        self._schedule_phases = _phases(total_steps, pct_start, three_phase)
        self._anneal_func_type = anneal_strategy
        max_lrs = per_group(name, "max_lr", optimizer, max_lr)
        if last_epoch == -1:
            for group, highest in zip(optimizer.param_groups, max_lrs, strict=True):
                group["initial_lr"] = highest / div_factor
                group["max_lr"] = highest
                group["min_lr"] = group["initial_lr"] / final_div_factor
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._start_momentum(base_momentum, max_momentum, last_epoch == -1)
        super().__init__(optimizer, last_epoch)

    def _between(self, start: float, end: float, share: float) -> float:
        if self._anneal_func_type == "linear":
            return (end - start) * share + start
        return end + (start - end) / 2.0 * (math.cos(math.pi * share) + 1)

    def get_lr(self) -> list[float]:
        """Return this step's rates, and set its momentum.

        Raises:
            ValueError: the steps are used up.
        """
        step = self.last_epoch
        if step > self.total_steps:
            raise ValueError(
                f"OneCycleLR: this is step {step}, expected {self.total_steps} steps in all"
            )
        start = 0.0
        for phase in self._schedule_phases[:-1]:
            if step <= phase["end_step"]:
                break
            start = phase["end_step"]
        else:
            phase = self._schedule_phases[-1]
        width = phase["end_step"] - start
        share = (step - start) / width if width else 1.0
        rates = []
        for group in self.optimizer.param_groups:
            rates.append(self._between(group[phase["start_lr"]], group[phase["end_lr"]], share))
            if self.cycle_momentum:
                ends = group[phase["start_momentum"]], group[phase["end_momentum"]]
                self._set_momentum(group, self._between(*ends, share))
        return rates


def _phases(total_steps: int, pct_start: float, three_phase: bool) -> list[dict[str, Any]]:
    """Return the phases by their last step and the names of what they go between."""
    rise = float(pct_start * total_steps) - 1
    last = total_steps - 1
    ends = [(rise, "initial_lr", "max_lr", "max_momentum", "base_momentum")]
    if three_phase:
        fall = float(2 * pct_start * total_steps) - 2
        ends += [
            (fall, "max_lr", "initial_lr", "base_momentum", "max_momentum"),
            (last, "initial_lr", "min_lr", "max_momentum", "max_momentum"),
        ]
    else:
        ends += [(last, "max_lr", "min_lr", "base_momentum", "max_momentum")]
    names = ("end_step", "start_lr", "end_lr", "start_momentum", "end_momentum")
    return [dict(zip(names, each, strict=True)) for each in ends]

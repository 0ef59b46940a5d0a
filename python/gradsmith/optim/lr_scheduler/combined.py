# SPDX-License-Identifier: Apache-2.0
"""Schedules made of others: one after the other, or all at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from gradsmith.optim.lr_scheduler.base import LRScheduler, check_optimizer
from gradsmith.optim.lr_scheduler.plateau import ReduceLROnPlateau
from gradsmith.optim.optimizer import Optimizer


class _CombinedLR(LRScheduler):
    """Base: holds schedules of one optimiser."""

    _not_saved = ("optimizer", "_schedulers")

    def _take(self, optimizer: Optimizer | None, schedulers: Sequence[LRScheduler]) -> None:
        name = type(self).__name__
        self._schedulers = list(schedulers)
        if not self._schedulers:
            raise ValueError(f"{name}: got no schedulers, expected one at least")
        for number, each in enumerate(self._schedulers):
            if not isinstance(each, LRScheduler):
                kind = type(each).__name__
                raise TypeError(f"{name}: schedulers[{number}] is a {kind}, expected a schedule")
            if isinstance(each, ReduceLROnPlateau):
                raise ValueError(
                    f"{name}: schedulers[{number}] is a ReduceLROnPlateau, which needs a metric"
                )
        if optimizer is None:
            optimizer = self._schedulers[0].optimizer
        self.optimizer = check_optimizer(name, optimizer)
        for number, each in enumerate(self._schedulers):
            if each.optimizer is not optimizer:
                raise ValueError(f"{name}: schedulers[{number}] has another optimizer")

    def state_dict(self) -> dict[str, Any]:
        """Return the states of the schedules, and which of them is on."""
        states = [each.state_dict() for each in self._schedulers]
        return {**super().state_dict(), "_schedulers": states}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` returned.

        Raises:
            ValueError: it holds what this schedule has not.
        """
        states = state_dict["_schedulers"]
        if len(states) != len(self._schedulers):
            raise ValueError(
                f"{type(self).__name__}: the state has {len(states)} schedulers, expected "
                f"{len(self._schedulers)}"
            )
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "_schedulers"})
        for each, state in zip(self._schedulers, states, strict=True):
            each.load_state_dict(state)


def _take_back(schedule: LRScheduler) -> None:
    """Undo the count of a schedule's first step."""
    if isinstance(schedule, _CombinedLR):
        for each in schedule._schedulers:
            _take_back(each)
    else:
        schedule.last_epoch -= 1


class SequentialLR(_CombinedLR):
    """Follows one schedule after the other, each from a milestone on, where it begins anew.

    Example:
        >>> import gradsmith as gs
        >>> from gradsmith.optim.lr_scheduler import ExponentialLR, LinearLR, SequentialLR
        >>> optimizer = gs.optim.SGD([gs.zeros(1, requires_grad=True)], lr=1.0)
        >>> warm_up = LinearLR(optimizer, 0.5, total_iters=2)
        >>> schedule = SequentialLR(optimizer, [warm_up, ExponentialLR(optimizer, 0.5)], [2])
        >>> for _ in range(4):
        ...     print(optimizer.param_groups[0]["lr"])
        ...     schedule.step()
        0.5
        0.75
        1.0
        0.5
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
        last_epoch: int = -1,
    ) -> None:
        """Take the schedules and the steps at which the second and later ones begin.

        Raises:
            TypeError: one is no schedule.
            ValueError: there is none, not one milestone fewer, another optimiser, or one that needs
                a metric.
        """
        self._take(optimizer, schedulers)
        self._milestones = list(milestones)
        if len(self._milestones) != len(self._schedulers) - 1:
            raise ValueError(
                f"SequentialLR: got {len(self._milestones)} milestones for "
                f"{len(self._schedulers)} schedulers, expected one fewer"
            )
        self.last_epoch = last_epoch + 1
        # Each schedule has set the rate by its first step; only the one that is on may.
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        for each in self._schedulers:
            _take_back(each)
        present = self._schedulers[bisect_right(self._milestones, 0)]
        present._initial_step()
        self._last_lr = present.get_last_lr()

    def step(self, epoch: int | None = None) -> None:
        """Go on by one step.

        Raises:
            ValueError: an epoch is given.
        """
        if epoch is not None:
            raise ValueError("SequentialLR: step takes no epoch")
        self.last_epoch += 1
        number = bisect_right(self._milestones, self.last_epoch)
        present = self._schedulers[number]
        if number > 0 and self._milestones[number - 1] == self.last_epoch:
            present._update(0)
        else:
            present.step()
        self._last_lr = present.get_last_lr()


class ChainedScheduler(_CombinedLR):
    """Takes a step of several schedules at once: their factors multiply."""

    def __init__(
        self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None
    ) -> None:
        """Take the schedules, of one optimiser.

        Raises:
            TypeError: one is no schedule.
            ValueError: there is none, one has another optimiser, or one needs a metric.
        """
        self._take(optimizer, schedulers)
        self._last_lr = self._present()

    def step(self, epoch: int | None = None) -> None:
        """Go on by one step.

        Raises:
            ValueError: an epoch is given.
        """
        if epoch is not None:
            raise ValueError("ChainedScheduler: step takes no epoch")
        for each in self._schedulers:
            each.step()
        self._last_lr = self._present()

# SPDX-License-Identifier: Apache-2.0
"""What schedules share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradsmith.optim.optimizer import Optimizer

# Entries of PyTorch's states that nothing here needs.
_PYTORCH_ONLY = {
    "_get_lr_called_within_step",
    "_scale_fn_custom",
    "default_min_lr",
    "mode_worse",
    "verbose",
}


def check_optimizer(owner: str, optimizer: Any) -> Optimizer:
    """Return an argument that has to be an optimiser.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"{owner}: optimizer is a {type(optimizer).__name__}, expected an Optimizer"
        )
    return optimizer


def per_group(owner: str, argument: str, optimizer: Optimizer, value: Any) -> list[float]:
    """Return one number per group, from one for all or a list of them.

    Raises:
        TypeError: something is no number.
        ValueError: the list is not as long as there are groups.
    """
    groups = len(optimizer.param_groups)
    given = list(value) if isinstance(value, (list, tuple)) else [value] * groups
    for each in given:
        if isinstance(each, bool) or not isinstance(each, (int, float, np.number)):
            kind = type(each).__name__
            raise TypeError(f"{owner}: {argument} is or holds a {kind}, expected numbers")
    if len(given) != groups:
        raise ValueError(f"{owner}: got {len(given)} {argument} for {groups} parameter groups")
    return given


class LRScheduler:
    """Base: sets each group's ``lr`` to what `get_lr` returns.

    Attributes:
        last_epoch: number of steps so far; 0 after construction.
        base_lrs: the groups' rates at the start (``initial_lr`` in the group).
    """

    _not_saved: tuple[str, ...] = ("optimizer",)

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        """Start, or with ``last_epoch`` go on from the ``initial_lr`` the groups hold.

        Raises:
            TypeError: the optimizer is none.
            ValueError: ``last_epoch`` is given but a group has no ``initial_lr``.
        """
        self.optimizer = check_optimizer(type(self).__name__, optimizer)
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
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        self.step()
        self._is_initial = False

    def get_lr(self) -> list[float]:
        """Return the rate of each group for the step ``last_epoch``, one after the last."""
        raise NotImplementedError

    def _closed_form(self) -> list[float]:
        """Return the rate of each group for any step ``last_epoch``."""
        return self.get_lr()

    def get_last_lr(self) -> list[float]:
        """Return the rates that the last step set."""
        return self._last_lr

    def step(self, epoch: int | None = None) -> None:
        """Go on by one step, or to step ``epoch``, and set the rates."""
        self._step_count += 1
        self._update(epoch)

    def _update(self, epoch: int | None) -> None:
        if epoch is None:
            self.last_epoch += 1
            self._set(self.get_lr())
        else:
            self.last_epoch = epoch
            self._set(self._closed_form())

    def _set(self, rates: Sequence[float]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        self._last_lr = list(rates)

    def _present(self) -> list[float]:
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Return everything but the optimiser and functions."""
        return {key: value for key, value in self.__dict__.items() if key not in self._not_saved}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` returned.

        Raises:
            ValueError: it holds what this schedule has not.
        """
        unknown = set(state_dict) - set(self.__dict__) - _PYTORCH_ONLY
        if unknown:
            raise ValueError(f"{type(self).__name__}: the state has unknown entries {unknown}")
        self.__dict__.update({k: v for k, v in state_dict.items() if k not in _PYTORCH_ONLY})

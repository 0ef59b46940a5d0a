# SPDX-License-Identifier: Apache-2.0
"""Rates by a function of the step's number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

from gradsmith.optim.lr_scheduler.base import LRScheduler, check_optimizer
from gradsmith.optim.optimizer import Optimizer


class _FunctionLR(LRScheduler):
    """Base of the schedules that take one function, or one per group."""

    _not_saved = ("optimizer", "lr_lambdas")

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        """Take one function of the step's number, or one per group.

        Raises:
            TypeError: it cannot be called.
            ValueError: their number is not that of the groups.
        """
        name = type(self).__name__
        groups = len(check_optimizer(name, optimizer).param_groups)
        functions = lr_lambda if isinstance(lr_lambda, Sequence) else [lr_lambda] * groups
        for function in functions:
            if not callable(function):
                kind = type(function).__name__
                raise TypeError(f"{name}: lr_lambda is or holds a {kind}, expected functions")
        self.lr_lambdas = list(functions)
        if len(self.lr_lambdas) != groups:
            raise ValueError(
                f"{name}: got {len(self.lr_lambdas)} functions for {groups} parameter groups"
            )
        super().__init__(optimizer, last_epoch)

    def _factors(self) -> list[float]:
        return [function(self.last_epoch) for function in self.lr_lambdas]

    def state_dict(self) -> dict[str, Any]:
        """Return everything but the optimiser; of callable objects what they hold."""
        kept = [None if isinstance(f, FunctionType) else dict(vars(f)) for f in self.lr_lambdas]
        return {**super().state_dict(), "lr_lambdas": kept}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` returned.

        Raises:
            ValueError: it holds what this schedule has not.
        """
        rest = {key: value for key, value in state_dict.items() if key != "lr_lambdas"}
        super().load_state_dict(rest)
        for function, kept in zip(self.lr_lambdas, state_dict.get("lr_lambdas", ()), strict=False):
            if kept is not None:
                vars(function).update(kept)


class LambdaLR(_FunctionLR):
    """Multiplies the initial rate by a function of the step's number."""

    def get_lr(self) -> list[float]:
        """Return initial rate times function."""
        return [base * factor for base, factor in zip(self.base_lrs, self._factors(), strict=True)]


class MultiplicativeLR(_FunctionLR):
    """Multiplies the present rate by a function of the step's number, from step 1 on."""

    def get_lr(self) -> list[float]:
        """Return present rate times function."""
        if self._is_initial:
            return self._present()
        return [lr * factor for lr, factor in zip(self._present(), self._factors(), strict=True)]

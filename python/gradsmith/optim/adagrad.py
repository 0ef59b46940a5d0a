# SPDX-License-Identifier: Apache-2.0
"""Adagrad (Duchi, Hazan and Singer 2011)."""

from __future__ import annotations

from typing import Any

from gradsmith.optim.optimizer import Optimizer, Params
from gradsmith.optim.options import check_number


class Adagrad(Optimizer):
    """Divides each element's rate by the root of the sum of its squared gradients.

    State: ``step``, ``sum``.
    """

    _kernel = "adagrad_step"

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        """Take parameters and options.

        Raises:
            TypeError: an option is no number.
            ValueError: one is negative.
        """
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, whose sums start now (see `Optimizer.add_param_group`)."""
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        for param in group["params"]:
            self._make_states(group, param)

    def _check_options(self, group: dict[str, Any]) -> None:
        for name in ("lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps"):
            check_number("Adagrad", name, group[name])

    def _first_state(self, group: dict[str, Any], name: str) -> float:
        return float(group["initial_accumulator_value"])

    def _state_names(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("sum",)

    def _kernel_options(self, group: dict[str, Any]) -> tuple[Any, ...]:
        names = ("lr", "lr_decay", "weight_decay", "eps", "maximize")
        return tuple(group[name] for name in names)

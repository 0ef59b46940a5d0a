# SPDX-License-Identifier: Apache-2.0
"""Adagrad (Duchi, Hazan and Singer 2011)."""

from __future__ import annotations

from typing import Any

from gradsmith.optim.optimizer import Optimizer, Params, Work, check_number
from gradsmith.tensor import Tensor


class Adagrad(Optimizer):
    """Divides each element's rate by the root of the sum of its squared gradients.

    State: ``step``, ``sum``.
    """

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
            self._states(param, "sum", value=group["initial_accumulator_value"])

    def _check_options(self, group: dict[str, Any]) -> None:
        for name in ("lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps"):
            check_number("Adagrad", name, group[name])

    def _update(self, group: dict[str, Any], params: list[Tensor]) -> None:
        work = Work()
        start = group["initial_accumulator_value"]
        for param in params:
            work.add(param, self._states(param, "sum", value=start), self._next_step(param))
        work.run(
            "adagrad_step",
            group["lr"],
            group["lr_decay"],
            group["weight_decay"],
            group["eps"],
            group["maximize"],
        )

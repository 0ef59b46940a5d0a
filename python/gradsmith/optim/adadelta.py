# SPDX-License-Identifier: Apache-2.0
"""Adadelta (Zeiler 2012)."""

from __future__ import annotations

from typing import Any

from gradsmith.optim.optimizer import Optimizer, Params, Work, check_number
from gradsmith.tensor import Tensor


class Adadelta(Optimizer):
    """Scales the gradient by the ratio of running means of past updates and gradients.

    State: ``step``, ``square_avg``, ``acc_delta``.
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ) -> None:
        """Take parameters and options.

        Raises:
            TypeError: an option is no number.
            ValueError: one is negative, or ``rho`` lies above 1.
        """
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _check_options(self, group: dict[str, Any]) -> None:
        for name in ("lr", "rho", "eps", "weight_decay"):
            check_number("Adadelta", name, group[name])
        if group["rho"] > 1:
            raise ValueError(f"Adadelta: rho is {group['rho']}, expected at most 1")

    def _update(self, group: dict[str, Any], params: list[Tensor]) -> None:
        work = Work()
        for param in params:
            averages = self._states(param, "square_avg", "acc_delta")
            work.add(param, averages, self._next_step(param))
        work.run(
            "adadelta_step",
            group["lr"],
            group["rho"],
            group["eps"],
            group["weight_decay"],
            group["maximize"],
        )

# SPDX-License-Identifier: Apache-2.0
"""Adadelta (Zeiler 2012)."""

from __future__ import annotations

from typing import Any

from gradsmith.optim.optimizer import Optimizer, Params
from gradsmith.optim.options import check_number


class Adadelta(Optimizer):
    """Scales the gradient by the ratio of running means of past updates and gradients.

    State: ``step``, ``square_avg``, ``acc_delta``.
    """

    _kernel = "adadelta_step"

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

    def _state_names(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("square_avg", "acc_delta")

    def _kernel_options(self, group: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(group[name] for name in ("lr", "rho", "eps", "weight_decay", "maximize"))

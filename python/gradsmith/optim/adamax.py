# SPDX-License-Identifier: Apache-2.0
"""Adamax (Kingma and Ba 2014, section 7.1)."""

from __future__ import annotations

from typing import Any

from gradsmith.optim.optimizer import Optimizer, Params
from gradsmith.optim.options import check_betas, check_number


class Adamax(Optimizer):
    """Adam with the largest gradient so far, fading, in place of the root mean square.

    State: ``step``, ``exp_avg``, ``exp_inf``.
    """

    _kernel = "adamax_step"

    def __init__(
        self,
        params: Params,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ) -> None:
        """Take parameters and options.

        Raises:
            TypeError: an option is no number.
            ValueError: one is negative, or a beta lies outside [0, 1).
        """
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _check_options(self, group: dict[str, Any]) -> None:
        for name in ("lr", "eps", "weight_decay"):
            check_number(self._name, name, group[name])
        check_betas(self._name, group["betas"])

    def _state_names(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("exp_avg", "exp_inf")

    def _kernel_options(self, group: dict[str, Any]) -> tuple[Any, ...]:
        return (
            group["lr"],
            *group["betas"],
            group["eps"],
            group["weight_decay"],
            group["maximize"],
        )

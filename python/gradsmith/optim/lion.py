# SPDX-License-Identifier: Apache-2.0
"""Lion (Chen et al. 2023)."""

from __future__ import annotations

from typing import Any

from gradsmith.optim.optimizer import Optimizer, Params
from gradsmith.optim.options import check_betas, check_number


class Lion(Optimizer):
    """Steps by the sign of a mean of momentum and gradient: every element moves by ``lr``.

    ``w -= lr (sign(beta1 m + (1 - beta1) g) + weight_decay w)``, then
    ``m = beta2 m + (1 - beta2) g``. Takes rates three to ten times smaller than Adam's. State:
    ``step``, ``exp_avg``.
    """

    _kernel = "lion_step"

    def __init__(
        self,
        params: Params,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ) -> None:
        """Take parameters and options.

        Raises:
            TypeError: an option is no number.
            ValueError: one is negative, or a beta lies outside [0, 1).
        """
        defaults = {"lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, defaults)

    def _check_options(self, group: dict[str, Any]) -> None:
        for name in ("lr", "weight_decay"):
            check_number(self._name, name, group[name])
        check_betas(self._name, group["betas"])

    def _state_names(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("exp_avg",)

    def _kernel_options(self, group: dict[str, Any]) -> tuple[Any, ...]:
        return group["lr"], *group["betas"], group["weight_decay"], group["maximize"]

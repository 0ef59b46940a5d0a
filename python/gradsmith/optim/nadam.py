# SPDX-License-Identifier: Apache-2.0
"""NAdam (Dozat 2016)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradsmith.backend import Array
from gradsmith.optim.optimizer import Optimizer, Params
from gradsmith.optim.options import check_betas, check_number


class NAdam(Optimizer):
    """Adam with Nesterov's momentum, whose rate grows from step to step.

    State: ``step``, ``mu_product``, ``exp_avg``, ``exp_avg_sq``.
    """

    _kernel = "nadam_step"

    def __init__(
        self,
        params: Params,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
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
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _check_options(self, group: dict[str, Any]) -> None:
        for name in ("lr", "eps", "weight_decay", "momentum_decay"):
            check_number(self._name, name, group[name])
        check_betas(self._name, group["betas"])

    def _scalars(self, group: dict[str, Any]) -> dict[str, float]:
        return {"step": 0.0, "mu_product": 1.0}

    def _next_scalars(
        self, group: dict[str, Any], now: dict[str, Array]
    ) -> tuple[dict[str, Array], list[Any]]:
        """Return the product of the momenta so far, and the shares of gradient and average."""
        step = now["step"] + 1
        beta, decay = group["betas"][0], group["momentum_decay"]
        fade = 0.5 * 0.96 ** (step.astype(np.float64) * decay)
        mu, mu_next = beta - beta * fade, beta - (beta * 0.96**decay) * fade
        product = now["mu_product"] * mu.astype(np.float32)
        wide = product.astype(np.float64)
        of_gradient, of_average = (1 - mu) / (1 - wide), mu_next / (1 - wide * mu_next)
        numbers = list(zip(of_gradient.tolist(), of_average.tolist(), strict=True))
        return {"step": step, "mu_product": product}, numbers

    def _state_names(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("exp_avg", "exp_avg_sq")

    def _kernel_options(self, group: dict[str, Any]) -> tuple[Any, ...]:
        return (
            group["lr"],
            *group["betas"],
            group["eps"],
            group["weight_decay"],
            group["decoupled_weight_decay"],
            group["maximize"],
        )

# SPDX-License-Identifier: Apache-2.0
"""NAdam (Dozat 2016)."""

from __future__ import annotations

from typing import Any

from gradsmith.optim.composed import ComposedOptimizer, update_average, with_decay
from gradsmith.optim.optimizer import Params
from gradsmith.tensor import Tensor


class NAdam(ComposedOptimizer):
    """Adam with Nesterov's momentum, whose rate grows from step to step.

    State: ``step``, ``mu_product``, ``exp_avg``, ``exp_avg_sq``.
    """

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

    def _scalars(self, group: dict[str, Any]) -> dict[str, float]:
        return {"step": 0.0, "mu_product": 1.0}

    def _state_names(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("exp_avg", "exp_avg_sq")

    def _move(
        self, group: dict[str, Any], param: Tensor, grad: Tensor, entry: dict[str, Any]
    ) -> None:
        beta1, beta2 = group["betas"]
        lr, step = group["lr"], float(entry["step"])
        grad = with_decay(group, param, grad)
        mu, mu_next = (
            beta1 * (1 - 0.5 * 0.96 ** (each * group["momentum_decay"]))
            for each in (step, step + 1)
        )
        product = float(entry["mu_product"].mul_(mu))
        update_average(entry["exp_avg"], grad, beta1)
        update_average(entry["exp_avg_sq"], grad * grad, beta2)
        scale = (entry["exp_avg_sq"] / (1 - beta2**step)).sqrt_().add_(group["eps"])
        param.sub_(grad / scale * (lr * (1 - mu) / (1 - product)))
        param.sub_(entry["exp_avg"] / scale * (lr * mu_next / (1 - product * mu_next)))

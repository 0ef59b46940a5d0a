# SPDX-License-Identifier: Apache-2.0
"""Lion (Chen et al. 2023)."""

from __future__ import annotations

from typing import Any

from gradsmith.ops.elementwise_round import sign
from gradsmith.optim.composed import ComposedOptimizer, update_average
from gradsmith.optim.optimizer import Params
from gradsmith.tensor import Tensor


class Lion(ComposedOptimizer):
    """Steps by the sign of a mean of momentum and gradient: every element moves by ``lr``.

    ``w -= lr (sign(beta1 m + (1 - beta1) g) + weight_decay w)``, then
    ``m = beta2 m + (1 - beta2) g``. Takes rates three to ten times smaller than Adam's. State:
    ``step``, ``exp_avg``.
    """

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

    def _state_names(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("exp_avg",)

    def _move(
        self, group: dict[str, Any], param: Tensor, grad: Tensor, entry: dict[str, Any]
    ) -> None:
        beta1, beta2 = group["betas"]
        lr, momentum = group["lr"], entry["exp_avg"]
        direction = sign(momentum * beta1 + grad * (1 - beta1))
        param.mul_(1 - lr * group["weight_decay"]).sub_(direction * lr)
        update_average(momentum, grad, beta2)

# SPDX-License-Identifier: Apache-2.0
"""RAdam (Liu et al. 2019)."""

from __future__ import annotations

import math
from typing import Any

from gradsmith.optim.composed import ComposedOptimizer, update_average, with_decay
from gradsmith.optim.optimizer import Params
from gradsmith.tensor import Tensor


class RAdam(ComposedOptimizer):
    """Adam that divides by the root mean square only once its variance is finite.

    State: ``step``, ``exp_avg``, ``exp_avg_sq``.
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
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
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _state_names(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("exp_avg", "exp_avg_sq")

    def _move(
        self, group: dict[str, Any], param: Tensor, grad: Tensor, entry: dict[str, Any]
    ) -> None:
        beta1, beta2 = group["betas"]
        step = float(entry["step"])
        grad = with_decay(group, param, grad)
        update_average(entry["exp_avg"], grad, beta1)
        update_average(entry["exp_avg_sq"], grad * grad, beta2)
        update = entry["exp_avg"] * (group["lr"] / (1 - beta1**step))
        rest = 1 - beta2**step
        longest = 2 / (1 - beta2) - 1  # length of the average, at the end and so far
        length = longest - 2 * step * beta2**step / rest
        if length > 5:
            rectifier = math.sqrt(
                (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
            )
            scale = entry["exp_avg_sq"].sqrt().add_(group["eps"])
            update = update.div_(scale).mul_(math.sqrt(rest) * rectifier)
        param.sub_(update)

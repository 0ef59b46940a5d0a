# SPDX-License-Identifier: Apache-2.0
"""Adamax (Kingma and Ba 2014, section 7.1)."""

from __future__ import annotations

from typing import Any

from gradsmith.ops.elementwise import maximum
from gradsmith.optim.composed import ComposedOptimizer, update_average, with_decay
from gradsmith.optim.optimizer import Params
from gradsmith.tensor import Tensor


class Adamax(ComposedOptimizer):
    """Adam with the largest gradient so far, fading, in place of the root mean square.

    State: ``step``, ``exp_avg``, ``exp_inf``.
    """

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

    def _state_names(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("exp_avg", "exp_inf")

    def _move(
        self, group: dict[str, Any], param: Tensor, grad: Tensor, entry: dict[str, Any]
    ) -> None:
        beta1, beta2 = group["betas"]
        grad = with_decay(group, param, grad)
        update_average(entry["exp_avg"], grad, beta1)
        largest = entry["exp_inf"]
        largest.copy_(maximum(largest * beta2, grad.abs().add_(group["eps"])))
        rate = group["lr"] / (1 - beta1 ** float(entry["step"]))
        param.sub_(entry["exp_avg"] / largest * rate)

# SPDX-License-Identifier: Apache-2.0
"""Averaged stochastic gradient descent (Polyak and Juditsky 1992; rates of Bottou's)."""

from __future__ import annotations

from typing import Any

from gradsmith.optim.composed import ComposedOptimizer, with_decay
from gradsmith.optim.optimizer import Params
from gradsmith.tensor import Tensor


class ASGD(ComposedOptimizer):
    """Gradient descent with a falling rate, and the average of the parameters from step t0 on.

    State: ``step``, ``eta`` (the rate), ``mu`` (the share of the next parameter in the average),
    ``ax`` (the average).
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
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
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _scalars(self, group: dict[str, Any]) -> dict[str, float]:
        return {"step": 0.0, "eta": group["lr"], "mu": 1.0}

    def _state_names(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("ax",)

    def _move(
        self, group: dict[str, Any], param: Tensor, grad: Tensor, entry: dict[str, Any]
    ) -> None:
        grad = with_decay(group, param, grad)
        eta, mu, average = float(entry["eta"]), float(entry["mu"]), entry["ax"]
        param.mul_(1 - group["lambd"] * eta).sub_(grad * eta)
        if mu == 1:
            average.copy_(param)
        else:
            average.add_((param - average) * mu)
        lr, step = group["lr"], float(entry["step"])
        entry["eta"].fill_(lr * (1 + group["lambd"] * lr * step) ** -group["alpha"])
        entry["mu"].fill_(1 / max(1, step - group["t0"]))

# SPDX-License-Identifier: Apache-2.0
"""Averaged stochastic gradient descent (Polyak and Juditsky 1992; rates of Bottou's)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradsmith.backend import Array
from gradsmith.optim.optimizer import Optimizer, Params
from gradsmith.optim.options import check_number


class ASGD(Optimizer):
    """Gradient descent with a falling rate, and the average of the parameters from step t0 on.

    State: ``step``, ``eta`` (the rate), ``mu`` (the share of the next parameter in the average),
    ``ax`` (the average).
    """

    _kernel = "asgd_step"

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

    def _check_options(self, group: dict[str, Any]) -> None:
        for name in ("lr", "lambd", "alpha", "t0", "weight_decay"):
            check_number(self._name, name, group[name])

    def _scalars(self, group: dict[str, Any]) -> dict[str, float]:
        return {"step": 0.0, "eta": group["lr"], "mu": 1.0}

    def _next_scalars(
        self, group: dict[str, Any], now: dict[str, Array]
    ) -> tuple[dict[str, Array], list[Any]]:
        """Return the next rate and share; the kernel takes those of now."""
        step, lr = now["step"] + 1, group["lr"]
        wide = step.astype(np.float64)
        eta = lr * (1 + group["lambd"] * lr * wide) ** -group["alpha"]
        later = {"step": step, "eta": eta, "mu": 1 / np.maximum(1, wide - group["t0"])}
        return later, list(zip(now["eta"].tolist(), now["mu"].tolist(), strict=True))

    def _state_names(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("ax",)

    def _kernel_options(self, group: dict[str, Any]) -> tuple[Any, ...]:
        return group["lambd"], group["weight_decay"], group["maximize"]

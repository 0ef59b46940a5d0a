# SPDX-License-Identifier: Apache-2.0
"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from gradsmith.optim.optimizer import Optimizer, Params, Work, check_number
from gradsmith.tensor import Tensor


class SGD(Optimizer):
    """Gradient descent with momentum, dampening, Nesterov's variant and weight decay.

    State: ``momentum_buffer``. The first buffer is the gradient itself, undamped.
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        """Take parameters and options.

        Raises:
            TypeError: an option is no number.
            ValueError: one is negative, or ``nesterov`` comes without momentum or with dampening.
        """
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _check_options(self, group: dict[str, Any]) -> None:
        for name in ("lr", "momentum", "weight_decay"):
            check_number("SGD", name, group[name])
        check_number("SGD", "dampening", group["dampening"], low=-float("inf"))
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError("SGD: nesterov needs momentum above 0 and dampening 0")

    def _update(self, group: dict[str, Any], params: list[Tensor]) -> None:
        work = Work()
        for param in params:
            step = 2.0
            buffer = None
            if group["momentum"] != 0:
                state = self.state[param]
                if state.get("momentum_buffer") is None:
                    state["momentum_buffer"] = self._zeros(param)
                    step = 1.0
                buffer = state["momentum_buffer"]
            work.add(param, (buffer,), step)
        work.run(
            "sgd_step",
            group["lr"],
            group["momentum"],
            group["dampening"],
            group["weight_decay"],
            group["nesterov"],
            group["maximize"],
        )

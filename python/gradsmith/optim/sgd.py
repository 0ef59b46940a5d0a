# SPDX-License-Identifier: Apache-2.0
"""Gradient descent, of the whole batch or stochastic."""

from __future__ import annotations

from typing import Any

from gradsmith.backend import Array
from gradsmith.ops.optim import Work
from gradsmith.optim.optimizer import Optimizer, Params
from gradsmith.optim.options import check_number
from gradsmith.tensor import Tensor


class SGD(Optimizer):
    """Gradient descent with momentum, dampening, Nesterov's variant and weight decay.

    State: ``momentum_buffer``. The first buffer is the gradient itself, undamped.
    """

    _kernel = "sgd_step"

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
            check_number(self._name, name, group[name])
        check_number(self._name, "dampening", group["dampening"], low=-float("inf"))
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError(f"{self._name}: nesterov needs momentum above 0 and dampening 0")

    def _state_names(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("momentum_buffer",) if group["momentum"] != 0 else ()

    def _kernel_options(self, group: dict[str, Any]) -> tuple[Any, ...]:
        return (
            group["lr"],
            group["momentum"],
            group["dampening"],
            group["weight_decay"],
            group["nesterov"],
            group["maximize"],
        )

    def _next_scalars(
        self, group: dict[str, Any], now: dict[str, Array]
    ) -> tuple[dict[str, Array], list[Any]]:
        return {}, []  # counts no steps

    def _new_work(
        self,
        group: dict[str, Any],
        params: list[Tensor],
        entries: list[dict[str, Any]],
        names: tuple[str | None, ...],
    ) -> Work:
        steps = []
        for param, entry in zip(params, entries, strict=False):
            is_first = entry.get("momentum_buffer") is None
            if is_first:
                entry["momentum_buffer"] = self._filled(group, param, "momentum_buffer")
            steps.append(1.0 if is_first else 2.0)
        work = Work(self._name, params, entries)
        work.take_states(names)
        work.steps = steps or [2.0] * len(params)
        return work


class GD(SGD):
    """Gradient descent as in the textbooks, ``w -= lr * grad``: no momentum, no state.

    With the gradient of the whole data set it is batch gradient descent.
    """

    def __init__(self, params: Params, lr: float = 1e-3, *, maximize: bool = False) -> None:
        """Take parameters and the rate; errors as in `SGD`."""
        super().__init__(params, lr, maximize=maximize)

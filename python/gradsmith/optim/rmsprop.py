# SPDX-License-Identifier: Apache-2.0
"""RMSprop (Hinton 2012; centred: Graves 2013)."""

from __future__ import annotations

from typing import Any

from gradsmith.optim.optimizer import Optimizer, Params
from gradsmith.optim.options import check_number


class RMSprop(Optimizer):
    """Divides the gradient by a running root mean square, around its mean if ``centered``.

    State: ``step``, ``square_avg``, with momentum ``momentum_buffer``, if centered ``grad_avg``.
    """

    _kernel = "rmsprop_step"

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
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
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _check_options(self, group: dict[str, Any]) -> None:
        for name in ("lr", "alpha", "eps", "weight_decay", "momentum"):
            check_number("RMSprop", name, group[name])

    def _state_names(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        buffer = "momentum_buffer" if group["momentum"] > 0 else None
        return ("square_avg", buffer, "grad_avg" if group["centered"] else None)

    def _kernel_options(self, group: dict[str, Any]) -> tuple[Any, ...]:
        names = ("lr", "alpha", "eps", "weight_decay", "momentum", "centered", "maximize")
        return tuple(group[name] for name in names)

# SPDX-License-Identifier: Apache-2.0
"""Resilient propagation (Riedmiller and Braun 1993), the variant without backtracking."""

from __future__ import annotations

from typing import Any

from gradsmith.optim.optimizer import Optimizer, Params
from gradsmith.optim.options import check_number


class Rprop(Optimizer):
    """Steps by the gradient's sign; each element's length grows until the sign changes.

    For gradients of the whole batch: noise changes signs. State: ``step``, ``prev``,
    ``step_size``.
    """

    _kernel = "rprop_step"

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        maximize: bool = False,
    ) -> None:
        """Take parameters and options.

        Args:
            params: tensors or groups.
            lr: length of the first step.
            etas: factors of the length after a change of sign, and without one.
            step_sizes: shortest and longest length.
            maximize: climb instead.

        Raises:
            TypeError: an option is no number.
            ValueError: one is negative, or the factors are not 0 < first < 1 < second.
        """
        defaults = {"lr": lr, "etas": etas, "step_sizes": step_sizes, "maximize": maximize}
        super().__init__(params, defaults)

    def _check_options(self, group: dict[str, Any]) -> None:
        check_number("Rprop", "lr", group["lr"])
        for name in ("etas", "step_sizes"):
            pair = group[name]
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise ValueError(f"Rprop: {name} is {pair!r}, expected two numbers")
            for number, value in enumerate(pair):
                check_number("Rprop", f"{name}[{number}]", value)
        if not 0 < group["etas"][0] < 1 < group["etas"][1]:
            raise ValueError(
                f"Rprop: etas is {group['etas']}, expected one between 0 and 1 and one above 1"
            )

    def _first_state(self, group: dict[str, Any], name: str) -> float:
        return float(group["lr"]) if name == "step_size" else 0.0

    def _state_names(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("prev", "step_size")

    def _kernel_options(self, group: dict[str, Any]) -> tuple[Any, ...]:
        return *group["etas"], *group["step_sizes"], group["maximize"]

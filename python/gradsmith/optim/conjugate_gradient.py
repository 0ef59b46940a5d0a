# SPDX-License-Identifier: Apache-2.0
"""Nonlinear conjugate gradients (Nocedal and Wright 2006, section 5.2)."""

from __future__ import annotations

from typing import Any

from gradsmith.optim.flat import LineSearchOptimizer, dot
from gradsmith.optim.optimizer import Params
from gradsmith.tensor import Tensor


class ConjugateGradient(LineSearchOptimizer):
    """Searches along ``-g + beta d``, each direction conjugate to the one before.

    beta is ``g (g - g_prev) / g_prev^2``, at least 0 (Polak-Ribiere+), or ``g^2 / g_prev^2``
    (Fletcher-Reeves). Where that would climb, it starts again along ``-g``. The closure is that of
    `LBFGS`. State, with the first parameter: ``func_evals``, ``n_iter``, ``d``, ``t``,
    ``prev_flat_grad``, ``prev_loss``.
    """

    _c2 = 0.1  # directions stay conjugate only if the search is close to exact

    def __init__(
        self,
        params: Params,
        lr: float = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        method: str = "polak_ribiere",
    ) -> None:
        """Take parameters and options.

        Args:
            params: tensors of one dtype and device.
            lr: factor of the first step tried.
            max_iter: iterations per step.
            max_eval: evaluations per step, by default ``max_iter * 4``: the search is closer.
            tolerance_grad: stop when no element of the gradient is larger.
            tolerance_change: stop when loss or parameters change by less.
            method: ``"polak_ribiere"`` or ``"fletcher_reeves"``.

        Raises:
            TypeError: an option has another type.
            ValueError: one is out of range, or the parameters are of several kinds or groups.
        """
        stops = (max_iter, max_eval, tolerance_grad, tolerance_change)
        self._own_options = {"method": method}
        super().__init__(params, lr, *stops)

    def _check_options(self, group: dict[str, Any]) -> None:
        if group["max_eval"] is None and isinstance(group["max_iter"], int):
            group["max_eval"] = group["max_iter"] * 4
        super()._check_options(group)
        if group["line_search_fn"] is None:
            raise ValueError("ConjugateGradient: line_search_fn is None, expected 'strong_wolfe'")
        if group["method"] not in ("polak_ribiere", "fletcher_reeves"):
            raise ValueError(
                f"ConjugateGradient: method is {group['method']!r}, expected 'polak_ribiere' or "
                "'fletcher_reeves'"
            )

    def _direction(self, group: dict[str, Any], state: dict[str, Any], grad: Tensor) -> Tensor:
        if state.get("d") is None:
            return -grad
        before = state["prev_flat_grad"]
        if group["method"] == "fletcher_reeves":
            beta = dot(grad, grad) / dot(before, before)
        else:
            beta = max(0.0, dot(grad, grad - before) / dot(before, before))
        direction = state["d"] * beta - grad
        return direction if dot(direction, grad) < 0 else -grad

    def _first_length(
        self, group: dict[str, Any], state: dict[str, Any], grad: Tensor, slope: float
    ) -> float:
        if state["n_iter"] == 1:
            return super()._first_length(group, state, grad, slope)
        # The change that the last step would have made at its start, now.
        before = dot(state["prev_flat_grad"], state["d"])
        return float(state["t"] * before / slope) * float(group["lr"]) if slope < 0 else 0.0

# SPDX-License-Identifier: Apache-2.0
"""Muon (Jordan 2024): momentum whose singular values are all made about 1."""

from __future__ import annotations

import math
from typing import Any

from gradsmith.ops.linalg import vector_norm
from gradsmith.ops.options import check_int
from gradsmith.optim.composed import ComposedOptimizer, update_average
from gradsmith.optim.optimizer import Params
from gradsmith.optim.options import check_fraction, check_number
from gradsmith.tensor import Tensor

_MOST_STEPS = 100
_ADJUSTMENTS = (None, "original", "match_rms_adamw")


def _orthogonal(x: Tensor, coefficients: tuple[float, ...], steps: int, eps: float) -> Tensor:
    """Return a matrix with the singular vectors of x and singular values about 1.

    Newton and Schulz's iteration with a quintic polynomial of odd powers:
    ``x = a x + (b g + c g g) x`` with ``g = x x^T``.
    """
    a, b, c = coefficients
    is_tall = x.shape[0] > x.shape[1]
    x = x.T if is_tall else x
    x = x / max(float(vector_norm(x)), eps)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.T if is_tall else x


class Muon(ComposedOptimizer):
    """Momentum SGD for the matrices of hidden layers; other parameters want another optimiser.

    ``m = momentum m + (1 - momentum) g``; the step is lr times the matrix nearest to m (with
    ``nesterov`` to its next value) that has singular values of about 1. State: ``step``,
    ``momentum_buffer``.
    """

    _pairs = ("ns_coefficients", "ns_steps", "adjust_lr_fn", "momentum")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        """Take parameters and options.

        Args:
            params: matrices or groups of them.
            lr: rate.
            weight_decay: decoupled: the parameter shrinks by lr times it.
            momentum: weight of the average so far.
            nesterov: look a step ahead.
            ns_coefficients: of the powers 1, 3 and 5 of the iteration.
            eps: least norm that the momentum is divided by.
            ns_steps: steps of the iteration, below 100.
            adjust_lr_fn: None or ``"original"``: the rate grows with the square root of rows over
                columns; ``"match_rms_adamw"``: steps of the size of AdamW's.

        Raises:
            TypeError: an option is no number.
            ValueError: one is out of range, or a parameter is no matrix.
        """
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
            "maximize": False,  # PyTorch's has no such option
        }
        super().__init__(params, defaults)

    def _check_options(self, group: dict[str, Any]) -> None:
        super()._check_options(group)
        check_fraction(self._name, "momentum", group["momentum"])
        steps = check_int(self._name, "ns_steps", group["ns_steps"])
        if not 0 <= steps < _MOST_STEPS:
            raise ValueError(f"Muon: ns_steps is {steps}, expected 0 <= it < {_MOST_STEPS}")
        if group["adjust_lr_fn"] not in _ADJUSTMENTS:
            raise ValueError(
                f"Muon: adjust_lr_fn is {group['adjust_lr_fn']!r}, expected one of {_ADJUSTMENTS}"
            )
        given = group["ns_coefficients"]
        if not isinstance(given, (tuple, list)) or len(given) != 3:
            raise ValueError(f"Muon: ns_coefficients is {given!r}, expected three numbers")
        for number, value in enumerate(given):
            check_number(self._name, f"ns_coefficients[{number}]", value, -math.inf)

    def _check_param(self, param: Any) -> None:
        super()._check_param(param)
        if param.ndim != 2:
            raise ValueError(f"Muon: a parameter has shape {param.shape}, expected matrices")

    def _state_names(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("momentum_buffer",)

    def _move(
        self, group: dict[str, Any], param: Tensor, grad: Tensor, entry: dict[str, Any]
    ) -> None:
        momentum, average = group["momentum"], entry["momentum_buffer"]
        update_average(average, grad, momentum)
        direction = grad.lerp(average, momentum) if group["nesterov"] else average
        step = _orthogonal(direction, group["ns_coefficients"], group["ns_steps"], group["eps"])
        rows, columns = param.shape
        if group["adjust_lr_fn"] == "match_rms_adamw":
            factor = 0.2 * math.sqrt(max(rows, columns))
        else:
            factor = math.sqrt(max(1.0, rows / max(columns, 1)))
        param.mul_(1 - group["lr"] * group["weight_decay"])
        param.add_(step, alpha=-group["lr"] * factor)

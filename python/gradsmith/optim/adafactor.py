# SPDX-License-Identifier: Apache-2.0
"""Adafactor (Shazeer and Stern 2018): squares of gradients kept by rows and columns."""

from __future__ import annotations

from typing import Any

from gradsmith.ops.linalg import vector_norm
from gradsmith.ops.promotion import finfo
from gradsmith.optim.composed import ComposedOptimizer
from gradsmith.optim.optimizer import Params
from gradsmith.optim.options import check_number
from gradsmith.tensor import Tensor


def _mean(x: Tensor, dim: int) -> Tensor:
    """Return the mean along a dimension, 0 where that has no elements."""
    return x.sum(dim, keepdim=True).div_(max(x.shape[dim], 1))


class Adafactor(ComposedOptimizer):
    """Steps as long as the parameters are large, with one number per row and column for matrices.

    State: ``step``; ``row_var`` and ``col_var`` of parameters with two dimensions or more,
    ``variance`` of others.
    """

    _pairs = ("eps", "beta2_decay")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        """Take parameters and options.

        Args:
            params: tensors or groups.
            lr: the largest relative rate; from step ``1 / lr^2`` on it is ``1 / sqrt(step)``.
            beta2_decay: the weight of new squares is ``step ** beta2_decay``.
            eps: least square, the dtype's epsilon if None; least size of a parameter.
            d: steps whose root mean square is larger are cut to it.
            weight_decay: decoupled: the parameter shrinks by lr times it.
            maximize: climb instead of descending.

        Raises:
            TypeError: an option is no number.
            ValueError: one is out of range.
        """
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _check_options(self, group: dict[str, Any]) -> None:
        super()._check_options(group)
        check_number(self._name, "beta2_decay", group["beta2_decay"], -float("inf"))
        if group["beta2_decay"] > 0:
            raise ValueError(f"Adafactor: beta2_decay is {group['beta2_decay']}, expected <= 0")
        if group["d"] < 1:
            raise ValueError(f"Adafactor: d is {group['d']}, expected >= 1")
        eps = group["eps"]
        if not isinstance(eps, (tuple, list)) or len(eps) != 2:
            raise ValueError(f"Adafactor: eps is {eps!r}, expected two numbers")
        if eps[0] is not None:
            check_number(self._name, "eps[0]", eps[0])
        check_number(self._name, "eps[1]", eps[1])

    def _state_names(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ()  # they depend on the parameter

    def _state_shape(self, group: dict[str, Any], param: Tensor, name: str) -> tuple[int, ...]:
        if name == "row_var":
            return (*param.shape[:-1], 1)
        return (*param.shape[:-2], 1, param.shape[-1]) if name == "col_var" else param.shape

    def _make_states(self, group: dict[str, Any], param: Tensor) -> None:
        super()._make_states(group, param)
        entry = self.state[param]
        for name in ("row_var", "col_var") if param.ndim > 1 else ("variance",):
            if name not in entry:
                entry[name] = self._filled(group, param, name)

    def _move(
        self, group: dict[str, Any], param: Tensor, grad: Tensor, entry: dict[str, Any]
    ) -> None:
        step, lr = float(entry["step"]), group["lr"]
        smallest, least = group["eps"]
        smallest = finfo(param.dtype).eps if smallest is None else smallest
        weight = step ** group["beta2_decay"]
        size = max(least, float(vector_norm(param)) / max(param.numel(), 1) ** 0.5)
        param.mul_(1 - lr * group["weight_decay"])
        squares = grad * grad
        if grad.ndim > 1:
            rows, columns = entry["row_var"], entry["col_var"]
            rows.lerp_(_mean(squares, -1), weight)
            columns.lerp_(_mean(squares, -2), weight)
            estimate = rows @ columns / _mean(rows, -2).clamp_(min=smallest)
        else:
            estimate = entry["variance"].lerp_(squares, weight)
        update = estimate.clamp(min=smallest * smallest).rsqrt_().mul_(grad)
        length = float(vector_norm(update)) / (max(update.numel(), 1) ** 0.5 * group["d"])
        param.add_(update, alpha=-size * min(lr, step**-0.5) / max(1.0, length))

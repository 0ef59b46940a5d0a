# SPDX-License-Identifier: Apache-2.0
"""Rates by layer for large batches: LARS (You et al. 2017) and LAMB (You et al. 2019)."""

from __future__ import annotations

from typing import Any

from gradsmith.ops.linalg import vector_norm
from gradsmith.optim.composed import ComposedOptimizer, update_average
from gradsmith.optim.optimizer import Params
from gradsmith.tensor import Tensor


class LARS(ComposedOptimizer):
    """Momentum SGD whose rate for each tensor is proportional to its norm over its gradient's.

    ``v = momentum v + lr r (g + weight_decay w)``, ``w -= v``, with
    ``r = trust_coefficient |w| / (|g| + weight_decay |w| + eps)``, or 1 where a norm is 0. State:
    ``step``, ``momentum_buffer``.
    """

    def __init__(
        self,
        params: Params,
        lr: float = 0.1,
        momentum: float = 0.9,
        weight_decay: float = 0,
        trust_coefficient: float = 1e-3,
        eps: float = 1e-8,
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
            "weight_decay": weight_decay,
            "trust_coefficient": trust_coefficient,
            "eps": eps,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _state_names(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("momentum_buffer",)

    def _move(
        self, group: dict[str, Any], param: Tensor, grad: Tensor, entry: dict[str, Any]
    ) -> None:
        decay = group["weight_decay"]
        size, slope = float(vector_norm(param)), float(vector_norm(grad))
        ratio = 1.0
        if size > 0 and slope > 0:
            ratio = group["trust_coefficient"] * size / (slope + decay * size + group["eps"])
        velocity = entry["momentum_buffer"]
        velocity.mul_(group["momentum"]).add_((grad + param * decay) * (group["lr"] * ratio))
        param.sub_(velocity)


class LAMB(ComposedOptimizer):
    """Adam with decoupled weight decay whose step for each tensor is as long as its norm times lr.

    ``w -= lr |w| / |u| u`` with Adam's direction plus decay,
    ``u = m / (sqrt(v) + eps) + weight_decay w``; the ratio is 1 where a norm is 0. State:
    ``step``, ``exp_avg``, ``exp_avg_sq``.
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
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
        return ("exp_avg", "exp_avg_sq")

    def _move(
        self, group: dict[str, Any], param: Tensor, grad: Tensor, entry: dict[str, Any]
    ) -> None:
        beta1, beta2 = group["betas"]
        step = float(entry["step"])
        update_average(entry["exp_avg"], grad, beta1)
        update_average(entry["exp_avg_sq"], grad * grad, beta2)
        scale = (entry["exp_avg_sq"] / (1 - beta2**step)).sqrt_().add_(group["eps"])
        update = (entry["exp_avg"] / (1 - beta1**step)).div_(scale)
        update.add_(param * group["weight_decay"])
        size, length = float(vector_norm(param)), float(vector_norm(update))
        ratio = size / length if size > 0 and length > 0 else 1.0
        param.sub_(update.mul_(group["lr"] * ratio))

# SPDX-License-Identifier: Apache-2.0
"""What the optimisers without a kernel share: they step by tensor functions, on any device."""

from __future__ import annotations

from typing import Any

from gradsmith.autograd import no_grad
from gradsmith.optim.optimizer import Optimizer
from gradsmith.optim.options import FLAGS, check_betas, check_number
from gradsmith.tensor import Tensor


class ComposedOptimizer(Optimizer):
    """Base: `_move` changes one parameter in place, given its gradient and its state."""

    _pairs: tuple[str, ...] = ()  # options that are two numbers, besides betas

    def _check_options(self, group: dict[str, Any]) -> None:
        """Refuse betas outside [0, 1), and other numbers below 0."""
        for name in self.defaults:
            if name == "betas":
                check_betas(self._name, group[name])
            elif name not in FLAGS and name not in self._pairs:
                check_number(self._name, name, group[name])

    def _update(self, chosen: list[tuple[dict[str, Any], list[Tensor]]]) -> None:
        self._check_gradients()
        with no_grad():
            for group, params in chosen:
                for param in params:
                    self._update_one(group, param)

    def _update_one(self, group: dict[str, Any], param: Tensor) -> None:
        self._make_states(group, param)
        entry = self.state[param]
        entry["step"].add_(1)
        grad = param.grad
        assert grad is not None
        # A parameter of 16 bits is rounded once a step, not once an operation.
        is_narrow = param.itemsize < 4
        wide, slope = (param.float(), grad.float()) if is_narrow else (param, grad)
        self._move(group, wide, -slope if group["maximize"] else slope, entry)
        if is_narrow:
            param.copy_(wide)

    def _move(
        self, group: dict[str, Any], param: Tensor, grad: Tensor, entry: dict[str, Any]
    ) -> None:
        """Change the parameter and its state in place; the gradient is not to be changed."""
        raise NotImplementedError


def update_average(average: Tensor, value: Tensor, decay: float) -> None:
    """Move a running average towards a value, in place."""
    average.mul_(decay).add_(value, alpha=1 - decay)

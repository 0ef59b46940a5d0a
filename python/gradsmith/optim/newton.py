# SPDX-License-Identifier: Apache-2.0
"""Newton's method, with Levenberg's damping."""

from __future__ import annotations

from typing import Any

from gradsmith.autograd import enable_grad, grad, no_grad
from gradsmith.ops.creation import eye, zeros
from gradsmith.ops.joining import stack
from gradsmith.ops.linalg import solve
from gradsmith.optim.flat import FlatOptimizer
from gradsmith.optim.optimizer import Closure, Params
from gradsmith.optim.options import check_number
from gradsmith.tensor import Tensor

_TRIALS = 10


class Newton(FlatOptimizer):
    """Steps to the minimum of the quadratic that touches the loss.

    ``w -= lr (H + damping I)^-1 g``. The Hessian takes a backward pass per element of the
    parameters: for small models. The closure computes the loss and returns it; it calls no
    ``backward()``. State, with the first parameter: ``step``, ``damping``.

    Example:
        >>> import gradsmith as gs
        >>> x = gs.tensor([3.0, -2.0], requires_grad=True)
        >>> optimizer = gs.optim.Newton([x])
        >>> _ = optimizer.step(lambda: (x * x * gs.tensor([1.0, 10.0])).sum())
        >>> x.abs().max().item() < 1e-6
        True
    """

    def __init__(
        self, params: Params, lr: float = 1.0, damping: float = 0.0, *, adaptive: bool = False
    ) -> None:
        """Take parameters and options.

        Args:
            params: tensors of one dtype and device.
            lr: share of the step that is taken.
            damping: added to the diagonal: large values turn and shorten the step towards the
                gradient's.
            adaptive: whether to divide the damping by 10 after a step that lowers the loss, and to
                take back one that does not and try 10 times as much (Levenberg 1944).

        Raises:
            TypeError: an option has another type.
            ValueError: one is negative, or ``adaptive`` comes without damping.
        """
        super().__init__(params, {"lr": lr, "damping": damping, "adaptive": adaptive})

    def _check_options(self, group: dict[str, Any]) -> None:
        for name in ("lr", "damping"):
            check_number("Newton", name, group[name])
        if not isinstance(group["adaptive"], bool):
            kind = type(group["adaptive"]).__name__
            raise TypeError(f"Newton: adaptive is a {kind}, expected a bool")
        if group["adaptive"] and group["damping"] == 0:
            raise ValueError("Newton: adaptive needs a damping above 0 to start from")

    def _take_step(self, closure: Closure | None) -> Any:
        evaluate = self._required(closure)
        group, state = self.param_groups[0], self._entry
        with enable_grad():
            loss = evaluate()
            slope, hessian = self._derivatives(loss)
        damping = state.get("damping", group["damping"])
        state["step"] = state.get("step", 0) + 1
        with no_grad():
            if not group["adaptive"]:
                self._move(self._newton_step(slope, hessian, damping), -group["lr"])
                return loss
            values = self._snapshot()
            for _ in range(_TRIALS):
                self._move(self._newton_step(slope, hessian, damping), -group["lr"])
                if float(evaluate()) < float(loss):
                    damping /= 10
                    break
                self._restore(values)
                damping *= 10
            state["damping"] = damping
        return loss

    @staticmethod
    def _newton_step(slope: Tensor, hessian: Tensor, damping: float) -> Tensor:
        identity = eye(slope.numel(), dtype=slope.dtype, device=slope.device)
        return solve(hessian + identity * damping, slope)

    def _derivatives(self, loss: Any) -> tuple[Tensor, Tensor]:
        """Return the flat gradient and the Hessian, row by row."""
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            raise TypeError(
                "Newton: the closure returned no loss, expected a tensor of one element"
            )
        params = self._params
        slope = self._flat(list(grad(loss, params, create_graph=True, allow_unused=True)))
        if not slope.requires_grad:  # the loss is linear
            count = slope.numel()
            return slope, zeros(count, count, dtype=slope.dtype, device=slope.device)
        rows = [
            self._flat(list(grad(each, params, retain_graph=True, allow_unused=True)))
            for each in slope
        ]
        return slope.detach(), stack(rows).detach()

# SPDX-License-Identifier: Apache-2.0
"""Quasi-Newton methods: L-BFGS and BFGS (Nocedal and Wright 2006, chapters 6 and 7)."""

from __future__ import annotations

from typing import Any

from gradsmith.ops.creation import eye
from gradsmith.ops.gemm import outer
from gradsmith.optim.flat import LineSearchOptimizer, dot
from gradsmith.optim.optimizer import Params
from gradsmith.optim.options import check_count
from gradsmith.tensor import Tensor


class LBFGS(LineSearchOptimizer):
    """Newton's method with an inverse Hessian made of the last steps and changes of the gradient.

    One ``step(closure)`` runs up to ``max_iter`` iterations on one loss, so that batches must not
    change within it. The closure clears the gradients, computes the loss, calls ``backward()`` and
    returns the loss. State, with the first parameter: ``func_evals``, ``n_iter``, ``d``, ``t``,
    ``old_dirs``, ``old_stps``, ``ro``, ``H_diag``, ``prev_flat_grad``, ``prev_loss``.

    Example:
        >>> import gradsmith as gs
        >>> x = gs.tensor([-1.0, 2.0], requires_grad=True)
        >>> optimizer = gs.optim.LBFGS([x], line_search_fn="strong_wolfe", max_iter=50)
        >>> def closure():
        ...     optimizer.zero_grad()
        ...     loss = (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
        ...     loss.backward()
        ...     return loss
        >>> _ = optimizer.step(closure)
        >>> [round(value, 2) for value in x.tolist()]
        [1.0, 1.0]
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        """Take parameters and options.

        Args:
            params: tensors of one dtype and device.
            lr: step along the direction; the first one tried in a line search.
            max_iter: iterations per step.
            max_eval: evaluations per step, by default ``max_iter * 5 // 4``.
            tolerance_grad: stop when no element of the gradient is larger.
            tolerance_change: stop when loss or parameters change by less.
            history_size: number of steps that are remembered.
            line_search_fn: ``"strong_wolfe"``, or None for a fixed step.

        Raises:
            TypeError: an option has another type.
            ValueError: one is out of range, or the parameters are of several kinds or groups.
        """
        stops = (max_iter, max_eval, tolerance_grad, tolerance_change)
        self._own_options = {"history_size": history_size}
        super().__init__(params, lr, *stops, line_search_fn)

    def _check_options(self, group: dict[str, Any]) -> None:
        super()._check_options(group)
        check_count("LBFGS", "history_size", group["history_size"])

    def _direction(self, group: dict[str, Any], state: dict[str, Any], grad: Tensor) -> Tensor:
        if state.get("d") is None:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1.0)
            return -grad
        self._remember(group, state, grad)
        changes, steps, ro = state["old_dirs"], state["old_stps"], state["ro"]
        # Algorithm 7.4, the two loops.
        result, weights = -grad, []
        for y, s, rho in zip(reversed(changes), reversed(steps), reversed(ro), strict=True):
            weights.append(dot(s, result) * rho)
            result.add_(y, alpha=-weights[-1])
        result.mul_(state["H_diag"])
        for y, s, rho, weight in zip(changes, steps, ro, reversed(weights), strict=True):
            result.add_(s, alpha=weight - dot(y, result) * rho)
        return result

    @staticmethod
    def _remember(group: dict[str, Any], state: dict[str, Any], grad: Tensor) -> None:
        """Add the last step and the change of the gradient, if the curvature is positive."""
        y, s = grad - state["prev_flat_grad"], state["d"] * state["t"]
        curvature = dot(y, s)
        if curvature <= 1e-10:
            return
        kept = [(state["old_dirs"], y), (state["old_stps"], s), (state["ro"], 1.0 / curvature)]
        for history, value in kept:
            if len(history) == group["history_size"]:
                history.pop(0)
            history.append(value)
        state["H_diag"] = curvature / dot(y, y)


class BFGS(LineSearchOptimizer):
    """Newton's method with an inverse Hessian that is updated from step to step (formula 6.17).

    It is a matrix with a row per element of the parameters: for small models. Options and closure
    are those of `LBFGS`, with the line search by default. State, with the first parameter:
    ``func_evals``, ``n_iter``, ``d``, ``t``, ``H``, ``prev_flat_grad``, ``prev_loss``.
    """

    def _direction(self, group: dict[str, Any], state: dict[str, Any], grad: Tensor) -> Tensor:
        if state.get("d") is None:
            return -grad
        y, s = grad - state["prev_flat_grad"], state["d"] * state["t"]
        curvature = dot(y, s)
        if curvature > 1e-10:
            if state.get("H") is None:  # the scale of the curvature, formula 6.20
                identity = eye(grad.numel(), dtype=grad.dtype, device=grad.device)
                state["H"] = identity * (curvature / dot(y, y))
            inverse = state["H"]
            turned = inverse @ y
            inverse.add_(outer(s, s), alpha=(1 + dot(y, turned) / curvature) / curvature)
            cross = outer(turned, s)
            inverse.sub_(cross + cross.T, alpha=1 / curvature)
        return -grad if state.get("H") is None else -(state["H"] @ grad)

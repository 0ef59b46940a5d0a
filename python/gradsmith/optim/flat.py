# SPDX-License-Identifier: Apache-2.0
"""What the methods share that see all parameters as one vector and evaluate the loss themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gradsmith.autograd import enable_grad, no_grad
from gradsmith.backend import like, on_host
from gradsmith.ops.creation import zeros_like
from gradsmith.ops.joining import cat
from gradsmith.optim.line_search import Point, strong_wolfe
from gradsmith.optim.optimizer import Closure, Optimizer, Params
from gradsmith.optim.options import check_count, check_number
from gradsmith.tensor import Tensor, wrap


class FlatOptimizer(Optimizer):
    """Base: one group, whose state is kept with its first parameter."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Take the parameters; there is one group only.

        Raises:
            ValueError: a second group, or parameters of several dtypes or devices.
        """
        if self.param_groups:
            raise ValueError(f"{self._name}: got a second parameter group, expected one")
        super().add_param_group(param_group)
        kinds = {(str(each.dtype), str(each.device)) for each in self._params}
        if len(kinds) > 1:
            raise ValueError(
                f"{self._name}: the parameters are of {sorted(kinds)}, expected one dtype and "
                "device"
            )

    @property
    def _params(self) -> list[Tensor]:
        params: list[Tensor] = self.param_groups[0]["params"]
        return params

    @property
    def _entry(self) -> dict[str, Any]:
        return self.state[self._params[0]]

    def _required(self, closure: Closure | None) -> Closure:
        if closure is None:
            raise TypeError(
                f"{self._name}: step needs a closure that computes the loss and returns it"
            )
        return closure

    def _flat(self, tensors: list[Tensor | None]) -> Tensor:
        """Return one vector of tensors shaped as the parameters, zeros for None; a copy."""
        pairs = zip(tensors, self._params, strict=True)
        return cat([(zeros_like(param) if x is None else x).reshape(-1) for x, param in pairs])

    def _flat_gradient(self) -> Tensor:
        return self._flat([param.grad for param in self._params]).detach().clone()

    def _move(self, direction: Tensor, step: float) -> None:
        """Add ``step * direction`` to the parameters."""
        start = 0
        for param in self._params:
            piece = direction[start : start + param.numel()]
            param.add_(piece.reshape(param.shape), alpha=step)
            start += param.numel()

    def _snapshot(self) -> list[Tensor]:
        return [param.detach().clone() for param in self._params]

    def _restore(self, values: list[Tensor]) -> None:
        for param, value in zip(self._params, values, strict=True):
            param.copy_(value)

    def _loaded(self, group: dict[str, Any], param: Tensor, key: str, value: Any) -> Any:
        """Return a copy: numbers as Python's, vectors on the parameters' device."""
        if value is None or isinstance(value, (int, float)):
            return value
        if isinstance(value, (list, tuple)):
            return [self._loaded(group, param, key, each) for each in value]
        array = np.asarray(on_host(value._array) if isinstance(value, Tensor) else value)
        if array.ndim == 0:
            return float(array)
        count = sum(each.numel() for each in group["params"])
        if array.shape not in ((count,), (count, count)):
            raise ValueError(
                f"{self._name}: state {key!r} has shape {array.shape}, expected ({count},)"
            )
        return wrap(like(array.astype(param.dtype), param._array))


def largest(x: Tensor) -> float:
    """Return the largest magnitude in a vector."""
    return float(x.abs().max()) if x.numel() else 0.0


def dot(a: Tensor, b: Tensor) -> float:
    """Return the inner product of two vectors as a number."""
    return float((a * b).sum())


class LineSearchOptimizer(FlatOptimizer):
    """Base of the methods that choose a direction from gradients, then search along it.

    State, with the first parameter: ``func_evals``, ``n_iter``, the last direction ``d`` and step
    ``t``, ``prev_flat_grad``, ``prev_loss``, and what the method adds.
    """

    _c2 = 0.9
    _own_options: Mapping[str, Any] = {}  # what a method has besides, set before the base's options

    def __init__(
        self,
        params: Params,
        lr: float = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        line_search_fn: str | None = "strong_wolfe",
    ) -> None:
        """Take parameters and options.

        Args:
            params: tensors of one dtype and device.
            lr: step along the direction; the first one tried in a line search.
            max_iter: iterations per step.
            max_eval: evaluations per step, by default ``max_iter * 5 // 4``.
            tolerance_grad: stop when no element of the gradient is larger.
            tolerance_change: stop when loss or parameters change by less.
            line_search_fn: ``"strong_wolfe"``, or None for a fixed step.

        Raises:
            TypeError: an option has another type.
            ValueError: one is out of range, or the parameters are of several kinds or groups.
        """
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "line_search_fn": line_search_fn,
            **self._own_options,
        }
        super().__init__(params, defaults)

    def _check_options(self, group: dict[str, Any]) -> None:
        for name in ("lr", "tolerance_grad", "tolerance_change"):
            check_number(self._name, name, group[name])
        check_count(self._name, "max_iter", group["max_iter"])
        if group["max_eval"] is None:
            group["max_eval"] = group["max_iter"] * 5 // 4
        check_count(self._name, "max_eval", group["max_eval"])
        if group["line_search_fn"] not in (None, "strong_wolfe"):
            raise ValueError(
                f"{self._name}: line_search_fn is {group['line_search_fn']!r}, expected "
                "'strong_wolfe' or None"
            )

    def _direction(self, group: dict[str, Any], state: dict[str, Any], grad: Tensor) -> Tensor:
        """Return where to go from a gradient; in the first iteration the state has no ``d``."""
        raise NotImplementedError

    def _first_length(
        self, group: dict[str, Any], state: dict[str, Any], grad: Tensor, slope: float
    ) -> float:
        """Return the step to try first."""
        lr = float(group["lr"])
        return min(1.0, 1.0 / float(grad.abs().sum())) * lr if state["n_iter"] == 1 else lr

    @no_grad()
    def _take_step(self, closure: Closure | None) -> Any:
        evaluate = enable_grad()(self._required(closure))
        group, state = self.param_groups[0], self._entry
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first_loss = evaluate()
        loss, grad, evaluations = float(first_loss), self._flat_gradient(), 1
        state["func_evals"] += 1
        if largest(grad) <= group["tolerance_grad"]:
            return first_loss
        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            direction = self._direction(group, state, grad)
            slope = dot(grad, direction)
            step = self._first_length(group, state, grad, slope)
            state.update(d=direction, t=step, prev_flat_grad=grad, prev_loss=loss)
            if slope > -group["tolerance_change"]:
                break
            is_last = iteration == group["max_iter"]
            now, count = self._advance(
                evaluate, Point(0.0, loss, grad, slope), is_last, group["max_eval"] - evaluations
            )
            state["t"] = now.t
            state["func_evals"] += count
            evaluations += count
            change = abs(now.loss - loss)
            loss, grad = now.loss, now.grad
            if (
                is_last
                or evaluations >= group["max_eval"]
                or largest(grad) <= group["tolerance_grad"]
                or largest(direction) * abs(now.t) <= group["tolerance_change"]
                or change < group["tolerance_change"]
            ):
                break
        return first_loss

    def _advance(
        self, evaluate: Closure, start: Point, is_last: bool, limit: int
    ) -> tuple[Point, int]:
        """Move along the direction; return the point reached and the number of evaluations."""
        group, state = self.param_groups[0], self._entry
        direction, step = state["d"], state["t"]
        if group["line_search_fn"] is None:
            self._move(direction, step)
            if is_last:  # nobody would use what it evaluates to
                return start._replace(t=step), 0
            return Point(step, float(evaluate()), self._flat_gradient(), 0.0), 1
        values = self._snapshot()

        def line(t: float) -> Point:
            self._move(direction, t)
            loss, grad = float(evaluate()), self._flat_gradient()
            self._restore(values)
            return Point(t, loss, grad, dot(grad, direction))

        found = strong_wolfe(line, start, step, largest(direction), c2=self._c2, limit=limit)
        self._move(direction, found[0].t)
        return found

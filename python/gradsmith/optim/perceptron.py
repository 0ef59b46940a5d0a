# SPDX-License-Identifier: Apache-2.0
"""The perceptron's learning rule (Rosenblatt 1958)."""

from __future__ import annotations

from typing import Any

from gradsmith.autograd import enable_grad, grad, no_grad
from gradsmith.ops.elementwise import ge
from gradsmith.optim.optimizer import Closure, Optimizer, Params
from gradsmith.optim.options import check_number
from gradsmith.tensor import Tensor


class PerceptronRule(Optimizer):
    """Adds ``lr (t - y) x`` to the weights of threshold units, and ``lr (t - y)`` to their biases.

    y is 1 where the score ``w x + b`` is at least 0, else 0 (or -1 for targets of -1 and 1). The
    step's closure returns the scores, computed from the parameters, and the targets; any model that
    is linear in its parameters will do. A batch adds up the corrections of its samples.

    Example:
        >>> import gradsmith as gs
        >>> x = gs.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
        >>> t = gs.tensor([[0.0], [0.0], [0.0], [1.0]])
        >>> layer = gs.nn.Linear(2, 1)
        >>> rule = gs.optim.PerceptronRule(layer.parameters())
        >>> while rule.step(lambda: (layer(x), t)):
        ...     pass
        >>> (layer(x) >= 0).float().tolist() == t.tolist()
        True
    """

    def __init__(self, params: Params, lr: float = 1.0, *, bipolar: bool = False) -> None:
        """Take parameters and options.

        Args:
            params: tensors or groups.
            lr: the rate.
            bipolar: whether outputs and targets are -1 and 1 instead of 0 and 1.

        Raises:
            TypeError: an option has another type.
            ValueError: the rate is negative.
        """
        super().__init__(params, {"lr": lr, "bipolar": bipolar})

    def _check_options(self, group: dict[str, Any]) -> None:
        check_number("PerceptronRule", "lr", group["lr"])
        if not isinstance(group["bipolar"], bool):
            kind = type(group["bipolar"]).__name__
            raise TypeError(f"PerceptronRule: bipolar is a {kind}, expected a bool")

    def _take_step(self, closure: Closure | None) -> int:
        if closure is None:
            raise TypeError(
                "PerceptronRule: step needs a closure that returns (scores, target), as in "
                "step(lambda: (layer(x), t))"
            )
        with enable_grad():
            scores, target = closure()
        low = -1.0 if self.param_groups[0]["bipolar"] else 0.0
        self._check_pair(scores, target, low)
        with no_grad():
            fired = ge(scores, 0).to(scores.dtype)
            error = fired * (1 - low) + low - target.to(scores.dtype)
        params = [param for group in self.param_groups for param in group["params"]]
        slopes = iter(grad(scores, params, error, allow_unused=True))
        with no_grad():
            for group in self.param_groups:
                for param in group["params"]:
                    slope = next(slopes)
                    if slope is not None:
                        param.sub_(slope * group["lr"])
        return int((error != 0).sum())

    def _check_pair(self, scores: Any, target: Any, low: float) -> None:
        if not isinstance(scores, Tensor) or not isinstance(target, Tensor):
            raise TypeError(
                f"PerceptronRule: the closure returned a {type(scores).__name__} and a "
                f"{type(target).__name__}, expected two tensors (scores, target)"
            )
        if scores.shape != target.shape:
            raise ValueError(
                f"PerceptronRule: the scores have shape {scores.shape}, the target {target.shape}"
            )
        if not bool(((target == low).logical_or(target == 1)).all()):
            raise ValueError(f"PerceptronRule: the target holds values besides {low:g} and 1")

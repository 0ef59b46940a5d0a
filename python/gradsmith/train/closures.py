# SPDX-License-Identifier: Apache-2.0
"""Steps of optimisers that compute the loss themselves, as often as they need it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradsmith.optim import Newton, Optimizer, PerceptronRule
from gradsmith.optim.flat import FlatOptimizer
from gradsmith.tensor import Tensor


def needs_closure(optimizer: Optimizer) -> bool:
    """Whether the optimiser's step takes a function that computes the loss."""
    return isinstance(optimizer, (FlatOptimizer, PerceptronRule))


def step_by_closure(
    optimizer: Optimizer, evaluate: Callable[[], tuple[Any, Tensor]], target: Any
) -> tuple[Any, Tensor]:
    """Take a step, and return the output and the loss of the first evaluation."""
    seen: list[tuple[Any, Tensor]] = []

    def closure() -> Any:
        optimizer.zero_grad()
        output, loss = evaluate()
        seen.append((output, loss))
        if isinstance(optimizer, PerceptronRule):
            return output, target
        if not isinstance(optimizer, Newton):  # which differentiates the loss itself
            loss.backward()
        return loss

    optimizer.step(closure)
    return seen[0]

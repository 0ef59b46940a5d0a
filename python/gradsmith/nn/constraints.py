# SPDX-License-Identifier: Apache-2.0
"""Constraints on parameters, put into force after a step of the optimiser (Keras's).

A constraint changes a tensor in place and returns it. Norms are those of the weights that lead into
one unit: over all dimensions but the first, as weights lie here, and over all of a vector.

>>> import gradsmith as gs
>>> layer = gs.nn.Linear(4, 2)
>>> optimizer = gs.optim.SGD(layer.parameters(), lr=0.1)
>>> handle = gs.nn.constraints.after_step(
...     optimizer, gs.nn.constraints.MaxNorm(1.0), [layer.weight]
... )
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from gradsmith.autograd import no_grad
from gradsmith.hooks import HookHandle
from gradsmith.ops.elementwise_round import clamp
from gradsmith.ops.linalg import vector_norm
from gradsmith.ops.options import check_number
from gradsmith.tensor import Tensor, array_of

Constraint = Callable[[Tensor], Tensor]
_EPSILON = 1e-7  # Keras's


class HasSteps(Protocol):
    """What `after_step` needs of an optimiser."""

    param_groups: list[dict[str, Any]]

    def register_step_post_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Call the hook after each step."""


def apply(parameters: Tensor | Iterable[Tensor], constraint: Constraint) -> None:
    """Put a constraint into force on each parameter.

    Raises:
        TypeError: one is no tensor, or the constraint cannot be called.
    """
    if not callable(constraint):
        kind = type(constraint).__name__
        raise TypeError(f"apply: constraint is a {kind}, expected a callable")
    for parameter in [parameters] if isinstance(parameters, Tensor) else list(parameters):
        array_of("apply", parameter, "parameters")
        constraint(parameter)


def after_step(
    optimizer: HasSteps,
    constraint: Constraint,
    parameters: Tensor | Iterable[Tensor] | None = None,
) -> HookHandle:
    """Put a constraint into force now and after each step, until the handle's ``remove()``.

    Args:
        optimizer: whose steps to follow.
        constraint: one of this module's, or any function that changes a tensor in place.
        parameters: those it is for; by default all of the optimiser's.

    Raises:
        TypeError: as `apply`, or ``optimizer`` has no steps to follow.
    """
    if not hasattr(optimizer, "register_step_post_hook"):
        kind = type(optimizer).__name__
        raise TypeError(f"after_step: optimizer is a {kind}, expected an Optimizer")
    if parameters is None:
        chosen = [each for group in optimizer.param_groups for each in group["params"]]
    else:
        chosen = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    apply(chosen, constraint)
    return optimizer.register_step_post_hook(lambda *_: apply(chosen, constraint))


def _limit(owner: str, name: str, value: float) -> float:
    if not check_number(owner, name, value) >= 0:
        raise ValueError(f"{owner}: {name} is {value}, expected at least 0")
    return float(value)


class _NormConstraint:
    """Base: scales each unit's weights to the norm that ``_wanted`` gives for theirs."""

    dim: int | tuple[int, ...] | None

    def _wanted(self, norm: Tensor) -> Tensor | float:
        raise NotImplementedError

    @no_grad()
    def __call__(self, parameter: Tensor) -> Tensor:
        """Scale the parameter in place, and return it."""
        array_of(type(self).__name__, parameter, "parameter")
        dim = self.dim
        if dim is None:
            dim = tuple(range(1 if parameter.ndim > 1 else 0, parameter.ndim))
        norm = vector_norm(parameter, 2, dim, keepdim=True) if dim != () else parameter.abs()
        return parameter.mul_(self._wanted(norm) / (norm + _EPSILON))


class MaxNorm(_NormConstraint):
    """Scales down weights whose norm exceeds ``max_value`` (Srebro, Rennie and Jaakkola 2005)."""

    def __init__(self, max_value: float = 2.0, dim: int | tuple[int, ...] | None = None) -> None:
        """Take the limit, and the dimensions that a norm is over (see above).

        Raises:
            ValueError: the limit is negative.
        """
        self.max_value = _limit("MaxNorm", "max_value", max_value)
        self.dim = dim

    def _wanted(self, norm: Tensor) -> Tensor:
        return clamp(norm, 0.0, self.max_value)


class UnitNorm(_NormConstraint):
    """Scales weights to norm 1."""

    def __init__(self, dim: int | tuple[int, ...] | None = None) -> None:
        """Take the dimensions that a norm is over (see above)."""
        self.dim = dim

    def _wanted(self, norm: Tensor) -> float:
        return 1.0


class MinMaxNorm(_NormConstraint):
    """Moves norms into an interval, all the way or a share ``rate`` of it."""

    def __init__(
        self,
        min_value: float = 0.0,
        max_value: float = 1.0,
        rate: float = 1.0,
        dim: int | tuple[int, ...] | None = None,
    ) -> None:
        """Take the interval, the share, and the dimensions that a norm is over (see above).

        Raises:
            ValueError: a limit is negative, the interval empty, or the rate outside [0, 1].
        """
        self.min_value = _limit("MinMaxNorm", "min_value", min_value)
        self.max_value = _limit("MinMaxNorm", "max_value", max_value)
        self.rate = _limit("MinMaxNorm", "rate", rate)
        if self.min_value > self.max_value:
            raise ValueError(
                f"MinMaxNorm: min_value is {min_value} and max_value {max_value}, expected "
                "min_value <= max_value"
            )
        if self.rate > 1:
            raise ValueError(f"MinMaxNorm: rate is {rate}, expected a number from 0 to 1")
        self.dim = dim

    def _wanted(self, norm: Tensor) -> Tensor:
        inside = clamp(norm, self.min_value, self.max_value)
        return inside * self.rate + norm * (1 - self.rate)


class NonNegative:
    """Sets negative weights to 0."""

    @no_grad()
    def __call__(self, parameter: Tensor) -> Tensor:
        """Change the parameter in place, and return it."""
        array_of("NonNegative", parameter, "parameter")
        return parameter.clamp_(min=0.0)


class WeightClip:
    """Clamps weights to [-clip_value, clip_value], as for WGAN's critic (Arjovsky et al. 2017)."""

    def __init__(self, clip_value: float = 0.01) -> None:
        """Take the limit.

        Raises:
            ValueError: it is negative.
        """
        self.clip_value = _limit("WeightClip", "clip_value", clip_value)

    @no_grad()
    def __call__(self, parameter: Tensor) -> Tensor:
        """Change the parameter in place, and return it."""
        array_of("WeightClip", parameter, "parameter")
        return parameter.clamp_(-self.clip_value, self.clip_value)

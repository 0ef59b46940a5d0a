# SPDX-License-Identifier: Apache-2.0
"""Clipping of gradients by their common norm or by value."""

from __future__ import annotations

import math
from collections.abc import Iterable

from gradsmith.autograd import no_grad
from gradsmith.backend import float32
from gradsmith.ops.creation import zeros
from gradsmith.ops.elementwise import maximum
from gradsmith.ops.options import check_number
from gradsmith.tensor import Tensor


def _gradients(name: str, parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    if not isinstance(parameters, Iterable):
        raise TypeError(f"{name}: parameters is a {type(parameters).__name__}, expected tensors")
    given = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    for parameter in given:
        if not isinstance(parameter, Tensor):
            raise TypeError(
                f"{name}: parameters holds a {type(parameter).__name__}, expected tensors"
            )
    return [parameter.grad for parameter in given if parameter.grad is not None]


def _norm(gradients: list[Tensor], p: float) -> Tensor:
    """Return the p-norm over the elements of all gradients, a scalar."""
    total: Tensor | None = None
    for grad in gradients:
        # float32 sums of bfloat16 gradients: their own dtype would lose small terms.
        magnitude = (grad.to(float32) if grad.itemsize < 4 else grad).abs()
        if p == math.inf:
            term = magnitude.max() if magnitude.numel() else magnitude.sum()
            total = term if total is None else maximum(total, term)
        else:
            term = (magnitude * magnitude if p == 2 else magnitude**p).sum()
            total = term if total is None else total + term
    if total is None:
        return zeros(())
    return total if p == math.inf else total ** (1.0 / p)


@no_grad()
def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scale all gradients down so that their common norm is at most ``max_norm``.

    Args:
        parameters: tensors whose ``.grad`` is scaled in place; those without one are left out.
        max_norm: the limit.
        norm_type: the p of the p-norm; ``math.inf`` for the largest magnitude.
        error_if_nonfinite: raise if the norm is NaN or infinite, and change nothing.

    Returns:
        The norm before, a scalar.

    Raises:
        ValueError: ``norm_type`` is not positive, ``max_norm`` is negative or NaN, or the norm is
            not finite.
    """
    p = check_number("clip_grad_norm_", "norm_type", norm_type)
    if not p > 0:
        raise ValueError(f"clip_grad_norm_: norm_type is {norm_type}, expected a positive number")
    if not check_number("clip_grad_norm_", "max_norm", max_norm) >= 0:
        raise ValueError(f"clip_grad_norm_: max_norm is {max_norm}, expected at least 0")
    gradients = _gradients("clip_grad_norm_", parameters)
    norm = _norm(gradients, p)
    value = float(norm)
    if error_if_nonfinite and not math.isfinite(value):
        raise ValueError(
            f"clip_grad_norm_: the norm of the gradients is {value}; error_if_nonfinite=False "
            "would scale by it"
        )
    # PyTorch's epsilon; NaN passes through, so that a diverged step stays visible.
    scale = max_norm / (value + 1e-6)
    if not scale >= 1.0:
        for grad in gradients:
            grad.mul_(scale)
    return norm


@no_grad()
def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Clamp every element of the gradients to [-clip_value, clip_value], in place.

    Raises:
        ValueError: ``clip_value`` is negative or NaN.
    """
    if not check_number("clip_grad_value_", "clip_value", clip_value) >= 0:
        raise ValueError(f"clip_grad_value_: clip_value is {clip_value}, expected at least 0")
    for grad in _gradients("clip_grad_value_", parameters):
        grad.clamp_(-clip_value, clip_value)

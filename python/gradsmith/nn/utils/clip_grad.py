# SPDX-License-Identifier: Apache-2.0
"""Gradients between backward and step: norms, clipping, noise."""

from __future__ import annotations

import math
from collections.abc import Iterable

from gradsmith.autograd import no_grad
from gradsmith.backend import float32
from gradsmith.ops.creation import zeros
from gradsmith.ops.joining import stack
from gradsmith.ops.linalg_norm import vector_norm
from gradsmith.ops.options import check_int, check_number
from gradsmith.random import Generator
from gradsmith.tensor import Tensor


def _tensors(name: str, argument: str, value: Tensor | Iterable[Tensor]) -> list[Tensor]:
    if not isinstance(value, Iterable):
        raise TypeError(f"{name}: {argument} is a {type(value).__name__}, expected tensors")
    given = [value] if isinstance(value, Tensor) else list(value)
    for each in given:
        if not isinstance(each, Tensor):
            raise TypeError(f"{name}: {argument} holds a {type(each).__name__}, expected tensors")
    return given


def _gradients(name: str, parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    given = _tensors(name, "parameters", parameters)
    return [parameter.grad for parameter in given if parameter.grad is not None]


def _order(name: str, norm_type: float) -> float:
    p = check_number(name, "norm_type", norm_type)
    if not p > 0:
        raise ValueError(f"{name}: norm_type is {norm_type}, expected a positive number")
    return p


def _limit(name: str, argument: str, value: float) -> float:
    if not check_number(name, argument, value) >= 0:
        raise ValueError(f"{name}: {argument} is {value}, expected at least 0")
    return value


def _norm(tensors: list[Tensor], p: float) -> Tensor:
    """Return the p-norm over the elements of all tensors, a scalar."""
    # float32 sums of gradients of 16 bits: their own dtype would lose small terms.
    wide = [each.to(float32) if each.itemsize < 4 else each for each in tensors if each.numel()]
    if not wide:
        return zeros(())
    norms = [vector_norm(each, p) for each in wide]
    widest = max(wide, key=Tensor.element_size).dtype
    return vector_norm(stack([norm.to(widest) for norm in norms]), p)


def _scale_down(gradients: list[Tensor], max_norm: float, norm: Tensor) -> None:
    # PyTorch's epsilon; NaN passes through, so that a diverged step stays visible.
    scale = max_norm / (float(norm) + 1e-6)
    if not scale >= 1.0:
        for grad in gradients:
            grad.mul_(scale)


@no_grad()
def get_total_norm(
    tensors: Tensor | Iterable[Tensor], norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """Return the norm of the elements of all tensors together, a scalar.

    Args:
        tensors: usually gradients.
        norm_type: the p of the p-norm; ``math.inf`` for the largest magnitude.
        error_if_nonfinite: raise if the norm is NaN or infinite.

    Raises:
        ValueError: ``norm_type`` is not positive, or the norm is not finite.
    """
    given = _tensors("get_total_norm", "tensors", tensors)
    norm = _norm(given, _order("get_total_norm", norm_type))
    if error_if_nonfinite and not math.isfinite(float(norm)):
        raise ValueError(f"get_total_norm: the norm is {float(norm)}, expected a finite one")
    return norm


@no_grad()
def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor
) -> None:
    """Scale all gradients by ``max_norm / total_norm`` if that is below 1, in place.

    Raises:
        ValueError: ``max_norm`` is negative or NaN.
    """
    name = "clip_grads_with_norm_"
    _limit(name, "max_norm", max_norm)
    _scale_down(_gradients(name, parameters), max_norm, total_norm)


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
    p = _order("clip_grad_norm_", norm_type)
    _limit("clip_grad_norm_", "max_norm", max_norm)
    gradients = _gradients("clip_grad_norm_", parameters)
    norm = _norm(gradients, p)
    if error_if_nonfinite and not math.isfinite(float(norm)):
        raise ValueError(
            f"clip_grad_norm_: the norm of the gradients is {float(norm)}; "
            "error_if_nonfinite=False would scale by it"
        )
    _scale_down(gradients, max_norm, norm)
    return norm


@no_grad()
def clip_grad_norm_per_tensor_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0
) -> Tensor:
    """Scale each gradient down by itself so that its norm is at most ``max_norm`` (Keras clipnorm).

    Args:
        parameters: tensors whose ``.grad`` is scaled in place; those without one are left out.
        max_norm: the limit of each.
        norm_type: the p of the p-norm; ``math.inf`` for the largest magnitude.

    Returns:
        The norms before, one per gradient.

    Raises:
        ValueError: ``norm_type`` is not positive, or ``max_norm`` is negative or NaN.
    """
    name = "clip_grad_norm_per_tensor_"
    p = _order(name, norm_type)
    _limit(name, "max_norm", max_norm)
    norms = []
    for grad in _gradients(name, parameters):
        norms.append(_norm([grad], p))
        _scale_down([grad], max_norm, norms[-1])
    return stack(norms) if norms else zeros(0)


@no_grad()
def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Clamp every element of the gradients to [-clip_value, clip_value], in place.

    Raises:
        ValueError: ``clip_value`` is negative or NaN.
    """
    _limit("clip_grad_value_", "clip_value", clip_value)
    for grad in _gradients("clip_grad_value_", parameters):
        grad.clamp_(-clip_value, clip_value)


@no_grad()
def add_grad_noise_(
    parameters: Tensor | Iterable[Tensor],
    step: int,
    eta: float = 0.01,
    gamma: float = 0.55,
    generator: Generator | None = None,
) -> None:
    """Add normal noise of variance ``eta / (1 + step) ** gamma`` to the gradients, in place.

    From Neelakantan et al. 2015, who take eta from {0.01, 0.3, 1}.

    Args:
        parameters: tensors whose ``.grad`` is changed; those without one are left out.
        step: number of steps taken so far.
        eta: variance at the start.
        gamma: how fast it falls.
        generator: source of the numbers.

    Raises:
        ValueError: ``step``, ``eta`` or ``gamma`` is negative.
    """
    name = "add_grad_noise_"
    _limit(name, "step", check_int(name, "step", step))
    _limit(name, "eta", eta)
    _limit(name, "gamma", gamma)
    std = math.sqrt(eta * (1.0 + step) ** -float(gamma))  # of ints the power would be exact
    for grad in _gradients(name, parameters):
        grad.add_(grad.clone().normal_(0.0, std, generator=generator))

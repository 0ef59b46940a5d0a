# SPDX-License-Identifier: Apache-2.0
"""Analytic gradients against central differences, of first and second order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradsmith.autograd.gradients import grad
from gradsmith.autograd.mode import enable_grad, no_grad
from gradsmith.backend import EXTENSIONS, FLOATING, Array, float64, like, on_host
from gradsmith.tensor import Tensor, array_of, wrap


def _outputs(function: Callable[..., Any], inputs: Sequence[Any]) -> tuple[Tensor, ...]:
    result = function(*inputs)
    results = result if isinstance(result, (tuple, list)) else (result,)
    return tuple(
        each for each in results if array_of("gradcheck", each, "result").dtype in FLOATING
    )


def _numeric_jacobian(
    function: Callable[..., Any], inputs: Sequence[Any], chosen: Tensor, eps: float
) -> list[Array]:
    """Return d outputs / d chosen by central differences, one matrix (chosen, output) each."""
    if not chosen._array.flags.c_contiguous:
        raise ValueError("gradcheck: inputs have to be contiguous")
    flat = chosen._array.reshape(-1)
    numbers = np.array(on_host(flat))
    copy = EXTENSIONS[type(flat)].copy
    columns: list[list[Array]] = []
    with no_grad():
        for i in range(flat.size):
            kept = float(numbers[i])
            copy(flat[i : i + 1], kept + eps)
            above = [np.array(on_host(o._array)) for o in _outputs(function, inputs)]
            copy(flat[i : i + 1], kept - eps)
            below = [np.array(on_host(o._array)) for o in _outputs(function, inputs)]
            copy(flat[i : i + 1], kept)
            columns.append(
                [((a - b) / (2 * eps)).reshape(-1) for a, b in zip(above, below, strict=True)]
            )
        count = len(columns[0]) if columns else len(_outputs(function, inputs))
    return [np.array([column[k] for column in columns]) for k in range(count)]


def _analytic_jacobian(output: Tensor, chosen: Tensor) -> Array:
    """Return d output / d chosen as the tape has it, a matrix (chosen, output)."""
    jacobian = np.zeros((chosen._array.size, output._array.size))
    for k in range(output._array.size):
        seed = np.zeros(output._array.shape)
        seed.reshape(-1)[k] = 1.0
        dy = wrap(like(seed, output._array))
        (result,) = grad(output, chosen, dy, retain_graph=True, allow_unused=True)
        if result is not None:
            jacobian[:, k] = on_host(result._array).reshape(-1)
    return jacobian


def _differentiable(inputs: Sequence[Any], name: str) -> list[Tensor]:
    chosen = [x for x in inputs if isinstance(x, Tensor) and x.requires_grad]
    if not chosen:
        raise ValueError(f"{name}: no input requires a gradient")
    for x in chosen:
        if x.dtype != float64:
            raise TypeError(f"{name}: got a {x.dtype} input, expected float64")
    return chosen


def gradcheck(
    function: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Check the gradients of ``function`` at ``inputs`` against central differences.

    Args:
        function: takes the inputs, returns a tensor or a tuple of tensors.
        inputs: float64 leaves that require a gradient are checked, others are constants.
        eps: step of the differences.
        atol: absolute tolerance.
        rtol: relative tolerance.
        raise_exception: raise on a mismatch rather than return False.

    Raises:
        RuntimeError: a gradient differs.
        TypeError: an input that requires a gradient is not float64.
    """
    args = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    for position, chosen in enumerate(_differentiable(args, "gradcheck")):
        numeric = _numeric_jacobian(function, args, chosen, eps)
        with enable_grad():
            outputs = _outputs(function, args)
        for index, output in enumerate(outputs):
            expected = numeric[index].reshape(chosen._array.size, output._array.size)
            if output.requires_grad:
                got = _analytic_jacobian(output, chosen)
            else:
                got = np.zeros_like(expected)
            if np.allclose(got, expected, rtol=rtol, atol=atol, equal_nan=True):
                continue
            if not raise_exception:
                return False
            worst = np.unravel_index(np.argmax(np.abs(got - expected)), got.shape)
            raise RuntimeError(
                f"gradcheck: the gradient of output {index} for differentiable input {position} is "
                f"wrong: element {worst[0]} of the input, {worst[1]} of the output: got "
                f"{got[worst]:.8g}, expected {expected[worst]:.8g}"
            )
    return True


def gradgradcheck(
    function: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    grad_outputs: Sequence[Tensor] | None = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Check the second derivatives: gradcheck of the function's own gradient.

    ``grad_outputs`` defaults to fixed random numbers; the gradient is checked for the inputs and
    for these. Raises as `gradcheck`.
    """
    args = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    chosen = _differentiable(args, "gradgradcheck")
    with enable_grad():
        outputs = [o for o in _outputs(function, args) if o.requires_grad]
    if not outputs:
        raise ValueError("gradgradcheck: no output requires a gradient")
    if grad_outputs is None:
        rng = np.random.default_rng(0)
        seeds = [wrap(like(np.asarray(rng.standard_normal(o.shape)), o._array)) for o in outputs]
    else:
        seeds = [wrap(EXTENSIONS[type(g._array)].copy_of(g._array)) for g in grad_outputs]
    for seed in seeds:
        seed.requires_grad_()

    def gradient(*all_inputs: Any) -> tuple[Tensor, ...]:
        inner, given = all_inputs[: len(args)], all_inputs[len(args) :]
        with enable_grad():
            results = [o for o in _outputs(function, inner) if o.requires_grad]
            found = grad(results, chosen, given, create_graph=True, allow_unused=True)
        return tuple(each for each in found if each is not None)

    return gradcheck(
        gradient, (*args, *seeds), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception
    )

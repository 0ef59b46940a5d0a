# SPDX-License-Identifier: Apache-2.0
"""The changes in place that are a function's other form, and the calls to compare them by."""

from __future__ import annotations

import inspect
from collections import defaultdict
from typing import Any

import gradsmith as gs
from tests.gradient_reasons import REASONS
from tests.gradient_samples import SAMPLES, calls_of
from tests.public_functions import Call, Public, by_name, calls_of_cases

# They become another view, of any shape.
RESHAPING = ("squeeze_", "swapaxes_", "swapdims_", "t_", "transpose_", "unsqueeze_")
CALLS_EACH = 3


def _found() -> dict[str, Public]:
    names = by_name()
    elsewhere = {*SAMPLES, *(name for _, name in REASONS)}
    found = {}
    for public in {id(each): each for each in names.values()}.values():
        for name in public.names:
            stem = name.removeprefix("Tensor.").removesuffix("_")
            function = names.get(f"gs.{stem}")
            if f"Tensor.{stem}_" == name and function is not None and name not in elsewhere:
                found[name] = function
                break
    return found


# In-place method: the function.
IN_PLACE = _found()


def calls() -> dict[str, list[Call]]:
    """Return for each function the calls of Cases and samples whose result has a gradient."""
    found = [call for case, call in calls_of_cases() if case.differentiable and case.second_order]
    found += [call for name in SAMPLES for call in calls_of(name)]
    by_function: dict[str, list[Call]] = defaultdict(list)
    for call in found:
        if call.differentiated:
            by_function[call.public.name].append(call)
    return by_function


def problem(method: str, call: Call) -> tuple[list[gs.Tensor], Any, Any] | None:
    """Return leaves, the function of them, and the same by the change in place of a copy.

    The tensor to be changed is broadcast to the result; None where it has another dtype.
    """
    given = call.arguments
    parameters = list(given.signature.parameters.values())
    defaults = {each.name: each.default for each in parameters}
    arguments = {
        name: value
        for name, value in given.arguments.items()
        if (value is not defaults[name] and value != ()) or requires(value)
    }
    first = parameters[0].name
    target = arguments.get(first)
    result = call.result
    if not isinstance(target, gs.Tensor) or not isinstance(result, gs.Tensor):
        return None
    if result.dtype != target.dtype:
        return None
    if method not in RESHAPING:
        arguments[first] = target.expand(result.shape)
    places = [name for name, value in arguments.items() if requires(value)]
    leaves = [arguments[name].detach().clone().requires_grad_() for name in places]

    def bound(values: tuple[gs.Tensor, ...]) -> inspect.BoundArguments:
        all_values = {**arguments, **dict(zip(places, values, strict=True))}
        return inspect.BoundArguments(given.signature, all_values)  # type: ignore[arg-type]

    def plain(*values: gs.Tensor) -> Any:
        again = bound(values)
        return call.public.function(*again.args, **again.kwargs)

    def changed(*values: gs.Tensor) -> Any:
        again = bound(values)
        copy = again.args[0] * 1
        returned = getattr(gs.Tensor, method)(copy, *again.args[1:], **again.kwargs)
        assert returned is copy
        return copy

    return leaves, plain, changed


def requires(value: Any) -> bool:
    return isinstance(value, gs.Tensor) and value.requires_grad

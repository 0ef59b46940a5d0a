# SPDX-License-Identifier: Apache-2.0
"""Every argument that may be a tensor has gradients that were checked, or none for a reason."""

from __future__ import annotations

import inspect
from collections import defaultdict
from functools import cache
from typing import Any

import pytest

import gradsmith as gs
from gradsmith.autograd import grad
from tests import public_functions as public
from tests.gradient_arguments import (
    CONSTANTS,
    GIVEN,
    HELD,
    OPTIONS,
    REFUSED,
    UNKNOWN,
    WHOLE_CALLS,
    Fixed,
)
from tests.gradient_samples import SAMPLES, calls_of


@cache
def calls() -> dict[str, list[public.Call]]:
    """Return all calls of Cases and samples, by function."""
    found = defaultdict(list)
    for case, call in public.calls_of_cases():
        if case.second_order:
            found[call.public.name].append(call)
    for call in (call for name in SAMPLES for call in calls_of(name)):
        found[call.public.name].append(call)
    return found


def may_be_tensor(parameter: inspect.Parameter) -> bool:
    kind = str(parameter.annotation)
    if kind.startswith(("Callable", "'Callable")):
        return False
    return "Tensor" in kind or (kind == "Any" and parameter.name not in OPTIONS)


def test_every_argument_is_judged() -> None:
    holes, named = [], {*CONSTANTS, *(name for name in SAMPLES if "(" in name)}
    for function in public.public_functions().values():
        of_it = calls()[function.name]
        differentiated = set().union(*(call.differentiated for call in of_it))
        if not differentiated:
            continue  # test_every_gradient.py says why
        for parameter in inspect.signature(function.function).parameters.values():
            name = f"{function.name}({parameter.name})"
            if name in CONSTANTS:
                assert parameter.name not in differentiated, f"{name} has a gradient"
            elif may_be_tensor(parameter) and parameter.name not in differentiated:
                holes.append(name)
            named.discard(name)
    assert not holes, f"no Case and no sample checks the gradients of {holes}"
    assert not named, f"there are no such arguments: {named}"


def _whole_call(name: str) -> Any:
    """Return a call that was made with integers or labels, now with other numbers."""
    function, _, argument = name.rstrip(")").partition("(")

    def moved(value: Any) -> Any:
        if isinstance(value, gs.Tensor):
            return (value.detach().to(gs.float64) + 0.25).requires_grad_()
        return type(value)(map(moved, value)) if isinstance(value, (list, tuple)) else value

    for call in calls()[function]:
        given = call.arguments.arguments
        if public.tensors(given.get(argument)):
            changed = {**given, argument: moved(given[argument])}
            again = inspect.BoundArguments(call.arguments.signature, changed)  # type: ignore[arg-type]
            return lambda: call.public.function(*again.args, **again.kwargs)
    raise AssertionError(f"no call gives {name}")


@pytest.mark.parametrize("name", CONSTANTS)
def test_constants(name: str) -> None:
    if CONSTANTS[name] is Fixed.WHOLE:
        call = (lambda: WHOLE_CALLS[name](GIVEN)) if name in WHOLE_CALLS else _whole_call(name)
        with pytest.raises((IndexError, TypeError, ValueError)):
            call()
    elif CONSTANTS[name] is Fixed.REFUSED:
        with pytest.raises(ValueError, match="requires a gradient"):
            REFUSED[name](GIVEN)
    elif CONSTANTS[name] is Fixed.UNKNOWN:
        with pytest.raises(RuntimeError, match="has no gradient with respect to"):
            grad(UNKNOWN[name](GIVEN).sum(), GIVEN)
    else:
        out = HELD[name](GIVEN)
        assert out.requires_grad
        (gradient,) = grad(out.sum(), GIVEN, allow_unused=True)
        assert gradient is None

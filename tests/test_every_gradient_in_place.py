# SPDX-License-Identifier: Apache-2.0
"""Every change in place has the values and the gradients of both orders of its function.

The calls are those that Cases and samples make of the function, which judge it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith.autograd import grad
from tests import inplace_forms
from tests.public_functions import Call


@cache
def calls() -> dict[str, list[Call]]:
    return inplace_forms.calls()


def results(leaves: list[gs.Tensor], function: Any) -> list[np.ndarray]:
    """Return the value, the gradients, and those of the sum of their squares."""
    value = function(*leaves)
    seed = gs.tensor(np.cos(np.arange(value.numel())).reshape(value.shape))
    first = grad(value, leaves, seed, create_graph=True, materialize_grads=True)
    again = [(each * each).sum() for each in first if each.requires_grad]
    second = grad(again, leaves, materialize_grads=True) if again else ()
    return [each.detach().numpy() for each in (value, *first, *second)]


@pytest.mark.parametrize("name", inplace_forms.IN_PLACE)
def test_same_as_the_function(name: str) -> None:
    function = inplace_forms.IN_PLACE[name]
    method = name.removeprefix("Tensor.")
    problems = [inplace_forms.problem(method, call) for call in calls()[function.name]]
    found = [each for each in problems if each is not None][: inplace_forms.CALLS_EACH]
    assert found, f"no call of {function.name} has a result that fits its first argument"
    for leaves, plain, changed in found:
        for got, want in zip(results(leaves, changed), results(leaves, plain), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)

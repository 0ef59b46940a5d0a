# SPDX-License-Identifier: Apache-2.0
"""Activations that CUDA makes of fast instructions where the result has 16 bits: every number of
float16, and every one of bfloat16, against float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special

import gradsmith as gs
from gradsmith.nn import functional
from tests.cases import NUMPY_DTYPES
from tests.simulator import needs_simulator


def gelu_tanh(x: Any) -> Any:
    inner = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
    return x * special.expit(2 * inner)


FUNCTIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "sigmoid": (gs.sigmoid, special.expit),
    "silu": (functional.silu, lambda x: x * special.expit(x)),
    "gelu": (functional.gelu, lambda x: x * special.ndtr(x)),
    "gelu_tanh": (lambda x: functional.gelu(x, approximate="tanh"), gelu_tanh),
}


@needs_simulator
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_number(name: str, dtype: str) -> None:
    ours, exact = FUNCTIONS[name]
    numbers = np.arange(2**16, dtype=np.uint16).view(NUMPY_DTYPES[dtype])
    with np.errstate(all="ignore"):
        numbers = numbers[np.isfinite(numbers.astype(np.float64))]
        x = numbers.astype(np.float64)
        expected = exact(x)
    got = ours(gs.from_numpy(numbers).to("cudasim")).cpu().numpy().astype(np.float64)
    # A unit in the last place, and what is no normal number of float32 on the way.
    unit, least = (2.0**-10, 2.0**-24) if dtype == "float16" else (2.0**-7, 2.0**-120)
    largest = float(np.finfo(np.float16).max) if dtype == "float16" else 3.38e38
    inside = np.abs(expected) <= largest
    assert (np.abs(got - expected)[inside] <= np.abs(expected[inside]) * unit / 1.9 + least).all()


@needs_simulator
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_no_number(name: str, dtype: str) -> None:
    """As the CPU has it."""
    ours, _ = FUNCTIONS[name]
    x = gs.from_numpy(np.array([np.nan, np.inf, -np.inf, 0.0, -0.0]).astype(NUMPY_DTYPES[dtype]))
    got, expected = (ours(each).cpu().numpy().astype(np.float64) for each in (x.to("cudasim"), x))
    np.testing.assert_array_equal(got, expected)

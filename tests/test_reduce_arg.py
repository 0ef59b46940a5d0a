# SPDX-License-Identifier: Apache-2.0
"""Where extremes stand: the first of equal ones, NaN before every number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from tests.cases import ISAS, NUMPY_DTYPES, isa_cap


def extremes(rng: np.random.Generator, shape: Any, dtype: Any) -> np.ndarray:
    """Few values, so that the first of many equal ones is asked for, some rows with NaN."""
    x = rng.integers(-40, 40, shape).astype(dtype)
    x[rng.random(shape) < 3 / shape[-1]] = math.nan
    return np.where(rng.random((shape[0],) + (1,) * (len(shape) - 1)) < 0.5, np.abs(x), x)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, NUMPY_DTYPES["bfloat16"], np.float16])
@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        *(((5, n), 1) for n in (1, 3, 16, 33, 1000)),
        *(((n, 37), 0) for n in (1, 2, 129, 1003)),
        *(((3, 40001), 1), ((70001,), None), ((40001, 3), 0), ((2, 300, 1100), 1)),
        *(((4, 5, 67), 2), ((4, 5, 67), 0), ((4, 5, 67), None)),
    ],
)
def test_first_of_equal_extremes(shape: Any, axis: Any, name: str, dtype: Any, isa: str) -> None:
    x = extremes(np.random.default_rng(0), shape, dtype)
    with isa_cap(isa):
        got = getattr(gs, name)(gs.from_numpy(x), axis).numpy()
    np.testing.assert_array_equal(got, getattr(np, name)(x.astype(np.float64), axis))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("shape", [(3, 50), (50, 3)])
def test_extremes_that_are_infinite(shape: Any, isa: str) -> None:
    for axis in (0, 1):
        for value in (math.inf, -math.inf, math.nan):
            with isa_cap(isa):
                x = gs.full(shape, value)
                assert x.argmax(axis).tolist() == x.argmin(axis).tolist() == [0] * shape[1 - axis]

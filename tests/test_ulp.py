# SPDX-License-Identifier: Apache-2.0
"""Accuracy of the SIMD functions as a table: function, range, allowed error in ULP.

Inputs cover every binary exponent of the range with random mantissas; the expected value is
computed in long double. The error is measured in units in the last place of the expected result.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from tests.cases import ISAS, isa_cap

Long = np.longdouble
erf = np.vectorize(math.erf)

# name, definition in long double, smallest and largest |x|, signs, ULP for float32 and float64
TABLE: list[tuple[str, Callable[[Any], Any], float, float, str, float, float]] = [
    ("exp", np.exp, 1e-30, 88.0, "+-", 2, 4),
    ("expm1", np.expm1, 1e-30, 88.0, "+-", 2, 4),
    ("log", np.log, 1e-37, 1e38, "+", 2, 4),
    ("log1p", np.log1p, 1e-30, 1e38, "+", 2, 4),
    ("tanh", np.tanh, 1e-30, 30.0, "+-", 2, 4),
    ("sigmoid", lambda x: 1 / (1 + np.exp(-x)), 1e-30, 80.0, "+-", 3, 5),
    ("erf", lambda x: erf(x.astype(np.float64)), 1e-30, 6.0, "+-", 2, 6),
    ("sin", np.sin, 1e-30, 1e5, "+-", 2, 4),
    ("cos", np.cos, 1e-30, 1e5, "+-", 2, 4),
]
SPECIAL = [0.0, -0.0, math.inf, -math.inf, math.nan]


def inputs(low: float, high: float, signs: str, dtype: Any) -> np.ndarray:
    rng = np.random.default_rng(0)
    exponents = np.arange(math.floor(math.log2(low)), math.ceil(math.log2(high)))
    mantissas = rng.uniform(1.0, 2.0, (400, exponents.size))
    x = (mantissas * 2.0**exponents).reshape(-1)
    x = x[x <= high].astype(dtype)
    return np.concatenate([x, -x]) if signs == "+-" else x


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("row", TABLE, ids=[row[0] for row in TABLE])
def test_error_in_ulp(row: Any, dtype: Any, isa: str) -> None:
    name, definition, low, high, signs, allowed32, allowed64 = row
    x = inputs(low, high, signs, dtype)
    with isa_cap(isa):
        got = getattr(gs, name)(gs.from_numpy(x)).numpy()
    expected = definition(x.astype(Long))
    unit = np.spacing(np.abs(expected).astype(dtype)).astype(Long)
    error = np.abs(got.astype(Long) - expected) / unit
    worst = int(np.argmax(error))
    allowed = allowed32 if dtype is np.float32 else allowed64
    assert error[worst] <= allowed, f"{name}({x[worst]!r}) = {got[worst]!r}: {error[worst]:.2f} ULP"


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("row", TABLE, ids=[row[0] for row in TABLE])
def test_special_values(row: Any, dtype: Any, isa: str) -> None:
    name, definition = row[:2]
    x = np.array(SPECIAL, dtype)
    with isa_cap(isa):
        got = getattr(gs, name)(gs.from_numpy(x)).numpy()
    with np.errstate(all="ignore"):
        expected = np.asarray(definition(x.astype(Long))).astype(dtype)
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    number = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(got[number]), np.signbit(expected[number]))

# SPDX-License-Identifier: Apache-2.0
"""Accuracy of the SIMD functions as a table: function, range, allowed error in ULP.

Inputs cover every binary exponent of the range with random mantissas; the expected value is
computed in long double. The error is measured in units in the last place of the expected result.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from tests.cases import ISAS, isa_cap
from tests.reference import special as reference

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
    ("exp2", np.exp2, 1e-30, 126.0, "+-", 2, 4),
    ("log2", np.log2, 1e-37, 1e38, "+", 2, 4),
    ("log10", np.log10, 1e-37, 1e38, "+", 2, 3),
    ("tan", np.tan, 1e-30, 1e5, "+-", 4, 4),
    ("asin", np.arcsin, 1e-30, 1.0, "+-", 2, 3),
    ("acos", np.arccos, 1e-30, 1.0, "+-", 2, 3),
    ("atan", np.arctan, 1e-30, 1e30, "+-", 2, 3),
    ("sinh", np.sinh, 1e-30, 88.0, "+-", 2, 3),
    ("cosh", np.cosh, 1e-30, 88.0, "+-", 2, 3),
    ("asinh", np.arcsinh, 1e-30, 1e38, "+-", 2, 3),
    ("acosh", np.arccosh, 1.0, 1e38, "+", 2, 3),
    ("atanh", np.arctanh, 1e-30, 0.999, "+-", 2, 3),
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


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(("name", "end"), [("tanh", 9.02), ("erf", 3.93)])
def test_reaches_one_and_not_more(name: str, end: float, isa: str) -> None:
    inside = np.linspace(0, end, 200_001, dtype=np.float32)
    beyond = np.array([end, 1.01 * end, 2 * end, 1e10, 3e38, math.inf], np.float32)
    with isa_cap(isa):
        below, one = (getattr(gs, name)(gs.from_numpy(x)).numpy() for x in (inside, beyond))
    assert below.max() <= 1
    np.testing.assert_array_equal(one, 1)


# The errors of the functors that are made of these, in units of x for gelu, whose Phi is small.
@pytest.mark.parametrize("isa", ISAS)
def test_gelu_and_log_sigmoid_of_floats(isa: str) -> None:
    x = inputs(1e-30, 30.0, "+-", np.float32)
    with isa_cap(isa):
        gelu = gs.nn.functional.gelu(gs.from_numpy(x)).numpy()
        log_sigmoid = gs.nn.functional.logsigmoid(gs.from_numpy(x)).numpy()
    wide = x.astype(np.float64)
    cdf = 0.5 * np.vectorize(math.erfc)(-wide * math.sqrt(0.5))
    assert (np.abs(gelu - wide * cdf) / np.spacing(np.abs(x))).max() <= 2
    expected = np.minimum(wide, 0) - np.log1p(np.exp(-np.abs(wide)))
    assert (np.abs(log_sigmoid - expected) / np.spacing(-expected.astype(np.float32))).max() <= 3


@pytest.mark.parametrize("isa", ISAS)
def test_erfc_of_floats(isa: str) -> None:
    """Down to the smallest denormal result, and beyond."""
    x = np.concatenate([inputs(1e-10, 16.0, "+-", np.float32), np.linspace(-4, 10.3, 200_001)])
    x = x.astype(np.float32)
    with isa_cap(isa):
        got = gs.erfc(gs.from_numpy(x)).numpy()
    expected = np.vectorize(math.erfc)(x.astype(np.float64))
    error = np.abs(got - expected) / np.spacing(expected.astype(np.float32))
    assert error.max() <= (3 if isa == "reference" else 2)  # the C library's


@pytest.mark.parametrize("isa", ISAS)
def test_erfc_of_doubles(isa: str) -> None:
    x = np.random.default_rng(0).uniform(0, 1, 200) * np.repeat([-6.0, 1.0, 6.0, 26.0], 50)
    with isa_cap(isa):
        got = gs.erfc(gs.from_numpy(x)).numpy()
    exact = [reference.erfc_exact(float(each)) for each in x]
    for mine, want in zip(got, exact, strict=True):
        error = abs(Decimal(float(mine)) - want) / Decimal(float(np.spacing(float(want))))
        assert error <= (6 if isa == "reference" else 2)  # the C library's
    tiny = gs.from_numpy(np.array([26.5, 27.0, 27.2, 27.3, 30.0]))
    expected = [math.erfc(each) for each in tiny.tolist()]
    with isa_cap(isa):
        np.testing.assert_allclose(gs.erfc(tiny).numpy(), expected, rtol=1e-9, atol=1e-322)


@pytest.mark.parametrize("isa", ISAS)
def test_pow_of_floats(isa: str) -> None:
    rng = np.random.default_rng(0)
    x = np.exp(rng.uniform(-80, 80, 20000)).astype(np.float32)
    y = (rng.uniform(-85, 85, 20000) / np.log(x.astype(np.float64))).astype(np.float32)
    with isa_cap(isa):
        got = gs.pow(gs.from_numpy(x), gs.from_numpy(y)).numpy()
    expected = x.astype(Long) ** y.astype(Long)
    error = np.abs(got - expected) / np.spacing(expected.astype(np.float32))
    assert error.max() <= 1


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", ["pow", "atan2"])
def test_pairs_of_special_values(name: str, isa: str) -> None:
    values = [*SPECIAL, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0, 0.7, -0.7, 1e30, -1e30]
    a, b = (each.reshape(-1).astype(np.float32) for each in np.meshgrid(values, values))
    with isa_cap(isa):
        got = getattr(gs, name)(gs.from_numpy(a), gs.from_numpy(b)).numpy()
    with np.errstate(all="ignore"):
        function = np.power if name == "pow" else np.arctan2
        expected = function(a.astype(np.float64), b.astype(np.float64)).astype(np.float32)
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    number = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(got[number]), np.signbit(expected[number]))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("exponent", [2.0, 3.0, 0.5, -0.5, -1.0])
def test_one_exponent_for_all(exponent: float, dtype: Any, isa: str) -> None:
    x = np.array([*SPECIAL, 0.3, -0.3, 2.5, 1e-30, 1e9, *np.linspace(0.01, 9, 40)], dtype)
    with isa_cap(isa):
        got = (gs.from_numpy(x) ** exponent).numpy()
    with np.errstate(all="ignore"):
        expected = (x.astype(Long) ** Long(exponent)).astype(dtype)
    np.testing.assert_allclose(got, expected, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gelu_is_close_in_units_of_its_input(dtype: Any, isa: str) -> None:
    x = inputs(1e-20, 40.0, "+-", dtype)
    with isa_cap(isa):
        got = gs.nn.functional.gelu(gs.from_numpy(x)).numpy()
    wide = x.astype(np.float64)
    expected = wide * 0.5 * (1 + erf(wide / math.sqrt(2)))
    error = np.abs(got - expected) / np.spacing(np.abs(x))
    assert error.max() <= (2 if dtype is np.float32 else 2.5)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(
    ("name", "definition", "low", "high"),
    [
        ("tanh", np.tanh, 0.0, 10.0),
        ("erf", lambda x: erf(x.astype(np.float64)), 0.0, 4.2),
        ("log", np.log, 0.5, 2.0),
        ("log2", np.log2, 0.5, 2.0),
        ("sin", np.sin, 0.0, 10.0),
        ("cos", np.cos, 0.0, 10.0),
    ],
)
def test_pieces_meet(name: str, definition: Any, low: float, high: float, isa: str) -> None:
    """Dense enough for every piece of a table and for both of its ends."""
    x = np.linspace(low, high, 200001).astype(np.float32)
    with isa_cap(isa):
        got = getattr(gs, name)(gs.from_numpy(x)).numpy()
    with np.errstate(all="ignore"):
        expected = np.asarray(definition(x.astype(Long)))
    unit = np.spacing(np.abs(expected).astype(np.float32)).astype(Long)
    allowed = 3 if isa == "reference" else 2  # the C library's
    assert np.nanmax(np.abs(got.astype(Long) - expected) / unit) <= allowed


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_value_is_too_large(dtype: Any, isa: str) -> None:
    """Where the argument's own multiple of log(2), or of pi, has no exact float any more."""
    large = np.geomspace(1e3, 3e38, 400)
    huge = np.concatenate([large, -large])
    x = gs.from_numpy(huge.astype(dtype))
    with isa_cap(isa):
        values = {name: getattr(gs, name)(x).numpy() for name in ("exp", "sigmoid", "tanh", "erf")}
        wave = gs.sin(x).numpy() ** 2 + gs.cos(x).numpy() ** 2
        outside = gs.acosh(gs.from_numpy(-large.astype(dtype))).numpy()
    np.testing.assert_array_equal(values["exp"], np.where(huge > 0, math.inf, 0))
    np.testing.assert_array_equal(values["sigmoid"], np.where(huge > 0, 1, 0))
    np.testing.assert_array_equal(values["tanh"], np.sign(huge))
    np.testing.assert_array_equal(values["erf"], np.sign(huge))
    np.testing.assert_allclose(wave, 1, rtol=1e-6)
    assert np.isnan(outside).all()

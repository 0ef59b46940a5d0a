# SPDX-License-Identifier: Apache-2.0
"""Bessel, incomplete gamma and zeta functions: values, gradients, edges."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import special
from tests.cases import Case, CaseTests
from tests.reference import special as reference

INF, NAN = math.inf, math.nan
SHAPES = np.array([[0.3], [1.0], [2.5]])  # of gamma distributions, and exponents less 1


def within(low: float, high: float) -> Callable[[np.random.Generator], tuple[Any, ...]]:
    return lambda rng: (rng.uniform(low, high, (3, 4)),)


def of_one(name: str, low: float, high: float) -> Case:
    call, definition = getattr(special, name), getattr(reference, name)
    return Case(name, call, definition, within(low, high), tolerance="transcendental", depth=4)


def of_two(name: str, first: Any) -> Case:
    """Return a case of the second argument, the first one fixed."""

    def call(x: gs.Tensor) -> gs.Tensor:
        fixed = gs.tensor(first, dtype=gs.float64).to(x.dtype).to(x.device)
        return getattr(special, name)(fixed, x)

    def definition(x: Any) -> Any:
        return getattr(reference, name)(first, x)

    dtypes = ("float32", "float64")  # 0.3 is no bfloat16
    inputs = within(0.4, 5)
    return Case(name, call, definition, inputs, tolerance="transcendental", depth=8, dtypes=dtypes)


CASES = [
    of_one("bessel_j0", -6, 6),
    of_one("bessel_j1", -6, 6),
    of_one("bessel_y0", 0.5, 6),
    of_one("bessel_y1", 0.5, 6),
    of_one("modified_bessel_k0", 0.5, 4),
    of_one("modified_bessel_k1", 0.5, 4),
    of_one("scaled_modified_bessel_k0", 0.5, 4),
    of_one("scaled_modified_bessel_k1", 0.5, 4),
    of_one("spherical_bessel_j0", -6, 6),
    of_two("gammainc", SHAPES),
    of_two("gammaincc", SHAPES),
    of_two("zeta", 1 + SHAPES),
]


class TestCases(CaseTests):
    pass


# ---- accuracy ------------------------------------------------------------------------------------

ORDERS: dict[str, tuple[Callable[[Any], Any], Callable[[float], Decimal]]] = {
    "j0": (special.bessel_j0, lambda x: reference.bessel_j_exact(0, x)),
    "j1": (special.bessel_j1, lambda x: reference.bessel_j_exact(1, x)),
    "y0": (special.bessel_y0, lambda x: reference.bessel_y_exact(0, x)),
    "y1": (special.bessel_y1, lambda x: reference.bessel_y_exact(1, x)),
    "k0": (special.modified_bessel_k0, lambda x: reference.bessel_k_exact(0, x)),
    "k1": (special.modified_bessel_k1, lambda x: reference.bessel_k_exact(1, x)),
}


@pytest.mark.parametrize(
    ("name", "x"),
    [
        (name, x)
        for name in ORDERS
        for x in (1e-9, 1e-7, 0.01, 0.7, 3.0, 11.0, 24.9, 25.1, 31.0)
        if name[0] != "k" or x < 20  # where the series of the definition do not cancel
    ],
)
def test_bessel_functions_on_every_branch(name: str, x: float) -> None:
    function, exact = ORDERS[name]
    expected = float(exact(x))
    envelope = 0.0 if name[0] == "k" else min(1.0, 1 / math.sqrt(x))
    got = function(gs.tensor([x], dtype=gs.float64)).item()
    assert got == pytest.approx(expected, rel=2e-15, abs=2e-15 * envelope)


def test_bessel_functions_far_out() -> None:
    """J1 Y0 - J0 Y1 is 2 / (pi x) (Abramowitz and Stegun 9.1.16); K falls as its first terms."""
    x = gs.tensor([25.0, 40.0, 1e3, 1e6], dtype=gs.float64)
    j0, j1, y0, y1 = (getattr(special, f"bessel_{name}")(x) for name in ("j0", "j1", "y0", "y1"))
    cross = j1 * y0 - j0 * y1
    np.testing.assert_allclose((cross * x).numpy(), 2 / np.pi, rtol=1e-13)
    np.testing.assert_allclose(j0[2].item(), 0.024786686152420174, rtol=1e-13)
    far = np.array([1e4, 1e8])
    leading = np.sqrt(np.pi / 2 / far)
    scaled = special.scaled_modified_bessel_k0(gs.tensor(far)).numpy()
    np.testing.assert_allclose(scaled, leading * (1 - 1 / (8 * far)), rtol=1e-9)
    odd = special.bessel_j1(gs.tensor([-2.0, -30.0], dtype=gs.float64))
    np.testing.assert_array_equal(odd, -special.bessel_j1(gs.tensor([2.0, 30.0], dtype=gs.float64)))


@pytest.mark.parametrize("a", [0.01, 0.5, 3.0, 9.9, 10.0, 30.0, 500.0])
def test_incomplete_gamma_on_every_branch(a: float) -> None:
    for x in (1e-3 * a, 0.4 * a, 0.99 * a, 1.01 * a + 1, 2 * a + 1):
        arguments = [gs.tensor([each], dtype=gs.float64) for each in (a, x)]
        lower, upper = reference.gammainc_exact(a, x), reference.gammaincc_exact(a, x)
        got = special.gammainc(*arguments).item()
        assert got == pytest.approx(float(lower), rel=1e-13, abs=1e-15 if lower > 0.5 else 0)
        if upper < 1e-25:  # fewer digits of the difference are left
            continue
        got = special.gammaincc(*arguments).item()
        assert got == pytest.approx(float(upper), rel=1e-13, abs=1e-15 if x < a + 1 else 0)


def test_incomplete_gamma_of_large_shapes() -> None:
    """By 50 digits; the normal distribution of the same mean and variance gives 2.87e-7."""
    a = gs.tensor([1e6], dtype=gs.float64)
    got = special.gammainc(a, gs.tensor([995000.0], dtype=gs.float64)).item()
    assert got == pytest.approx(2.74958035927007075e-7, rel=1e-11)


def test_zeta_of_known_values() -> None:
    one = gs.tensor(1.0, dtype=gs.float64)
    assert special.zeta(2.0, one).item() == pytest.approx(math.pi**2 / 6, rel=1e-15)
    assert special.zeta(4.0, one).item() == pytest.approx(math.pi**4 / 90, rel=1e-15)
    below = special.zeta(2.0, gs.tensor([-0.5, -1.5], dtype=gs.float64)).numpy()
    np.testing.assert_allclose(below, [math.pi**2 / 2 + 4, math.pi**2 / 2 + 4 + 4 / 9], rtol=1e-14)


# ---- edges and errors ----------------------------------------------------------------------------

EDGES: dict[str, tuple[Callable[[Any], Any], list[float], list[float]]] = {
    "j0": (special.bessel_j0, [0, INF, -INF, NAN], [1, 0, 0, NAN]),
    "j1": (special.bessel_j1, [0, INF, NAN], [0, 0, NAN]),
    "y0": (special.bessel_y0, [0, -1, INF, NAN], [-INF, NAN, 0, NAN]),
    "y1": (special.bessel_y1, [0, -1, INF, NAN], [-INF, NAN, 0, NAN]),
    "k0": (special.modified_bessel_k0, [0, -1, INF, NAN], [INF, NAN, 0, NAN]),
    "k1": (special.modified_bessel_k1, [0, -1, INF, NAN], [INF, NAN, 0, NAN]),
    "scaled k0": (special.scaled_modified_bessel_k0, [0, INF], [INF, 0]),
    "gammainc": (lambda x: gs.igamma(2.0, x), [0, INF, -1, NAN], [0, 1, NAN, NAN]),
    "gammaincc": (lambda x: gs.igammac(2.0, x), [0, INF, -1, NAN], [1, 0, NAN, NAN]),
    "gammainc of 0": (lambda x: x.new_zeros(1).igamma(x), [0, 1], [NAN, 1]),
    "gammainc of inf": (lambda x: special.gammainc(INF, x), [1, INF], [0, NAN]),
    "zeta of 2": (lambda x: special.zeta(2.0, x), [0, -1, INF, NAN], [INF, INF, 0, NAN]),
    "zeta of 1": (lambda x: special.zeta(1.0, x), [3], [INF]),
    "zeta of 0.5": (lambda x: special.zeta(0.5, x), [3], [NAN]),
    "zeta of 1.5 below": (lambda x: special.zeta(1.5, x), [-0.5], [NAN]),
}


@pytest.mark.parametrize("name", EDGES)
def test_edges(name: str) -> None:
    function, arguments, expected = EDGES[name]
    got = function(gs.tensor(arguments, dtype=gs.float64)).tolist()
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_names_of_the_same_function() -> None:
    x = gs.tensor([0.5, 1.5, 3.0], dtype=gs.float64)
    expected = np.sin(x.numpy()) / x.numpy()
    np.testing.assert_allclose(special.spherical_bessel_j0(x).numpy(), expected, rtol=1e-6)
    assert x.igammac(2.0).tolist() == gs.igammac(x, 2.0).tolist()
    expected = gs.igamma(x, 2.0).tolist()
    assert x.clone().igamma_(2.0).tolist() == expected
    np.testing.assert_allclose(x.clone().igammac_(2.0).numpy(), 1 - np.array(expected), rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: special.bessel_j0(1.0), TypeError, "bessel_j0: "),
        (lambda: special.gammainc(1.0, 2.0), TypeError, "gammainc: other is a float"),
        (lambda: special.zeta(gs.ones(2), gs.ones(3)), ValueError, "zeta: "),
        (
            lambda: special.gammainc(gs.ones(2, requires_grad=True), 2.0).sum().backward(),
            RuntimeError,
            "gammainc: has no gradient with respect to input",
        ),
    ],
)
def test_errors(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()

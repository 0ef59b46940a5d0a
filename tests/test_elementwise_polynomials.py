# SPDX-License-Identifier: Apache-2.0
"""Orthogonal polynomials: their first coefficients, gradients, degrees in tensors, errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import special
from tests.cases import Case, CaseTests

DEGREES = np.array([[0], [1], [4]])

POLYNOMIALS: dict[str, Callable[[Any], list[Any]]] = {
    "chebyshev_polynomial_t": lambda x: [1 + 0 * x, x, 8 * x**4 - 8 * x**2 + 1],
    "chebyshev_polynomial_u": lambda x: [1 + 0 * x, 2 * x, 16 * x**4 - 12 * x**2 + 1],
    "chebyshev_polynomial_v": lambda x: [
        1 + 0 * x, 2 * x - 1, 16 * x**4 - 8 * x**3 - 12 * x**2 + 4 * x + 1
    ],
    "chebyshev_polynomial_w": lambda x: [
        1 + 0 * x, 2 * x + 1, 16 * x**4 + 8 * x**3 - 12 * x**2 - 4 * x + 1
    ],
    "hermite_polynomial_h": lambda x: [1 + 0 * x, 2 * x, 16 * x**4 - 48 * x**2 + 12],
    "hermite_polynomial_he": lambda x: [1 + 0 * x, x, x**4 - 6 * x**2 + 3],
    "laguerre_polynomial_l": lambda x: [
        1 + 0 * x, 1 - x, (x**4 - 16 * x**3 + 72 * x**2 - 96 * x + 24) / 24
    ],
    "legendre_polynomial_p": lambda x: [1 + 0 * x, x, (35 * x**4 - 30 * x**2 + 3) / 8],
}  # fmt: skip

# Of 2 x - 1, so that they are made for numbers from 0 to 1.
SHIFTED = {
    "shifted_chebyshev_polynomial_t": "chebyshev_polynomial_t",
    "shifted_chebyshev_polynomial_u": "chebyshev_polynomial_u",
    "shifted_chebyshev_polynomial_v": "chebyshev_polynomial_v",
    "shifted_chebyshev_polynomial_w": "chebyshev_polynomial_w",
}


def of_degrees(name: str) -> Case:
    shifted = name in SHIFTED

    def call(x: gs.Tensor) -> gs.Tensor:
        return getattr(special, name)(x, gs.tensor(DEGREES).to(x.device))

    def definition(x: Any) -> Any:
        values = POLYNOMIALS[SHIFTED[name]](2 * x - 1) if shifted else POLYNOMIALS[name](x)
        return np.stack([values[row][row] for row in range(3)])

    return Case(
        name,
        call,
        definition,
        lambda rng: (rng.uniform(0.05 if shifted else -0.9, 0.9, (3, 4)),),
        depth=64,
        dtypes=("float32", "float64"),
    )


CASES = [of_degrees(name) for name in (*POLYNOMIALS, *SHIFTED)]


class TestCases(CaseTests):
    pass


def test_degrees() -> None:
    x = gs.tensor([0.5, -0.25])
    for name, values in POLYNOMIALS.items():
        function = getattr(special, name)
        for degree, expected in zip((0, 1, 4), values(np.array([0.5, -0.25])), strict=True):
            np.testing.assert_allclose(function(x, degree).numpy(), expected, rtol=1e-6)
        assert function(x, -1).tolist() == [0, 0]
        assert function(gs.tensor([1, 2]), 1).dtype == gs.float32
    for shifted, name in SHIFTED.items():
        expected = getattr(special, name)(2 * x - 1, 4)
        assert getattr(special, shifted)(x, 4).tolist() == expected.tolist()
    assert special.legendre_polynomial_p(gs.zeros(0), gs.zeros(0, dtype=gs.int64)).shape == (0,)


def test_fractions_of_degrees_count_for_nothing() -> None:
    x = gs.tensor([0.5, -0.25])
    expected = special.legendre_polynomial_p(x, 2).tolist()
    assert special.legendre_polynomial_p(x, 2.9).tolist() == expected
    assert special.legendre_polynomial_p(x, gs.tensor(2.9)).tolist() == expected


def test_modified_bessel_functions_have_two_names() -> None:
    x = gs.tensor([0.5, -1.5])
    assert special.modified_bessel_i0(x).tolist() == gs.i0(x).tolist()
    assert special.modified_bessel_i1(x).tolist() == special.i1(x).tolist()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: special.legendre_polynomial_p(gs.ones(2), "2"), TypeError, "n is a str"),
        (lambda: special.hermite_polynomial_h(gs.ones(2), 10**6), ValueError, "at most 10000"),
        (lambda: special.laguerre_polynomial_l(0.5, 2), TypeError, "laguerre_polynomial_l: input"),
    ],
)
def test_errors(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()

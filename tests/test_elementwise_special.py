# SPDX-License-Identifier: Apache-2.0
"""Special functions: Cases, errors in units in the last place, edges and what each refuses."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import special
from gradsmith.tensor import Tensor
from tests.cases import Case, CaseTests
from tests.reference import special as reference

Inputs = Callable[[np.random.Generator], tuple[Any, ...]]
INF, NAN = math.inf, math.nan


def within(low: float, high: float, *shape: int) -> Inputs:
    return lambda rng: (rng.uniform(low, high, shape or (3, 4)),)


def case(name: str, call: Callable[..., Any], make_inputs: Inputs, **options: Any) -> Case:
    definition = getattr(reference, name)
    return Case(name, call, definition, make_inputs, tolerance="transcendental", **options)


CASES = [
    case("erfc", gs.erfc, within(-2, 3)),
    case("erfcx", special.erfcx, within(-1, 4)),
    case("erfinv", gs.erfinv, within(-0.9, 0.9)),
    case("ndtr", special.ndtr, within(-2, 2)),
    case("ndtri", special.ndtri, within(0.05, 0.95)),
    case("log_ndtr", special.log_ndtr, within(-6, 2)),
    case("lgamma", gs.lgamma, within(0.2, 5)),
    case("digamma", gs.digamma, within(0.2, 5)),
    case("trigamma", lambda x: gs.polygamma(1, x), within(0.4, 4)),
    case("tetragamma", lambda x: x.polygamma(2), within(0.6, 4)),
    case("i0", gs.i0, within(-3, 3)),
    case("i1", special.i1, within(-3, 3)),
    case("i0e", special.i0e, within(0.5, 6)),
    case("i1e", special.i1e, within(0.5, 6)),
    Case(
        "mvlgamma",
        lambda x: gs.mvlgamma(x, 3),
        lambda x: reference.mvlgamma(x, 3),
        within(1.5, 5),
        tolerance="transcendental",
        depth=4,
    ),
    case("logit", gs.logit, within(0.1, 0.9), depth=4),
    Case("sinc", gs.sinc, np.sinc, within(-1.5, 1.5), tolerance="transcendental", depth=4),
    case(
        "xlogy",
        gs.xlogy,
        lambda rng: (rng.standard_normal((3, 4)), rng.uniform(0.5, 2, 4)),
        depth=4,
    ),
    Case(
        "xlog1py",
        special.xlog1py,
        lambda x, y: x * np.log1p(y),
        lambda rng: (rng.standard_normal((3, 4)), rng.uniform(-0.5, 2, 4)),
        tolerance="transcendental",
    ),
    Case(
        "entr", special.entr, lambda x: -x * np.log(x), within(0.1, 2), tolerance="transcendental"
    ),
]


class TestCases(CaseTests):
    pass


# ---- accuracy ------------------------------------------------------------------------------------

# name: function, definition, smallest and largest argument, units in the last place of float64
ACCURACY: dict[
    str, tuple[Callable[[Tensor], Tensor], Callable[..., Decimal], float, float, int]
] = {
    "erfc": (gs.erfc, reference.erfc_exact, -6, 6, 4),
    "erfcx": (special.erfcx, reference.erfcx_exact, -5, 6, 6),
    "erfinv": (gs.erfinv, reference.erfinv_exact, -0.9999, 0.9999, 8),
    "ndtri": (special.ndtri, reference.ndtri_exact, 1e-6, 0.45, 8),
    "lgamma": (gs.lgamma, reference.lgamma_exact, 2.5, 200, 4),
    "digamma": (gs.digamma, reference.digamma_exact, 2, 200, 6),
    "polygamma 1": (
        lambda x: gs.polygamma(1, x),
        lambda x: reference.polygamma_exact(1, x),
        0.01,
        100,
        8,
    ),
    "polygamma 4": (
        lambda x: gs.polygamma(4, x),
        lambda x: reference.polygamma_exact(4, x),
        0.01,
        100,
        8,
    ),
    "i0": (gs.i0, lambda x: reference.bessel_i_exact(0, x), -60, 60, 8),
    "i1": (special.i1, lambda x: reference.bessel_i_exact(1, x), -60, 60, 8),
    "i0e": (special.i0e, lambda x: reference.scaled_bessel_i_exact(0, x), -60, 60, 8),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ACCURACY)
def test_error_in_ulp(name: str, dtype: Any) -> None:
    function, definition, low, high, allowed = ACCURACY[name]
    x = np.random.default_rng(0).uniform(low, high, 50).astype(dtype)
    got = function(gs.from_numpy(x)).numpy()
    exact = [definition(float(each)) for each in x]
    units = [
        abs(Decimal(float(mine)) - want) / Decimal(float(np.spacing(abs(dtype(float(want))))))
        for mine, want in zip(got, exact, strict=True)
    ]
    worst = int(np.argmax([float(unit) for unit in units]))
    limit = allowed if dtype is np.float64 else 2  # 1.6 of the C library's erfc
    assert units[worst] <= limit, f"{name}({x[worst]!r}) = {got[worst]!r}: {units[worst]:.2f} ULP"


@pytest.mark.parametrize("x", [-0.5, -1.25, -30.75, 1.4616, 0.001, -3.999])
def test_gamma_family_where_terms_cancel(x: float) -> None:
    """Near zeros, and below 0, where sums over negative numbers come in."""
    t = gs.tensor([x], dtype=gs.float64)
    for got, exact in (
        (gs.lgamma(t), reference.lgamma_exact(x)),
        (gs.digamma(t), reference.digamma_exact(x)),
        (gs.polygamma(1, t), reference.polygamma_exact(1, x)),
        (gs.polygamma(2, t), reference.polygamma_exact(2, x)),
        (gs.polygamma(5, t), reference.polygamma_exact(5, x)),
    ):
        assert got.item() == pytest.approx(float(exact), rel=2e-13, abs=2e-15)


# ---- edges ---------------------------------------------------------------------------------------

EDGES: dict[str, tuple[Callable[[Tensor], Tensor], list[float], list[float]]] = {
    "erfc": (gs.erfc, [INF, -INF, 30.0, 3e38, 0, -0.0, 1e-30, NAN], [0, 2, 0, 0, 1, 1, 1, NAN]),
    "erfcx": (special.erfcx, [INF, -INF, -30.0, NAN], [0, INF, INF, NAN]),
    "erfinv": (gs.erfinv, [1, -1, 0, 1.5, NAN], [INF, -INF, 0, NAN, NAN]),
    "ndtri": (special.ndtri, [0, 1, 0.5, -0.1, NAN], [-INF, INF, 0, NAN, NAN]),
    "log_ndtr": (special.log_ndtr, [-INF, INF, NAN], [-INF, 0, NAN]),
    "lgamma": (gs.lgamma, [0, -1, INF, 1, 2], [INF, INF, INF, 0, 0]),
    "digamma": (gs.digamma, [0.0, -0.0, -1, INF, NAN], [-INF, INF, NAN, INF, NAN]),
    "polygamma": (lambda x: gs.polygamma(1, x), [0, -1, INF, NAN], [INF, INF, 0, NAN]),
    "i0": (gs.i0, [INF, -INF, 0, 1000, NAN], [INF, INF, 1, INF, NAN]),
    "i1": (special.i1, [INF, -INF, 0, -1000], [INF, -INF, 0, -INF]),
    "i0e": (special.i0e, [INF, 0], [0, 1]),
    "sinc": (gs.sinc, [0, 1e-30, INF, NAN], [1, 1, NAN, NAN]),
    "logit": (gs.logit, [0, 1, 0.5, -1, NAN], [-INF, INF, 0, NAN, NAN]),
    "entr": (special.entr, [0, 1, -1, NAN], [0, 0, -INF, NAN]),
    "xlogy": (lambda x: gs.xlogy(0.0, x), [0, INF, -1, NAN], [0, 0, 0, NAN]),
    "xlog1py": (lambda x: special.xlog1py(x, -1), [0, 1], [0, -INF]),
}


@pytest.mark.parametrize("name", EDGES)
@pytest.mark.parametrize("dtype", [gs.float32, gs.float64, gs.bfloat16, gs.float16])
def test_edges(name: str, dtype: Any) -> None:
    function, arguments, expected = EDGES[name]
    got = function(gs.tensor(arguments, dtype=dtype)).tolist()
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_erfcx_far_out() -> None:
    """By the asymptotic series, summed in exact fractions."""
    for x in (26.0, 30.0, 1e4):
        square = 2 * Fraction(x) ** 2
        term = total = Fraction(1)
        for k in range(1, 15):
            term *= -(2 * k - 1) / square
            total += term
        expected = float(total) / (x * math.sqrt(math.pi))
        got = special.erfcx(gs.tensor([x], dtype=gs.float64)).item()
        assert got == pytest.approx(expected, rel=1e-15)


def test_derivatives_at_zero() -> None:
    """The series give what quotients cannot: sinc'' = -pi^2 / 3, I0'' = 1 / 2, I1''' = 3 / 8."""
    x = gs.tensor([0.0], dtype=gs.float64, requires_grad=True)

    def derivative(y: Tensor, order: int) -> float:
        for _ in range(order):
            (y,) = gs.autograd.grad(y.sum(), x, create_graph=True)
        return float(y.item())

    assert derivative(gs.sinc(x), 1) == 0
    assert derivative(gs.sinc(x), 2) == pytest.approx(-(math.pi**2) / 3)
    assert derivative(gs.i0(x), 2) == pytest.approx(0.5)
    assert derivative(special.i1(x), 3) == pytest.approx(0.375)


def test_gradient_of_log_ndtr_far_out() -> None:
    x = gs.tensor([-50.0, 40.0], requires_grad=True)
    special.log_ndtr(x).sum().backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), [50.0199, 0.0], rtol=1e-5, atol=1e-30)


def test_logit_within_bounds() -> None:
    x = gs.tensor([0.0, 0.5, 1.0], requires_grad=True)
    y = gs.logit(x, eps=0.1)
    y.sum().backward()
    np.testing.assert_allclose(y.tolist(), [math.log(1 / 9), 0, math.log(9)], atol=1e-6)
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.tolist(), [0, 4, 0])


def test_integers_become_floating() -> None:
    x = gs.tensor([1, 2])
    for function in (gs.erfc, gs.lgamma, gs.digamma, gs.i0, gs.sinc, gs.logit, special.log_ndtr):
        assert function(x).dtype == gs.float32
    assert gs.xlogy(x, 2).dtype == gs.float32


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: gs.polygamma(-1, gs.ones(2)), ValueError, "polygamma: n is -1"),
        (lambda: gs.polygamma(1.5, gs.ones(2)), TypeError, "polygamma: n is a float"),
        (lambda: gs.mvlgamma(gs.ones(2), 0), ValueError, "mvlgamma: p is 0"),
        (lambda: gs.mvlgamma(gs.ones(2), 2**62), MemoryError, "mvlgamma: "),
        (lambda: gs.xlogy(1.0, 2.0), TypeError, "xlogy: other is a float, expected a tensor"),
        (lambda: gs.xlogy(gs.ones(2), "a"), TypeError, "xlogy: got a str"),
        (lambda: gs.logit(gs.ones(2), "a"), TypeError, "logit: eps is a str"),
        (lambda: gs.logit(2.0), TypeError, "logit: input is a float"),
        (lambda: gs.erfinv(0.5), TypeError, "erfinv: input is a float"),
        (lambda: special.log_ndtr(1.0), TypeError, "log_ndtr: input is a float"),
    ],
)
def test_errors(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()

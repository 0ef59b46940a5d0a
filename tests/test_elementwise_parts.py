# SPDX-License-Identifier: Apache-2.0
"""Signs, mantissas, neighbours, bits, divisors, and the elementwise functions of two tensors that
treat NaN, 0 or a base of their own."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import gradsmith as gs
from tests.cases import ISAS, Case, CaseTests, isa_cap
from tests.test_elementwise import away_from_zero, between_integers, pair
from tests.test_elementwise_numbers import INTEGERS, integers

INF, NAN = math.inf, math.nan


def two_kinds(rng: np.random.Generator) -> tuple[Any, ...]:
    return rng.integers(-90, 90, (3, 5)), rng.integers(-20, 20, (5,))


def whole(name: str, call: Callable[..., Any], definition: Callable[..., Any]) -> Case:
    return Case(name, call, definition, two_kinds, dtypes=("float32",), differentiable=False)


def apart(rng: np.random.Generator) -> tuple[Any, ...]:
    """Pairs that differ by far more than gradcheck's steps."""
    x = rng.standard_normal((3, 4))
    return x, x + rng.choice([-1, 1], (3, 4)) * rng.uniform(0.5, 1, (3, 4))


CASES = [
    Case(
        "copysign",
        gs.copysign,
        np.copysign,
        lambda rng: (*away_from_zero(rng), np.sign(rng.standard_normal(5)) * 2),
        tolerance="exact",
    ),
    Case("fmax", gs.fmax, np.fmax, apart, tolerance="exact"),
    Case("fmin", gs.fmin, np.fmin, apart, tolerance="exact"),
    Case(
        "logaddexp2", gs.logaddexp2, np.logaddexp2, pair((3, 4), (4,)), tolerance="transcendental"
    ),
    Case("frexp", lambda x: tuple(gs.frexp(x)), np.frexp, away_from_zero, tolerance="exact"),
    Case(
        "ldexp",
        lambda x: gs.ldexp(x, gs.tensor([3, -2, 0, 1, 5], device=x.device)),
        lambda x: np.ldexp(x, [3, -2, 0, 1, 5]),
        away_from_zero,
        dtypes=("float32", "float64"),
    ),
    Case("frac", gs.frac, lambda x: x - np.trunc(x), between_integers),
    Case("deg2rad", gs.deg2rad, np.deg2rad, away_from_zero),
    Case("rad2deg", gs.rad2deg, np.rad2deg, away_from_zero),
    Case(
        "float_power",
        gs.float_power,
        np.power,
        pair((3, 4), (4,), low=0.5),
        dtypes=("float64",),
        tolerance="transcendental",
    ),
    Case("heaviside", gs.heaviside, np.heaviside, apart, differentiable=False),
    Case("clamp_min", lambda x: gs.clamp_min(x, 0.1), lambda x: np.maximum(x, 0.1), away_from_zero),
    Case("clamp_max", lambda x: x.clamp_max(0.1), lambda x: np.minimum(x, 0.1), away_from_zero),
    whole("gcd", gs.gcd, np.gcd),
    whole("lcm", gs.lcm, np.lcm),
    whole("bitwise_and", lambda x, y: x & y, np.bitwise_and),
    whole("bitwise_or", lambda x, y: x | y, np.bitwise_or),
    whole("bitwise_xor", lambda x, y: x ^ y, np.bitwise_xor),
    whole("bitwise_not", lambda x, y: ~x + y, lambda x, y: ~x + y),
    whole("shifts", lambda x, y: (x << (y & 7)) >> 2, lambda x, y: (x << (y & 7)) >> 2),
]


class TestCases(CaseTests):
    pass


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", INTEGERS)
def test_bits_of_every_integer(dtype: Any, isa: str) -> None:
    a, b = integers(0, (3, 67), dtype), integers(1, 67, dtype)
    left, right = gs.from_numpy(a), gs.from_numpy(b)
    with isa_cap(isa), np.errstate(over="ignore"):
        for name in ("bitwise_and", "bitwise_or", "bitwise_xor", "gcd"):
            got = getattr(gs, name)(left, right).numpy()
            expected = getattr(np, name)(a, b)
            assert got.dtype == dtype
            np.testing.assert_array_equal(got, expected)
        np.testing.assert_array_equal(gs.bitwise_not(left).numpy(), ~a)
        for count in (0, 1, 5):
            np.testing.assert_array_equal((left << count).numpy(), a << dtype(count))
            np.testing.assert_array_equal((left >> count).numpy(), a >> dtype(count))


def test_shifts_by_all_bits() -> None:
    x = gs.tensor([3, -3], dtype=gs.int32)
    assert (x << 32).tolist() == [0, 0]
    assert (x >> 99).tolist() == [0, -1]
    assert (x << -1).tolist() == [0, 0]
    assert (2 << gs.tensor([1, 3])).tolist() == [4, 16]
    assert (64 >> gs.tensor([1, 3])).tolist() == [32, 8]


def test_bits_of_bools_and_numbers() -> None:
    x = gs.tensor([True, False])
    assert (x & True).tolist() == [True, False]
    assert (True ^ x).tolist() == [False, True]
    assert (x | x).dtype == (~x).dtype == gs.bool
    assert (x & 3).dtype == gs.int64
    assert (gs.tensor([1], dtype=gs.uint8) | gs.tensor([256])).tolist() == [257]


SPECIAL = np.array([0.0, -0.0, 1, -1, INF, -INF, NAN, -NAN, 0.1, 3e38, -1e-38, 1e-42, -1e-45])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, ml_dtypes.bfloat16, np.float16])
def test_signs_and_neighbours_of_special_values(dtype: Any) -> None:
    with np.errstate(all="ignore"):
        values = SPECIAL.astype(dtype)
        a, b = (each.reshape(-1) for each in np.meshgrid(values, values))
        next_number = np.nextafter(a, b)
    x, y = gs.from_numpy(a), gs.from_numpy(b)
    np.testing.assert_array_equal(gs.signbit(x).numpy(), np.signbit(a))
    got = gs.copysign(x, y).numpy()
    np.testing.assert_array_equal(np.signbit(got), np.signbit(b))
    np.testing.assert_array_equal(abs(got.astype(np.float64)), abs(a.astype(np.float64)))
    moved = gs.nextafter(x, y).numpy()
    assert moved.dtype == dtype
    np.testing.assert_array_equal(moved.astype(np.float64), next_number.astype(np.float64))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_slope_of_copysign(dtype: Any, isa: str) -> None:
    """0 for zeros and NaN, else whether the sign changes; added up where the number repeats."""
    x = gs.from_numpy(SPECIAL.astype(dtype)).requires_grad_()
    other = gs.from_numpy(np.resize(np.array([1.0, -0.0, -NAN], dtype), (4, SPECIAL.size)))
    dy = np.random.default_rng(0).standard_normal((4, SPECIAL.size)).astype(dtype)
    with isa_cap(isa):
        gs.copysign(x, other).backward(gs.from_numpy(dy))
    flips = np.copysign(1, x.detach().numpy()) * np.copysign(1, other.numpy())
    slope = np.where(np.isnan(x.detach().numpy()) | (x.detach().numpy() == 0), 0, flips)
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), (dy * slope).sum(0), rtol=1e-5, atol=1e-6)


def test_fraction_of_integers_and_infinities() -> None:
    assert gs.frac(gs.tensor([3, -2])).tolist() == [0, 0]
    assert gs.frac(gs.tensor([3, -2])).dtype == gs.int64
    got = gs.frac(gs.tensor([INF, -INF, NAN, -0.0, -2.75]))
    np.testing.assert_array_equal(got.numpy(), [NAN, NAN, NAN, 0, -0.75])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, ml_dtypes.bfloat16, np.float16])
def test_mantissa_and_exponent_give_the_number(dtype: Any) -> None:
    with np.errstate(all="ignore"):
        values = SPECIAL.astype(dtype)
    mantissa, exponent = gs.frexp(gs.from_numpy(values))
    want, places = np.frexp(values.astype(np.float64))
    np.testing.assert_array_equal(mantissa.numpy().astype(np.float64), want)
    np.testing.assert_array_equal(exponent.numpy(), np.where(np.isfinite(want), places, 0))
    assert exponent.dtype == gs.int32


@pytest.mark.parametrize("isa", ISAS)
def test_ldexp_is_exact(isa: str) -> None:
    exponents = np.arange(-126, 128)
    with isa_cap(isa):
        got = gs.ldexp(gs.ones(254), gs.from_numpy(exponents)).numpy()
    np.testing.assert_array_equal(got, np.ldexp(np.float32(1), exponents))


def test_nan_and_ties() -> None:
    a = gs.tensor([NAN, 1.0, NAN, 2.0], requires_grad=True)
    b = gs.tensor([3.0, NAN, NAN, 2.0], requires_grad=True)
    assert gs.fmax(a, b).tolist()[:2] == [3, 1]
    assert gs.fmin(a, b).tolist()[1:4:2] == [1, 2]
    gs.fmax(a, b).nansum().backward()
    assert a.grad is not None
    assert b.grad is not None
    assert (a.grad.tolist()[1], a.grad.tolist()[3], b.grad.tolist()[3]) == (1, 1, 0)
    assert gs.heaviside(gs.tensor([NAN, -0.0]), gs.tensor(0.5)).tolist() == [0, 0.5]
    infinite = gs.tensor([INF, -INF], requires_grad=True)
    gs.logaddexp(infinite, infinite.detach()).sum().backward()
    assert infinite.grad is not None
    assert infinite.grad.tolist() == [0.5, 0.5]


def test_infinities_and_signs_of_integers() -> None:
    x = gs.tensor([INF, -INF, 0.0, NAN])
    assert gs.isposinf(x).tolist() == [True, False, False, False]
    assert gs.isneginf(x).tolist() == [False, True, False, False]
    assert gs.isreal(x).tolist() == [True] * 4
    assert gs.signbit(gs.tensor([-2, 0])).tolist() == [True, False]
    assert gs.copysign(gs.tensor([-2, 3]), gs.tensor([1, -1])).dtype == gs.float32
    assert gs.copysign(1, x).tolist()[:2] == [1, -1]


def test_operands_of_several_dtypes() -> None:
    counts, narrow = gs.tensor([3, -2]), gs.tensor([1.0, -0.5], dtype=gs.bfloat16)
    for function in (gs.copysign, gs.ldexp, gs.logaddexp, gs.logaddexp2, gs.xlogy, gs.hypot):
        assert function(narrow, counts).dtype == gs.bfloat16, function
        assert function(narrow, gs.tensor(2.0, dtype=gs.float64)).dtype == gs.bfloat16, function
    assert gs.ldexp(gs.tensor([1.0], dtype=gs.float64), gs.tensor([300])).tolist() == [2.0**300]
    assert gs.hypot(gs.tensor([True]), gs.tensor([1.0])).tolist() == pytest.approx([2**0.5])
    bytes_ = gs.tensor([1, 4], dtype=gs.uint8), gs.tensor([2, 2], dtype=gs.uint8)
    assert gs.dist(*bytes_).item() == pytest.approx(5**0.5)


def test_clamp_by_nan() -> None:
    x, nothing = gs.tensor([1.0, NAN, INF], requires_grad=True), gs.tensor(NAN)
    for y in (x.clamp(nothing), x.clamp(max=nothing), x.clamp_min(gs.tensor([NAN, 0.0, NAN]))):
        assert all(math.isnan(each) for each in y.tolist())
    y = x.clamp(gs.tensor(1.0), gs.tensor(1.0))
    y.backward(gs.ones(3))
    assert y.tolist()[0] == y.tolist()[2] == 1
    assert x.grad is not None
    assert x.grad.tolist() == [1, 1, 0]


def test_other_names() -> None:
    for name, original in {
        **{"subtract": "sub", "multiply": "mul", "divide": "div", "true_divide": "div"},
        **{"negative": "neg", "absolute": "abs", "arcsin": "asin", "arctan2": "atan2"},
        **{"arctanh": "atanh", "fix": "trunc", "sgn": "sign", "less": "lt", "not_equal": "ne"},
        **{"greater_equal": "ge", "greater": "gt", "less_equal": "le", "trapz": "trapezoid"},
    }.items():
        assert getattr(gs, name) is getattr(gs, original)
    assert gs.rsub(gs.tensor([1.0]), 5, alpha=2).tolist() == [3]
    x = gs.ones(2)
    assert gs.positive(x) is x
    assert [each.tolist() for each in gs.where(gs.tensor([[False, True]]))] == [[0], [1]]


def test_atan2_has_gradients_of_both_orders_at_the_origin() -> None:
    a, b = (gs.zeros(1, requires_grad=True) for _ in range(2))
    slopes = gs.autograd.grad(gs.atan2(a, b).sum(), [a, b], create_graph=True)
    curves = gs.autograd.grad(slopes[0].sum() + slopes[1].sum(), [a, b])
    assert [each.item() for each in (*slopes, *curves)] == [0.0] * 4


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: gs.bitwise_and(gs.ones(2), 1), TypeError, "bitwise_and: got float32, expected"),
        (lambda: gs.ones(2) << 1, TypeError, "bitwise_left_shift: got float32"),
        (lambda: gs.tensor([True]) << True, TypeError, "bitwise_left_shift: not defined for bool"),
        (lambda: ~gs.ones(2), TypeError, "bitwise_not: got float32"),
        (lambda: gs.gcd(gs.ones(2), 2), TypeError, "gcd: got float32"),
        (lambda: gs.lcm(gs.tensor([1]), 2.0), TypeError, "lcm: gcd: got float32"),
        (lambda: gs.tensor([1], dtype=gs.uint8) & -1, ValueError, "bitwise_and: other -1"),
        (lambda: gs.nextafter(gs.tensor([1]), gs.tensor([2])), TypeError, "nextafter: got int64"),
        (lambda: gs.nextafter(gs.ones(2), 2.0), TypeError, "nextafter: other is a float"),
        (lambda: gs.frexp(gs.tensor([1])), TypeError, "frexp: got int64"),
        (lambda: gs.signbit(1.0), TypeError, "signbit: input is a float"),
        (lambda: gs.copysign(1.0, 2.0), TypeError, "copysign: other is a float"),
        (lambda: gs.fmax(gs.ones(2), 1.0), TypeError, "fmax: other is a float"),
        (lambda: gs.fmin(gs.ones(2), gs.ones(3)), ValueError, "fmin"),
        (lambda: gs.heaviside(gs.ones(2), 1.0), TypeError, "heaviside: values is a float"),
        (
            lambda: gs.heaviside(gs.ones(2), gs.tensor(1)),
            TypeError,
            "heaviside: values is int64, expected float32",
        ),
        (lambda: gs.positive(gs.tensor([True])), TypeError, "positive: got bool"),
        (lambda: gs.clamp_min(gs.ones(2), "a"), TypeError, "clamp_min: .*str"),
        (lambda: gs.isposinf(1.0), TypeError, "isposinf: input is a float"),
        (lambda: gs.nan_to_num(gs.ones(2), gs.zeros(1)), TypeError, "nan_to_num: nan is a Tensor"),
        (lambda: gs.ones(2).requires_grad_(1), TypeError, "requires_grad_: requires_grad is a int"),
        (lambda: gs.deg2rad(90), TypeError, "deg2rad: input is a int"),
        (lambda: gs.float_power(2, 3), TypeError, "float_power: other is a int"),
        (lambda: gs.where(2.0), TypeError, "where: condition"),
    ],
)
def test_errors(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()

# SPDX-License-Identifier: Apache-2.0
"""Mathematical functions, arithmetic with broadcasting, promotion, comparisons, choice."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import gradsmith as gs
from tests.cases import Case, CaseTests
from tests.reference import elementwise as reference

Generator = np.random.Generator


def anywhere(rng: Generator) -> tuple[Any, ...]:
    return (rng.standard_normal((3, 5)) * 1.5,)


def away_from_zero(rng: Generator) -> tuple[Any, ...]:
    x = rng.standard_normal((3, 5))
    return (np.sign(x) * (np.abs(x) + 0.25),)


def positive(rng: Generator) -> tuple[Any, ...]:
    return (rng.uniform(0.25, 3.0, (3, 5)),)


def inside_one(rng: Generator) -> tuple[Any, ...]:
    return (rng.uniform(-0.8, 0.8, (3, 5)),)


def above_one(rng: Generator) -> tuple[Any, ...]:
    return (rng.uniform(1.5, 4.0, (3, 5)),)


def between_integers(rng: Generator) -> tuple[Any, ...]:
    return (rng.integers(-3, 4, (3, 5)) + rng.uniform(0.1, 0.4, (3, 5)),)


def unary(name: str, make_inputs: Callable[[Generator], tuple[Any, ...]], tolerance: str) -> Case:
    return Case(
        name,
        getattr(gs, name),
        getattr(reference, name),
        make_inputs,
        backward=getattr(reference, f"{name}_backward"),
        tolerance=tolerance,
    )


UNARY = [
    *(
        unary(name, anywhere, "transcendental")
        for name in (
            *("exp", "exp2", "expm1", "sin", "cos", "tan", "atan", "sinh", "cosh", "tanh"),
            *("asinh", "erf", "sigmoid"),
        )
    ),
    *(
        unary(name, positive, "transcendental")
        for name in ("log", "log2", "log10", "log1p", "sqrt", "rsqrt", "reciprocal")
    ),
    *(unary(name, inside_one, "transcendental") for name in ("asin", "acos", "atanh")),
    unary("acosh", above_one, "transcendental"),
    *(unary(name, away_from_zero, "pointwise") for name in ("neg", "abs", "square")),
    *(unary(name, between_integers, "exact") for name in ("floor", "ceil", "round", "trunc")),
    unary("sign", away_from_zero, "exact"),
]


def pair(*shapes: tuple[int, ...], low: float | None = None) -> Callable[[Generator], Any]:
    """Inputs of these shapes: normal, or uniform in [low, 3]."""

    def make_inputs(rng: Generator) -> tuple[Any, ...]:
        if low is None:
            return tuple(rng.standard_normal(shape) for shape in shapes)
        return tuple(rng.uniform(low, 3.0, shape) for shape in shapes)

    return make_inputs


def quotient_between_integers(rng: Generator) -> tuple[Any, ...]:
    divisor = rng.uniform(0.5, 2.0, (3, 4))
    return (rng.integers(-3, 4, (3, 4)) + rng.uniform(0.2, 0.8, (3, 4))) * divisor, divisor


def binary(name: str, make_inputs: Callable[[Generator], Any], suffix: str = "", **kw: Any) -> Case:
    return Case(
        name + suffix,
        getattr(gs, name),
        getattr(reference, name),
        make_inputs,
        backward=getattr(reference, f"{name}_backward"),
        **kw,
    )


BROADCASTS = {
    "": ((3, 4), (3, 4)),
    "-row": ((3, 4), (4,)),
    "-outer": ((3, 1), (1, 4)),
    "-scalar": ((), (3, 4)),
}

BINARY = [
    *(
        binary(name, pair(*shapes), suffix)
        for name in ("add", "sub", "mul", "maximum", "minimum")
        for suffix, shapes in BROADCASTS.items()
    ),
    *(binary("div", pair(*s, low=0.5), suffix) for suffix, s in BROADCASTS.items()),
    *(
        binary("pow", pair(*s, low=0.5), suffix, tolerance="transcendental")
        for suffix, s in BROADCASTS.items()
    ),
    binary("atan2", pair((3, 4), (3, 4), low=0.5), tolerance="transcendental"),
    *(
        binary(name, quotient_between_integers, dtypes=("float32", "float64"), tolerance="norm")
        for name in ("fmod", "remainder", "floor_divide")
    ),
]


def ternary(rng: Generator) -> tuple[Any, ...]:
    return rng.standard_normal((3, 4)), rng.standard_normal((4,)), rng.uniform(0.5, 2, (3, 1))


COMBINED = [
    binary("lerp", ternary),
    Case(
        "addcmul",
        lambda x, a, b: gs.addcmul(x, a, b, value=0.5),
        lambda x, a, b: reference.addcmul(x, a, b, 0.5),
        ternary,
        backward=lambda dy, x, a, b: reference.addcmul_backward(dy, x, a, b, 0.5),
    ),
    Case(
        "addcdiv",
        lambda x, a, b: gs.addcdiv(x, a, b, value=0.5),
        lambda x, a, b: reference.addcdiv(x, a, b, 0.5),
        ternary,
        backward=lambda dy, x, a, b: reference.addcdiv_backward(dy, x, a, b, 0.5),
    ),
    Case("hypot", gs.hypot, np.hypot, pair((3, 4), (4,)), tolerance="transcendental"),
    Case("logaddexp", gs.logaddexp, np.logaddexp, pair((3, 4), (4,)), tolerance="transcendental"),
    Case(
        "where",
        gs.where,
        reference.where,
        lambda rng: (rng.random((3, 4)) < 0.5, rng.standard_normal((3, 4)), rng.random((4,))),
        backward=reference.where_backward,
    ),
    *(
        Case(
            f"clamp-{low}-{high}",
            lambda x, low=low, high=high: gs.clamp(x, low, high),
            lambda x, low=low, high=high: reference.clamp(x, low, high),
            anywhere,
            backward=lambda dy, x, low=low, high=high: reference.clamp_backward(dy, x, low, high),
            tolerance="exact",
        )
        for low, high in ((-0.5, 0.75), (None, 0.5), (-0.5, None))
    ),
    Case(
        "clamp-tensors",
        gs.clamp,
        np.clip,
        lambda rng: (rng.standard_normal((3, 4)), rng.uniform(-1, 0, 4), rng.uniform(0, 1, (3, 1))),
        tolerance="exact",
    ),
]

CASES = [*UNARY, *BINARY, *COMBINED]


class TestCases(CaseTests):
    pass


# ---- numbers as operands, promotion --------------------------------------------------------------


@pytest.mark.parametrize("power", [0, 1, 2, 3, -1, 0.5, -1.5])
def test_power_by_a_number(power: float) -> None:
    x = gs.tensor([0.5, 1.5, 2.0], dtype=gs.float64, requires_grad=True)
    assert gs.autograd.gradcheck(lambda t: t**power, [x])
    assert gs.autograd.gradgradcheck(lambda t: t**power, [x])
    np.testing.assert_allclose((x**power).detach().numpy(), x.detach().numpy() ** power)


def test_number_to_the_power_of_a_tensor() -> None:
    x = gs.tensor([0.5, -1.5, 2.0], dtype=gs.float64, requires_grad=True)
    assert gs.autograd.gradcheck(lambda t: 3**t, [x])
    assert gs.autograd.gradgradcheck(lambda t: 3**t, [x])


def test_power_at_zero() -> None:
    x = gs.tensor([0.0, 0.0], requires_grad=True)
    (x**0).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 0.0]


OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "floordiv": lambda a, b: a // b,
    "mod": lambda a, b: a % b,
    "pow": lambda a, b: a**b,
}


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_with_numbers_on_either_side(name: str) -> None:
    operator = OPERATORS[name]
    values = np.array([0.5, 1.25, 3.0])
    x = gs.tensor(values)
    for got, expected in (
        (operator(x, 2), operator(values, 2)),
        (operator(2, x), operator(2, values)),
        (operator(values, x), operator(values, values)),
        (operator(x, np.float32(2)), operator(values, 2)),
    ):
        np.testing.assert_allclose(got.numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (gs.int64, gs.float32, gs.float32),
        (gs.float32, gs.float64, gs.float64),
        (gs.bfloat16, gs.float32, gs.float32),
        (gs.uint8, gs.int32, gs.int32),
        (gs.bool, gs.uint8, gs.uint8),
        (gs.int32, gs.int64, gs.int64),
        (gs.int64, gs.bfloat16, gs.bfloat16),
    ],
)
def test_promotion(left: Any, right: Any, expected: Any) -> None:
    total = gs.ones(2, dtype=left) + gs.ones(2, dtype=right)
    assert total.dtype == expected
    assert gs.cat((gs.ones(2, dtype=left), gs.ones(2, dtype=right))).dtype == expected


def test_numbers_yield_to_tensors() -> None:
    assert (gs.ones(2, dtype=gs.bfloat16) * 2.5).dtype == gs.bfloat16
    assert (gs.ones(2, dtype=gs.int32) + 1).dtype == gs.int32
    assert (gs.ones(2, dtype=gs.int32) + 1.5).dtype == gs.float32
    assert (gs.ones(2, dtype=gs.int64) / 2).dtype == gs.float32
    assert (gs.ones(2, dtype=gs.bool) + True).dtype == gs.bool


@pytest.mark.parametrize("dtype", [gs.bool, gs.uint8, gs.int32, gs.int64])
def test_integers_become_floating_in_mathematical_functions(dtype: Any) -> None:
    x = gs.tensor([1, 0, 1], dtype=dtype)
    assert gs.exp(x).dtype == gs.float32
    np.testing.assert_allclose(gs.cos(x).numpy(), np.cos([1, 0, 1]), rtol=1e-6)


def test_gradient_has_the_dtype_of_its_input() -> None:
    a = gs.tensor([1.0, 2.0], dtype=gs.float32, requires_grad=True)
    b = gs.tensor([3.0, 4.0], dtype=gs.float64, requires_grad=True)
    (a * b).sum().backward()
    assert a.grad is not None
    assert b.grad is not None
    assert (a.grad.dtype, b.grad.dtype) == (gs.float32, gs.float64)


def test_bfloat16_rounds_to_nearest_even() -> None:
    x = gs.tensor([1.0, 1.00390625, 1.01171875, -3.3], dtype=gs.bfloat16)
    expected = np.array([1.0, 1.00390625, 1.01171875, -3.3], ml_dtypes.bfloat16)
    np.testing.assert_array_equal(x.numpy(), expected)


# ---- special values ------------------------------------------------------------------------------


def test_nan_and_infinity() -> None:
    x = gs.tensor([math.nan, math.inf, -math.inf, 1.0])
    assert gs.isnan(x).tolist() == [True, False, False, False]
    assert gs.isinf(x).tolist() == [False, True, True, False]
    assert gs.isfinite(x).tolist() == [False, False, False, True]
    assert math.isnan(gs.maximum(x, gs.zeros(4)).tolist()[0])
    assert math.isnan(gs.clamp(x, -1, 1).tolist()[0])
    assert gs.clamp(x, -1, 1).tolist()[1:] == [1.0, -1.0, 1.0]
    largest = float(np.finfo(np.float32).max)
    assert gs.nan_to_num(x).tolist() == [0.0, largest, -largest, 1.0]
    assert gs.nan_to_num(x, 1.0, 2.0, 3.0).tolist() == [1.0, 2.0, 3.0, 1.0]


def test_logaddexp_of_infinities() -> None:
    x = gs.tensor([math.inf, -math.inf, 1000.0])
    assert gs.logaddexp(x, x).tolist() == pytest.approx([math.inf, -math.inf, 1000 + math.log(2)])
    assert gs.hypot(gs.tensor([3e30]), gs.tensor([4e30])).item() == pytest.approx(5e30)


def test_ties_share_the_gradient() -> None:
    a = gs.tensor([1.0, 2.0], requires_grad=True)
    b = gs.tensor([1.0, 1.0], requires_grad=True)
    gs.maximum(a, b).sum().backward()
    assert a.grad is not None
    assert b.grad is not None
    assert (a.grad.tolist(), b.grad.tolist()) == ([0.5, 1.0], [0.5, 0.0])


def test_closeness() -> None:
    a = gs.tensor([1.0, math.nan, math.inf])
    b = gs.tensor([1.0 + 1e-7, math.nan, math.inf])
    assert gs.isclose(a, b).tolist() == [True, False, True]
    assert gs.allclose(a, b, equal_nan=True)
    assert not gs.allclose(a, b)
    assert not gs.allclose(gs.tensor([1.0]), gs.tensor([math.inf]))
    assert gs.equal(gs.tensor([1, 2]), gs.tensor([1, 2]))
    assert not gs.equal(gs.tensor([1, 2]), gs.tensor([1]))


def test_division_modes() -> None:
    x = gs.tensor([-7.0, 7.0])
    assert gs.div(x, 2, rounding_mode="floor").tolist() == [-4.0, 3.0]
    assert gs.div(x, 2, rounding_mode="trunc").tolist() == [-3.0, 3.0]
    large = gs.tensor([-(2**62) - 1, 2**62 + 1])
    assert gs.div(large, 2, rounding_mode="trunc").tolist() == [-(2**61), 2**61]
    assert (gs.tensor([-7, 7]) // 2).tolist() == [-4, 3]
    assert (gs.tensor([-7, 7]) % 3).tolist() == [2, 1]
    assert gs.fmod(gs.tensor([-7, 7]), 3).tolist() == [-1, 1]


def test_rounding_to_decimals() -> None:
    x = gs.tensor([1.26, -2.5, 125.0], dtype=gs.float64)
    assert gs.round(x, decimals=1).tolist() == pytest.approx([1.3, -2.5, 125.0])
    assert gs.round(x, decimals=-1).tolist() == [0.0, 0.0, 120.0]


def test_integers_keep_their_dtype_where_they_can() -> None:
    x = gs.tensor([-3, 4], dtype=gs.int32)
    for y in (abs(x), gs.sign(x), gs.square(x), gs.clamp(x, -1, 1), gs.floor(x), -x):
        assert y.dtype == gs.int32
    assert gs.clamp(x, max=2.5).tolist() == [-3.0, 2.5]
    assert gs.clamp(x, -1, 1).tolist() == [-1, 1]


def test_comparisons_and_logic() -> None:
    a, b = gs.tensor([1, 2, 3]), gs.tensor([3, 2, 1])
    assert (a < b).tolist() == [True, False, False]
    assert (a >= 2).tolist() == [False, True, True]
    assert (a == b).tolist() == [False, True, False]
    assert (a != b).dtype == gs.bool
    assert ((a > 1) & (b > 1)).tolist() == [False, True, False]
    assert ((a > 2) | ~(b > 1)).tolist() == [False, False, True]
    assert ((a > 1) ^ (b > 1)).tolist() == [True, False, True]
    assert (a & b).tolist() == [1, 2, 1]
    assert (a == None) is False  # noqa: E711
    assert (a == "text") is False


# ---- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: gs.exp(2.0), TypeError, "exp: input is a float, expected a tensor"),
        (lambda: gs.ones(3) + gs.ones(4), ValueError, "add"),
        (lambda: gs.ones(3) + "a", TypeError, "add: got a str"),
        (lambda: gs.ones(3) < None, TypeError, "lt: got a NoneType"),
        (lambda: gs.clamp(gs.ones(3)), ValueError, "clamp: got neither min nor max"),
        (lambda: gs.clamp(gs.ones(3, dtype=gs.uint8), max=-1), ValueError, "clamp: bounds"),
        (lambda: gs.div(gs.ones(3), 2, rounding_mode="up"), ValueError, "rounding_mode"),
        (lambda: gs.tensor([1]) // 0, ValueError, "integer division by zero"),
        (lambda: gs.tensor([2]) ** -1, ValueError, "negative integer powers"),
        (lambda: gs.where(gs.ones(3), 1.0, 0.0), TypeError, "where: condition"),
        (lambda: gs.where([True], 1.0, 0.0), TypeError, "where: condition is a list"),
        (lambda: ~gs.ones(3), TypeError, "bitwise_not: got float32"),
        (lambda: gs.ones(3) & gs.ones(3), TypeError, "bitwise_and: got float32"),
        (lambda: gs.isclose(gs.ones(1), gs.ones(1), rtol=-1.0), ValueError, "isclose: rtol"),
        (lambda: gs.equal(gs.ones(1), 1.0), TypeError, "equal: other is a float"),
        (lambda: -gs.tensor([True]), TypeError, "neg: not defined for bool"),
    ],
)
def test_errors(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message.replace("(", r"\(")):
        call()

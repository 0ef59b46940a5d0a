# SPDX-License-Identifier: Apache-2.0
"""Elementwise kernels of integers and bools, conversions between dtypes, and division with a
remainder, at lengths that fill vectors with what is left over beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from tests.cases import ISAS, isa_cap

INTEGERS = [np.uint8, np.int32, np.int64]
LENGTHS = [1, 7, 64, 1003]
BINARY = ["add", "sub", "mul", "maximum", "minimum"]
NUMPY_NAME = {"add": "add", "sub": "subtract", "mul": "multiply"}
COMPARE = {
    "eq": "equal",
    "ne": "not_equal",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
}
LOGIC = ["logical_and", "logical_or", "logical_xor"]


def integers(seed: int, shape: Any, dtype: Any) -> np.ndarray:
    """All of the range, small numbers among them, so that sums wrap and comparisons tie."""
    info = np.iinfo(dtype)
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 3, shape, dtype)
    return np.where(
        rng.random(shape) < 0.5,
        small,
        rng.integers(info.min, info.max, shape, dtype, endpoint=True),
    )


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("length", LENGTHS)
def test_integers(length: int, dtype: Any, isa: str) -> None:
    full, row = integers(0, (3, length), dtype), integers(1, length, dtype)
    column, turned = integers(2, (3, 1), dtype), integers(3, (length, 3), dtype).T
    pairs = [(full, full[::-1].copy()), (full, row), (row, full), (full, column)]
    for a, b in [*pairs, (column, full), (full, turned), (column, row)]:
        left, right = gs.from_numpy(a), gs.from_numpy(b)
        with isa_cap(isa):
            for name in BINARY:
                expected = getattr(np, NUMPY_NAME.get(name, name))(a, b)
                np.testing.assert_array_equal(getattr(gs, name)(left, right).numpy(), expected)
            for name, definition in [*COMPARE.items(), *((each, each) for each in LOGIC)]:
                expected = getattr(np, definition)(a, b)
                np.testing.assert_array_equal(getattr(gs, name)(left, right).numpy(), expected)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("length", LENGTHS)
def test_functions_of_one_integer(length: int, dtype: Any, isa: str) -> None:
    x = integers(0, length, dtype)
    with isa_cap(isa), np.errstate(over="ignore"):
        for name in ("abs", "sign", "square"):
            got = getattr(gs, name)(gs.from_numpy(x)).numpy()
            np.testing.assert_array_equal(got, getattr(np, name)(x))
        np.testing.assert_array_equal((-gs.from_numpy(x)).numpy(), np.negative(x))
        np.testing.assert_array_equal(gs.relu(gs.from_numpy(x)).numpy(), np.maximum(x, 0))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("length", LENGTHS)
def test_masks(length: int, isa: str) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((2, length)) < 0.5
    with isa_cap(isa):
        left, right = gs.from_numpy(a), gs.from_numpy(b)
        np.testing.assert_array_equal((left & right).numpy(), a & b)
        np.testing.assert_array_equal((left | right).numpy(), a | b)
        np.testing.assert_array_equal((left == right).numpy(), a == b)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", [np.bool_, *INTEGERS])
@pytest.mark.parametrize("length", LENGTHS)
def test_choice(length: int, dtype: Any, isa: str) -> None:
    mask = np.random.default_rng(0).random((3, length)) < 0.5
    full, row = (integers(i, s, np.uint8).astype(dtype) for i, s in [(1, (3, length)), (2, length)])
    one = row[:1]
    for condition, yes, no in [(mask, full, row), (mask, one, full), (mask[:, :1], full, one)]:
        with isa_cap(isa):
            got = gs.where(*(gs.from_numpy(each) for each in (condition, yes, no))).numpy()
        np.testing.assert_array_equal(got, np.where(condition, yes, no))


@pytest.mark.parametrize("isa", ISAS)
def test_in_place(isa: str) -> None:
    x = integers(0, 1003, np.int32)
    with isa_cap(isa):
        y = gs.from_numpy(x.copy())
        y += 3
        y *= y
    np.testing.assert_array_equal(y.numpy(), (x + np.int32(3)) ** 2)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("target", ["bool", "uint8", "int32", "int64", "float32", "float64"])
@pytest.mark.parametrize("source", [np.bool_, *INTEGERS, np.float32, np.float64])
@pytest.mark.parametrize("length", LENGTHS)
def test_conversion(length: int, source: Any, target: str, isa: str) -> None:
    x = (np.random.default_rng(0).integers(0, 250, length) // 3 * 3).astype(source)
    if np.issubdtype(source, np.floating):
        x += source(0.75)
    with isa_cap(isa):
        got = gs.from_numpy(x).to(getattr(gs, target)).numpy()
    expected = x.astype(np.bool_ if target == "bool" else target)
    np.testing.assert_array_equal(got, expected)
    assert got.dtype == expected.dtype


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("source", [np.float32, np.float64])
@pytest.mark.parametrize("target", INTEGERS)
def test_conversion_saturates(target: Any, source: Any, isa: str) -> None:
    info = np.iinfo(target)
    x = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, -0.5, 1.5] * 5, source)
    expected = np.array([0, info.max, info.min, info.max, info.min, 0, 1] * 5, target)
    with isa_cap(isa):
        got = gs.from_numpy(x).to(getattr(gs, np.dtype(target).name)).numpy()
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["fmod", "remainder", "floor_divide"])
def test_division_with_remainder_is_exact(name: str, dtype: Any, isa: str) -> None:
    """Quotients of all sizes, small and whole ones among them, and every pair of special values."""
    rng = np.random.default_rng(0)
    b = (np.exp(rng.uniform(-20, 20, 4003)) * rng.choice([-1, 1], 4003)).astype(dtype)
    whole = np.round(np.exp(rng.uniform(0, 12, 4003))).astype(dtype)
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 0.1, 7.0, 1e30], dtype)
    pairs = [
        (b * rng.standard_normal(4003).astype(dtype), b),
        (b * whole, b),
        (np.nextafter(b * whole, dtype(0)), b),
        (np.exp(rng.uniform(-60, 60, 4003)).astype(dtype), b),
        tuple(each.reshape(-1) for each in np.meshgrid(special, special)),
    ]
    for left, right in pairs:
        with isa_cap(isa):
            got = getattr(gs, name)(gs.from_numpy(left), gs.from_numpy(right)).numpy()
        with isa_cap("reference"):
            expected = getattr(gs, name)(gs.from_numpy(left), gs.from_numpy(right)).numpy()
        np.testing.assert_array_equal(got, expected)
        number = ~np.isnan(expected)
        np.testing.assert_array_equal(np.signbit(got[number]), np.signbit(expected[number]))
    if name != "floor_divide":  # NumPy's quotient of floats may be one off
        left, right = pairs[0]
        with isa_cap(isa):
            got = getattr(gs, name)(gs.from_numpy(left), gs.from_numpy(right)).numpy()
        np.testing.assert_array_equal(got, getattr(np, name)(left, right))


def quotients(dtype: Any, length: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of small, large and extreme integers, whose divisors are not 0."""
    info, rng = np.iinfo(dtype), np.random.default_rng(length)
    ends = np.array([info.min, info.min + 1, info.max - 1, info.max, 1, 2, 3, 7], dtype)
    ends = np.append(ends, np.array([-1, -2, -7] if info.min < 0 else [5, 9], dtype))
    bits = 8 * ends.itemsize
    small = rng.integers(max(info.min, -50), 50, length, dtype)
    large = rng.integers(info.min, info.max, length, dtype, endpoint=True)
    # Dividends on both sides of the magnitude up to which doubles serve, and one off multiples.
    near = large >> max(bits - 52 - rng.integers(0, 2), 0)
    near[::5] = large[::5] >> (bits // 2)
    divisors = large >> rng.integers(1, bits - 1, length).astype(dtype)
    multiples = (near // np.where(divisors == 0, 1, divisors)) * divisors
    pairs = [(small, rng.permutation(small)), (large, divisors), (near, divisors), (near, ends)]
    pairs += [(multiples + dtype(k), divisors) for k in (0, 1)]
    pairs += [(multiples - dtype(1), divisors), (ends, large), (ends, ends)]
    drawn = [(np.resize(a, length), rng.permutation(np.resize(b, length))) for a, b in pairs]
    return [(a, np.where(b == 0, dtype(1), b)) for a, b in drawn]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("length", [1, 7, 64, 1603])
@pytest.mark.parametrize("name", ["fmod", "remainder", "floor_divide"])
def test_integer_division_is_exact(name: str, length: int, dtype: Any, isa: str) -> None:
    for left, right in quotients(dtype, length):
        for a, b in [(left, right), (left, right[:1]), (left[:1], right)]:
            with isa_cap(isa):
                got = getattr(gs, name)(gs.from_numpy(a), gs.from_numpy(b)).numpy()
            with np.errstate(over="ignore"):  # the least integer over -1, which wraps
                np.testing.assert_array_equal(got, getattr(np, name)(a, b))
            assert got.dtype == dtype


@pytest.mark.parametrize("isa", ISAS)
def test_integer_division_in_place_and_of_any_layout(isa: str) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(-(2**62), 2**62, (2, 61, 47))
    a[::3] //= 2**20
    with isa_cap(isa):
        turned = gs.from_numpy(a).T // gs.from_numpy(b).T
        y = gs.from_numpy(a.copy())
        y %= 1000
    np.testing.assert_array_equal(turned.numpy(), a.T // b.T)
    np.testing.assert_array_equal(y.numpy(), a % 1000)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_a_zero_among_divisors_is_found_wherever_it_lies(dtype: Any) -> None:
    views = [
        lambda b: b,
        lambda b: b.T,
        lambda b: b[::2, 1:],
        lambda b: b[:, ::-1, ::-2],
        lambda b: b.transpose(1, 0, 2)[..., None],
        lambda b: np.broadcast_to(b[:, :1], b.shape),
    ]
    places = np.arange(3 * 4 * 37).reshape(3, 4, 37)
    for place in (0, 1, 36, 38, 200, places.size - 1):
        divisors = np.where(places == place, 0, 5).astype(dtype)
        for view in views:
            part = view(divisors)
            if 0 in part:
                with pytest.raises(ValueError, match="floor_divide: integer division by zero"):
                    gs.from_numpy(part // 5) // gs.from_numpy(part)
            else:
                assert (gs.from_numpy(part) // gs.from_numpy(part)).numpy().min() == 1
    assert (gs.ones(0, 3).int() // gs.zeros(0, 3).int()).shape == (0, 3)

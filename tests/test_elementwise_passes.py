# SPDX-License-Identifier: Apache-2.0
"""Functions in one pass that were compositions: ends of their range, dtypes and gradients there."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
import gradsmith.nn.functional as F
from gradsmith.backend import is_channels_last
from tests.cases import ISAS, Case, CaseTests, isa_cap, threads
from tests.reference import elementwise as reference

INF, NAN = np.inf, np.nan


def two(rng: np.random.Generator) -> tuple[Any, ...]:
    return rng.standard_normal((3, 4)), rng.standard_normal((4,))


def three(rng: np.random.Generator) -> tuple[Any, ...]:
    return (*two(rng), rng.uniform(0.5, 2, (3, 1)))


CASES = [
    Case("lerp-number", lambda a, b: gs.lerp(a, b, 0.3), lambda a, b: a + 0.3 * (b - a), two),
    Case("addcmul-1", gs.addcmul, reference.addcmul, three),
    Case("addcdiv-1", gs.addcdiv, reference.addcdiv, three),
    Case(
        "prelu-one-slope",
        F.prelu,
        lambda x, weight: np.where(x > 0, x, x * weight),
        lambda rng: (rng.standard_normal((3, 4)), rng.uniform(0.1, 0.9, 1)),
    ),
    Case(
        "glu-outer",
        lambda x: F.glu(x, 0),
        lambda x: x[:2] * reference.sigmoid(x[2:]),
        lambda rng: (rng.standard_normal((4, 3)),),
        tolerance="transcendental",
    ),
]


class TestCases(CaseTests):
    pass


# ---- roots and lengths ---------------------------------------------------------------------------


@pytest.mark.parametrize("isa", ISAS)
def test_roots_round_as_the_definition(isa: str) -> None:
    """The exact rest decides the last bit, over all exponents and at the ends of the range."""
    rng = np.random.default_rng(0)
    exponents = rng.integers(-149, 128, 20_000)
    x = np.ldexp(rng.uniform(1, 2, 20_000), exponents).astype(np.float32)
    x[:8] = 0, -0.0, INF, -INF, NAN, -1, np.float32(1e-45), np.finfo(np.float32).max
    with isa_cap(isa), np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(gs.sqrt(gs.from_numpy(x)).numpy(), np.sqrt(x))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_hypot_over_the_whole_range(isa: str, dtype: Any) -> None:
    info = np.finfo(dtype)
    rng = np.random.default_rng(0)
    low, high = info.minexp, info.maxexp - 1
    a, b = (np.ldexp(rng.uniform(1, 2, 4096), rng.integers(low, high, 4096)) for _ in range(2))
    a, b = a.astype(dtype), b.astype(dtype)
    with isa_cap(isa):
        got = gs.hypot(gs.from_numpy(a), gs.from_numpy(b)).numpy()
    np.testing.assert_allclose(got, np.hypot(a, b), rtol=2 * info.eps)
    ends = [0, -0.0, INF, -INF, NAN, 3, info.max, info.smallest_subnormal]
    a, b = (grid.reshape(-1) for grid in np.meshgrid(np.array(ends, dtype), np.array(ends, dtype)))
    with isa_cap(isa):
        got = gs.hypot(gs.from_numpy(a), gs.from_numpy(b)).numpy()
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(got, np.hypot(a, b))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("function", [gs.lgamma, gs.digamma])
def test_gamma_family_of_floats_below_zero(isa: str, function: Any) -> None:
    x = np.random.default_rng(0).uniform(-5, 5, 200).astype(np.float32)
    exact = function(gs.from_numpy(x.astype(np.float64))).numpy()
    with isa_cap(isa):
        got = function(gs.from_numpy(x)).numpy()
    np.testing.assert_allclose(got, exact, rtol=2e-7)


# ---- pairs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8])
@pytest.mark.parametrize("shape", [(2, 2, 37), (3, 2, 16), (1, 2, 9001), (5, 2, 1)])
def test_pairs_are_woven_and_taken_apart(isa: str, dtype: Any, shape: tuple[int, ...]) -> None:
    apart = (np.arange(np.prod(shape)) % 251).astype(dtype).reshape(shape)
    with isa_cap(isa):
        woven = gs.from_numpy(apart).transpose(1, 2).contiguous()
        back = woven.transpose(1, 2).contiguous()
    np.testing.assert_array_equal(woven.numpy(), np.ascontiguousarray(apart.swapaxes(1, 2)))
    np.testing.assert_array_equal(back.numpy(), apart)


# ---- dtypes --------------------------------------------------------------------------------------


def test_integers_and_mixed_dtypes() -> None:
    whole, half = gs.tensor([2, 4]), gs.tensor([0.5, 0.25])
    assert gs.lerp(whole, gs.tensor([4, 8]), 0.5).tolist() == [3, 6]
    assert gs.lerp(whole, half, half).tolist() == [1.25, 3.0625]
    assert gs.addcmul(whole, whole, whole, value=2).tolist() == [10, 36]
    assert gs.addcmul(whole, whole, whole, value=2).dtype == gs.int64
    assert gs.addcmul(half, whole, whole, value=0.5).tolist() == [2.5, 8.25]
    assert gs.addcdiv(half, half.double(), half, value=2).dtype == gs.float64
    with pytest.raises(TypeError, match=r"addcmul: got float32, int64 and float32"):
        gs._cpu.addcmul(half.numpy(), whole.numpy(), half.numpy())


# ---- as PyTorch has the ends of the range --------------------------------------------------------


@pytest.mark.parametrize("isa", ISAS)
def test_weight_one_gives_the_end(isa: str) -> None:
    with isa_cap(isa):
        start, end = gs.tensor([1e20, -3.0, 2.5]), gs.tensor([1.0, 7.0, -1e-20])
        assert gs.lerp(start, end, 1.0).tolist() == end.tolist()
        assert gs.lerp(start, end, gs.ones(3)).tolist() == end.tolist()
        assert gs.lerp(start, end, gs.zeros(3)).tolist() == start.tolist()


@pytest.mark.parametrize("isa", ISAS)
def test_the_number_multiplies_first(isa: str) -> None:
    with isa_cap(isa):
        huge, divisor = gs.tensor([3e38]), gs.tensor([-0.5])
        assert gs.addcmul(huge, huge, gs.tensor([-2.0]), value=0.5).tolist() == [0.0]
        assert gs.addcdiv(huge, huge, divisor, value=0.5).tolist() == [0.0]


@pytest.mark.parametrize("isa", ISAS)
def test_the_slope_of_no_number_passes(isa: str) -> None:
    with isa_cap(isa):
        x = gs.tensor([math.nan, 0.0, 3.0, 6.0], requires_grad=True)
        F.relu6(x).sum().backward()
        assert x.grad is not None
        assert x.grad.tolist() == [1.0, 0.0, 1.0, 0.0]


# ---- products that underflow ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["prod", "cumprod"])
@pytest.mark.parametrize("smallest", [0.1, 1e-25, 0.0])
def test_gradients_where_products_underflow(name: str, smallest: float) -> None:
    """No factor is 0, one is nearly so, or one is: the gradient is that of float64."""
    factors = np.random.default_rng(0).uniform(0.1, 0.3, (2, 96))
    factors[0, 3] = smallest
    grads = []
    for dtype in (gs.float32, gs.float64):
        x = gs.tensor(factors, dtype=dtype, requires_grad=True)
        getattr(gs, name)(x, 1).sum().backward()
        assert x.grad is not None
        grads.append(x.grad.numpy())
    np.testing.assert_allclose(*grads, rtol=1e-4, atol=1e-18)


# ---- padding with the tensor's own elements ------------------------------------------------------


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize(
    "amounts", [(2, 2, 1, 1, 2, 0), (0, 2, 0, 1), (-1, 2, 1, 0), (1, -1), (2, 0, 0, 0, 0, 1)]
)
def test_padding_has_the_gradient_of_a_gather(mode: str, amounts: tuple[int, ...]) -> None:
    shape = (3, 2, 3)
    places = gs.arange(18).reshape(*shape)
    x = gs.arange(18, dtype=gs.float64).reshape(*shape).requires_grad_()
    y = F.pad(x, amounts, mode)
    taken = F.pad(places, amounts, mode)
    assert y.tolist() == taken.tolist()
    weights = np.random.default_rng(0).standard_normal(y.shape)
    y.backward(gs.tensor(weights, dtype=gs.float64))
    expected = np.bincount(taken.numpy().reshape(-1), weights.reshape(-1), 18).reshape(shape)
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-12, atol=1e-12)


NUMPY_MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "uint8"])
@pytest.mark.parametrize("is_last", [False, True])
@pytest.mark.parametrize("mode", NUMPY_MODES)
def test_padding_of_images(mode: str, is_last: bool, dtype: str, isa: str) -> None:
    shape, rng = (2, 35, 3, 39), np.random.default_rng(0)
    places = np.arange(math.prod(shape)).reshape(shape)
    pairs: Any = ((0, 0), (0, 0), (2, 1), (3, 20))
    taken = np.pad(places, pairs, NUMPY_MODES[mode])  # type: ignore[call-overload]
    order = (0, 3, 1, 2) if is_last else (0, 1, 2, 3)

    def lying(numbers: np.ndarray) -> gs.Tensor:
        laid = numbers.transpose(np.argsort(order))
        return gs.tensor(laid, dtype=getattr(gs, dtype)).permute(*order)

    with isa_cap(isa):
        x = lying(places % 64).requires_grad_(dtype != "uint8")
        y = F.pad(x, (3, 20, 2, 1), mode)
        assert is_channels_last(y.detach().numpy()) == is_last
        np.testing.assert_array_equal(y.detach().double().numpy(), taken % 64)
        if dtype == "uint8":
            return
        weights = rng.integers(0, 4, y.shape)
        y.backward(lying(weights))
    expected = np.bincount(taken.reshape(-1), weights.reshape(-1), places.size).reshape(shape)
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.double().numpy(), expected)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("mode", NUMPY_MODES)
def test_padding_begins_within_a_plane(mode: str, isa: str) -> None:
    """Each of seven threads takes rows from somewhere on."""
    x = np.random.default_rng(0).standard_normal((3, 4, 70, 3, 64)).astype(np.float32)
    pairs: Any = ((0, 0), (0, 0), (3, 1), (2, 2), (1, 0))
    with isa_cap(isa), threads(7):
        y = F.pad(gs.tensor(x), (1, 0, 2, 2, 3, 1), mode)
    taken = np.pad(x, pairs, NUMPY_MODES[mode])  # type: ignore[call-overload]
    np.testing.assert_array_equal(y.numpy(), taken)
